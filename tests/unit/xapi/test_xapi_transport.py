"""What was sent and what was not: each way in which a call can break, on a real line."""

import socket
import threading
from pathlib import Path

import pytest

from tests.unit.xapi.conftest import Certificate, Line, Serve
from xenlaunch.errors import (
    BadSettings,
    OutcomeUnknown,
    PoolError,
    Refused,
    SessionLost,
)
from xenlaunch.xapi.transport import Address, Transport, Trust, Unsent

PLAIN = Trust(allow_http=True)
CALL = ("VM.clone", ["OpaqueRef:session", "OpaqueRef:vm", "name"])


def answer_all(line: Line) -> None:
    while True:
        line.result(line.request(), "OpaqueRef:new")


def test_a_result_comes_back_and_the_line_is_kept(serve: Serve) -> None:
    server = serve(answer_all)
    transport = Transport(PLAIN)

    assert [transport.post(server.url, *CALL) for _ in range(3)] == ["OpaqueRef:new"] * 3
    assert server.connections == 1
    transport.close()


def test_an_error_of_the_pool_is_of_its_class_and_hides_the_session(serve: Serve) -> None:
    def refuse(line: Line) -> None:
        line.error(line.request(), "INTERNAL_ERROR", "saw OpaqueRef:session here")

    server = serve(refuse)

    with pytest.raises(Refused) as caught:
        Transport(PLAIN).post(server.url, *CALL, hide=["OpaqueRef:session"])

    assert caught.value.code == "INTERNAL_ERROR"
    assert caught.value.call == "VM.clone"
    assert "OpaqueRef:session" not in str(caught.value.as_record())


def test_headers_go_with_the_call(serve: Serve) -> None:
    seen = {}

    def note(line: Line) -> None:
        call = line.request()
        seen.update(line.headers)
        line.result(call, "")

    Transport(PLAIN).post(serve(note).url, *CALL, headers={"X-Http-Other-Config-xenlaunch": "m"})

    assert seen["x-http-other-config-xenlaunch"] == "m"
    assert seen["content-type"] == "application/json"


def test_a_refused_connection_is_unsent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    with pytest.raises(Unsent, match="connection refused"):
        Transport(PLAIN).post(url, *CALL)


def test_a_name_that_nobody_knows_is_unsent() -> None:
    with pytest.raises(Unsent, match="its name is not known"):
        Transport(PLAIN).post("http://no-such-host.invalid", *CALL)


def test_a_line_that_breaks_after_the_call_was_read_is_unknown(serve: Serve) -> None:
    def drop(line: Line) -> None:
        line.request()

    with pytest.raises(OutcomeUnknown) as caught:
        Transport(PLAIN).post(serve(drop).url, *CALL)

    assert caught.value.code == "CONNECTION_LOST"


def test_a_reset_after_the_call_was_read_is_unknown(serve: Serve) -> None:
    def reset(line: Line) -> None:
        line.request()
        line.break_off()

    with pytest.raises(OutcomeUnknown) as caught:
        Transport(PLAIN).post(serve(reset).url, *CALL)

    assert caught.value.code == "CONNECTION_LOST"


def test_a_line_that_breaks_before_all_was_handed_over_is_unsent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ends hold less than the call is long, and the rest can no longer leave."""
    small = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)]
    monkeypatch.setattr("urllib3.connection.HTTPConnection.default_socket_options", small)

    def reset_early(line: Line) -> None:
        line._sock.recv(1)
        line.break_off()

    server = serve(reset_early, receive_buffer=1024)

    with pytest.raises(Unsent, match="the connection broke"):
        Transport(PLAIN).post(server.url, "VM.clone", ["x" * 290 * 1024])


def test_a_kept_line_that_turns_out_to_be_broken_is_unsent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look before the use is a race: here it is lost."""
    closed = threading.Event()

    def answer_once(line: Line) -> None:
        line.result(line.request(), "OpaqueRef:new")
        line.break_off()
        closed.set()

    server = serve(answer_once)
    transport = Transport(PLAIN)
    transport.post(server.url, *CALL)
    assert closed.wait(5)

    monkeypatch.setattr("urllib3.connectionpool.is_connection_dropped", lambda _: False)
    with pytest.raises(Unsent):
        transport.post(server.url, *CALL)


