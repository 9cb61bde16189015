"""Whatever comes in, the simulator goes on; and when it is to end, it ends."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.unit.simulator.conftest import Process


def _send(port: int, *parts: bytes) -> bytes:
    """Send it piece by piece and hang up; gives what came back, if anything."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        answer = b""
        try:
            for part in parts:
                line.sendall(part)
            line.shutdown(socket.SHUT_WR)
            while more := line.recv(65536):
                answer += more
        except TimeoutError:
            raise
        except OSError:  # it was hung up upon
            pass
        return answer


def _post(path: str, body: bytes) -> bytes:
    return b"POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 500,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\n" + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"POST " + b"/" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"PUT /import_raw_vdi?vdi=%ff%00&session_id= HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"PUT /import_raw_vdi HTTP/1.1\r\nAuthorization: Basic ////\r\nContent-Length: 0\r\n\r\n",
        b"GET /export_raw_vdi?session_id=x HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        _post("/", b"<methodCall>" * 20_000),
        _post("/jsonrpc", b'{"a":' * 50_000),
        _post("/", b"\xff\xfe<\x00?\x00"),
        b"POST / HTTP/1.1\r\nContent-Length: 10485760\r\n\r\n" + b"x" * 10_485_760,
    ],
)
def test_nothing_that_is_sent_ends_it(shared_simulator: Process, sent: bytes) -> None:
    _send(shared_simulator.port, sent)

    assert shared_simulator.rpc("system.isAlive:x")["result"] == "x"


def _ask(line: http.client.HTTPConnection, body: Any) -> tuple[int, str]:
    try:
        line.request("POST", "/jsonrpc", body, encode_chunked=not isinstance(body, bytes))
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    finally:
        line.close()


def _ask_http_client(url: str, body: bytes) -> tuple[int, str]:
    return _ask(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10), body)


def _ask_urllib(url: str, body: bytes) -> tuple[int, str]:
    try:
        urllib.request.urlopen(f"{url}/jsonrpc", body, timeout=10)  # noqa: S310 - ours
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode()
    return 200, ""


def _ask_in_chunks(url: str, body: bytes) -> tuple[int, str]:
    parts = (body[at : at + 65536] for at in range(0, len(body), 65536))
    return _ask(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10), parts)


@pytest.mark.parametrize("ask", [_ask_http_client, _ask_urllib, _ask_in_chunks])
def test_who_sends_too_much_gets_the_answer(shared_simulator: Process, ask: Any) -> None:
    status, page = ask(shared_simulator.url, b"x" * 10_485_760)

    assert status == 500
    assert page.startswith("<html><body><h1>HTTP 500 internal server error</h1>")


def test_what_is_too_large_is_answered_after_what_came_before(shared_simulator: Process) -> None:
    slow = {"method": "event.from", "params": [shared_simulator.login(), ["vm"], "", 0.01], "id": 1}
    too_large = _post("/jsonrpc", b"x" * 1_000_000)

    answer = _send(shared_simulator.port, _post("/jsonrpc", json.dumps(slow).encode()) + too_large)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.count(b"HTTP/1.1 500 Internal Server Error") == 1
    assert answer.endswith(b"</body></html>")


def test_a_request_may_come_byte_by_byte(shared_simulator: Process) -> None:
    request = _post("/jsonrpc", b'{"method":"system.isAlive:a","params":[],"id":1}')

    answer = _send(shared_simulator.port, *(request[i : i + 1] for i in range(len(request))))

    assert answer.endswith(b'{"result":"a","error":null,"id":1}')


def test_a_text_that_is_no_utf8_is_an_invalid_value(shared_simulator: Process) -> None:
    body = (
        b'{"jsonrpc":"2.0","method":"VM.get_by_name_label","params":["s",{"a":["b\xff"]}],"id":1}'
    )

    answer = _send(shared_simulator.port, _post("/jsonrpc", body))

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == {
        "code": 1,
        "message": "INVALID_VALUE",
        "data": ["Invalid UTF-8 string in parameter", "b\N{REPLACEMENT CHARACTER}"],
    }


@pytest.fixture
def encrypted(start_simulator: Any) -> Iterator[tuple[Process, int]]:
    process = start_simulator("--time-scale", "0", "--https-port", "0")
    said = process.process.stderr.readline()
    yield process, int(said.partition(",")[0].rpartition(":")[2])
    code, err = process.stop()
    assert (code, err) == (0, "")


@pytest.mark.full("openssl")
def test_plain_text_and_broken_handshakes_at_the_https_port(
    encrypted: tuple[Process, int],
) -> None:
    process, port = encrypted
    for sent in (b"", b"POST / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"\x80" * 5000):
        _send(port, sent)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain) as line,
    ):
        line.sendall(_post("/jsonrpc", b'{"method":"system.isAlive:tls","params":[],"id":1}'))
        assert b'"result":"tls"' in line.recv(65536)
    ours = http.client.HTTPSConnection(f"127.0.0.1:{port}", timeout=10, context=context)
    assert _ask(ours, b"x" * 10_485_760)[0] == 500
    assert process.rpc("system.isAlive:x")["result"] == "x"


def test_it_ends_within_a_second_with_two_hundred_waiting(start_simulator: Any) -> None:
    process: Process = start_simulator("--time-scale", "0")
    token = process.rpc("event.from", process.login(), ["pool"], "", 0.0)["result"]["token"]
    sessions = [process.login() for _ in range(8)]
    with ExitStack() as stack:
        for number in range(200):
            params = [sessions[number % 8], ["pool"], token, 60.0]
            body = {"method": "event.from", "params": params, "id": number}
            line = stack.enter_context(socket.create_connection(("127.0.0.1", process.port)))
            line.sendall(_post("/jsonrpc", json.dumps(body).encode()))
        calls: list[Any] = []
        while len([one for one in calls if one["outcome"] == "running"]) < 200:
            calls = process.control("GET", "/calls")

        begun = time.monotonic()
        code, err = process.stop()

        assert time.monotonic() - begun < 1
        assert (code, err) == (0, "")