def test_a_kept_line_that_the_server_has_closed_is_not_used_again(serve: Serve) -> None:
    closed = threading.Event()

    def answer_once(line: Line) -> None:
        line.result(line.request(), "OpaqueRef:new")
        line.break_off() if server.connections == 1 else line.close()
        closed.set()

    server = serve(answer_once)
    transport = Transport(PLAIN)

    transport.post(server.url, *CALL)
    assert closed.wait(5)
    assert transport.post(server.url, *CALL) == "OpaqueRef:new"
    assert server.connections == 2


def test_a_page_instead_of_an_answer_is_unknown(serve: Serve) -> None:
    def fail(line: Line) -> None:
        line.request()
        line.say(b"<html><body><h1>HTTP 500 internal server error</h1>", "500 Error", "text/html")

    with pytest.raises(OutcomeUnknown) as caught:
        Transport(PLAIN).post(serve(fail).url, *CALL)

    assert caught.value.code == "ANSWER_UNREADABLE"
    assert "HTTP 500" in caught.value.message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"result": "OpaqueRef:secret"}',
        b'{"jsonrpc": "2.0", "result": "OpaqueRef:secret", "id": 4711}',
        b'{"jsonrpc": "2.0", "error": ["CODE"], "id": 1}',
        b'{"jsonrpc": "2.0", "id": 1}',
    ],
)
def test_an_answer_to_something_else_is_unknown(serve: Serve, content: bytes) -> None:
    def babble(line: Line) -> None:
        line.request()
        line.say(content)

    with pytest.raises(OutcomeUnknown) as caught:
        Transport(PLAIN).post(serve(babble).url, *CALL)

    assert caught.value.code == "ANSWER_UNREADABLE"
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_an_answer_that_does_not_come_in_time_is_unknown(serve: Serve) -> None:
    over = threading.Event()

    def wait(line: Line) -> None:
        line.request()
        over.wait(10)

    with pytest.raises(OutcomeUnknown) as caught:
        Transport(PLAIN).post(serve(wait).url, *CALL, read_seconds=0.1)
    over.set()

    assert caught.value.code == "ANSWER_LATE"


def test_a_call_that_is_too_long_is_not_sent(serve: Serve) -> None:
    server = serve(answer_all)

    with pytest.raises(Refused, match=r"292\.\d KiB|3\d\d\.\d KiB"):
        Transport(PLAIN).post(server.url, "VM.set_name_label", ["x" * 310_000])

    assert server.connections == 0


def test_plain_http_is_refused_unless_it_is_allowed() -> None:
    with pytest.raises(BadSettings, match="allow_http"):
        Transport(Trust()).post("http://127.0.0.1:1", *CALL)


def test_an_unknown_certificate_is_not_trusted_and_nothing_is_sent(
    serve: Serve, certificates: list[Certificate]
) -> None:
    heard: list[object] = []
    server = serve(lambda line: heard.append(line.request()), certificates[0].context())

    with pytest.raises(Unsent, match="its certificate is not trusted"):
        Transport(Trust()).post(server.url, *CALL)

    assert heard == []


def test_a_certificate_of_the_ca_file_is_trusted(
    serve: Serve, certificates: list[Certificate]
) -> None:
    server = serve(answer_all, certificates[0].context())
    trust = Trust(ca_file=certificates[0].path)

    assert Transport(trust).post(server.url, *CALL) == "OpaqueRef:new"


def test_a_ca_file_that_is_none_is_bad_settings(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")

    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(BadSettings, match="cannot be read as certificates"):
            Transport(Trust(ca_file=tmp_path / name))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_any_of_the_pins_is_trusted(
    serve: Serve, certificates: list[Certificate], order: tuple[int, int]
) -> None:
    server = serve(answer_all, certificates[0].context())
    trust = Trust(pins=tuple(certificates[number].pin for number in order))
    transport = Transport(trust)

    assert [transport.post(server.url, *CALL) for _ in range(2)] == ["OpaqueRef:new"] * 2
    assert server.connections == 1 + (order == (1, 0))


def test_a_pin_of_another_host_is_not_trusted(
    serve: Serve, certificates: list[Certificate]
) -> None:
    heard: list[object] = []
    server = serve(lambda line: heard.append(line.request()), certificates[0].context())

    with pytest.raises(Unsent, match="its certificate is not trusted"):
        Transport(Trust(pins=(certificates[1].pin,))).post(server.url, *CALL)
    with pytest.raises(Unsent, match="no pin fits"):
        Transport(Trust(pins=(certificates[1].pin,) * 2)).post(server.url, *CALL)

    assert heard == []


@pytest.mark.parametrize("pin", ["", "sha256:", "md5:" + "0" * 64, "sha256:" + "g" * 64, "0" * 64])
def test_a_pin_that_is_none_is_bad_settings(pin: str) -> None:
    with pytest.raises(BadSettings, match="is no pin"):
        Transport(Trust(pins=(pin,)))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("xen1", "https://xen1"),
        ("https://xen1:8443/", "https://xen1:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://[fd00::1]", "https://[fd00::1]"),
    ],
)
def test_an_address_is_read_as_an_operator_writes_it(written: str, meant: str) -> None:
    assert str(Address.parse(written)) == meant


@pytest.mark.parametrize("text", ["", "ftp://x", "https://", "https://x:port", "https://x/path"])
def test_an_address_that_is_none_is_bad_settings(text: str) -> None:
    with pytest.raises(BadSettings, match="is no address"):
        Address.parse(text)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadSettings) as caught:
        Address.parse("https://root:hunter2@xen1")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("10.0.0.2", "https://10.0.0.2:8443"),
        ("fd00::2", "https://[fd00::2]:8443"),
        ("[fd00::2]", "https://[fd00::2]:8443"),
        ("10.0.0.2:9", "https://10.0.0.2:9"),
    ],
)
def test_a_master_is_reached_the_same_way(named: str, meant: str) -> None:
    assert str(Address.parse("https://xen1:8443").at(named)) == meant


# Uploads

DISK = ("/import_raw_vdi", "OpaqueRef:vdi", b"\0told", "OpaqueRef:session")


def test_an_upload_says_its_session_in_no_address(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    seen = []

    def take(line: Line) -> None:
        seen.append((line.body(), line.head, line.headers["cookie"]))
        line.say(b"", kind="application/octet-stream")

    with caplog.at_level("DEBUG"):
        Transport(PLAIN).put(serve(take).url, *DISK)

    wanted = "PUT /import_raw_vdi?vdi=OpaqueRef%3Avdi&format=raw HTTP/1.1"
    assert seen == [(b"\0told", wanted, "session_id=OpaqueRef:session")]
    assert "import_raw_vdi" in caplog.text
    assert "OpaqueRef:session" not in caplog.text


def test_an_upload_follows_to_the_host_that_reaches_the_storage(serve: Serve) -> None:
    seen: list[bytes] = []

    def elsewhere(line: Line) -> None:
        place = "302 Found\r\nLocation: https://127.0.0.1/import_raw_vdi?session_id=x"
        while True:
            seen.append(line.body())
            line.say(b"", place if len(seen) == 1 else "200 OK")

    Transport(PLAIN).put(serve(elsewhere).url, *DISK)

    assert seen == [b"\0told", b"\0told"]


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        ("401 Unauthorised", SessionLost, "SESSION_INVALID"),
        ("403 Forbidden", Refused, "RBAC_PERMISSION_DENIED"),
        ("500 Internal Error", OutcomeUnknown, "ANSWER_UNREADABLE"),
        ("302 Found", OutcomeUnknown, "ANSWER_UNREADABLE"),
    ],
)
def test_an_upload_that_is_not_taken_is_of_its_class(
    serve: Serve, status: str, error: type[PoolError], code: str
) -> None:
    def refuse(line: Line) -> None:
        line.body()
        line.say(b"<html>VDI_IN_USE</html>", status, "text/html")

    with pytest.raises(error) as caught:
        Transport(PLAIN).put(serve(refuse).url, *DISK)

    assert caught.value.code == code
    assert "OpaqueRef:session" not in str(caught.value.as_record())


def test_a_closed_transport_sends_nothing() -> None:
    transport = Transport(PLAIN)
    transport.close()

    with pytest.raises(Unsent, match="has closed"):
        transport.post("http://127.0.0.1:1", *CALL)
