"""A server that does on the wire exactly what a test says, certificates and sessions for it."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from tests.support.paths import ROOT
from xenlaunch.xapi.session import Session
from xenlaunch.xapi.transport import Trust

PASSWORD = "hunter2"
PLAIN = Trust(allow_http=True)
REFERENCE = Path(os.environ.get("XENLAUNCH_REFERENCE", ROOT.parent / "shared" / "reference"))


@pytest.fixture(scope="session")
def published() -> dict[str, Any]:
    """XAPI's published classes and error codes."""
    path = REFERENCE / "xapi-datamodel.json"
    if not path.is_file():
        pytest.skip("needs the published data model (XENLAUNCH_REFERENCE)")
    model: dict[str, Any] = json.loads(path.read_text())
    return model


class Line:
    """One connection, as the server sees it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = sock.makefile("rb")

    def request(self) -> dict[str, Any]:
        """Read one whole request; EOFError when the client has gone."""
        call: dict[str, Any] = json.loads(self.body())
        return call

    def body(self) -> bytes:
        """Read one whole request; its first line is in ``head``."""
        head = self._reader.readline()
        if not head:
            raise EOFError
        self.head = head.decode().strip()
        self.headers: dict[str, str] = {}
        while (line := self._reader.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value
        return self._reader.read(int(self.headers["content-length"]))

    def say(self, content: bytes, status: str = "200 OK", kind: str = "application/json") -> None:
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        self._sock.sendall(head.encode() + content)

    def result(self, call: dict[str, Any], value: object) -> None:
        self.say(json.dumps({"jsonrpc": "2.0", "result": value, "id": call["id"]}).encode())

    def error(self, call: dict[str, Any], code: str, *params: str) -> None:
        error = {"code": 1, "message": code, "data": list(params)}
        self.say(json.dumps({"jsonrpc": "2.0", "error": error, "id": call["id"]}).encode())

    def break_off(self) -> None:
        """End with a reset, as a killed process does."""
        linger = b"\x01\0\0\0\0\0\0\0"
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self._reader.close()
            self._sock.close()


Script = Callable[[Line], None]
Answer = Callable[[Line, dict[str, Any]], None]


class ScriptedServer:
    """Serves each connection by the script, in a thread of its own, and counts them."""

    def __init__(self, script: Script, context: ssl.SSLContext | None, receive_buffer: int) -> None:
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._threads: list[threading.Thread] = []
        self._lines: list[Line] = []
        self.connections = 0
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError, EOFError, ValueError):
            line = Line(
                self._context.wrap_socket(sock, server_side=True) if self._context else sock
            )
            self._lines.append(line)
            self._script(line)
            line.close()
        with suppress(OSError):
            sock.close()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for line in self._lines:
            with suppress(OSError):
                line._sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for line in self._lines:
            line.close()


class Serve(Protocol):
    def __call__(
        self, script: Script, context: ssl.SSLContext | None = None, receive_buffer: int = 0
    ) -> ScriptedServer: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start scripted servers; stop them after the test."""
    with ExitStack() as stack:

        def start(
            script: Script, context: ssl.SSLContext | None = None, receive_buffer: int = 0
        ) -> ScriptedServer:
            server = ScriptedServer(script, context, receive_buffer)
            stack.callback(server.close)
            return server

        yield start


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate of 127.0.0.1, its key, and its fingerprint as openssl writes it."""

    path: Path
    key: Path
    pin: str

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key)
        return context


def _openssl(*words: str) -> str:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs openssl")
    return subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> list[Certificate]:
    """Two of them, as two members of a pool have."""
    made = []
    for number in range(2):
        folder = tmp_path_factory.mktemp("certificate")
        path, key = folder / "host.pem", folder / "host.key"
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN=host-{number}", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(path)),
        )
        told = _openssl("x509", "-in", str(path), "-noout", "-fingerprint", "-sha256")
        made.append(Certificate(path, key, f"sha256:{told.strip().partition('=')[2]}"))
    return made


class Host:
    """A member of a pool that knows sessions and nothing else; what more it says, a test says."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Any]]] = []
        self.sessions: dict[str, str] = {}
        self.slave_of = ""
        self.answers: dict[str, Answer] = {}
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, line: Line) -> None:
        while True:
            call = line.request()
            self.calls.append((call["method"], call["params"]))
            if self.slave_of:
                line.error(call, "HOST_IS_SLAVE", self.slave_of)
            elif call["method"] in self.answers:
                self.answers[call["method"]](line, call)
            else:
                self._answer(line, call)

    def _answer(self, line: Line, call: dict[str, Any]) -> None:
        method, params = call["method"], call["params"]
        if method == "session.login_with_password":
            self._log_in(line, call)
        elif params[0] not in self.sessions:
            line.error(call, "SESSION_INVALID", params[0])
        elif method == "session.get_uuid":
            line.result(call, self.sessions[params[1]])
        elif method == "session.get_by_uuid":
            self._find(line, call)
        elif method == "session.logout":
            line.result(call, self.sessions.pop(params[0]) and "")
        else:
            line.result(call, f"{method} done")

    def _log_in(self, line: Line, call: dict[str, Any]) -> None:
        user, password, *_ = call["params"]
        if password == PASSWORD:
            line.result(call, self.log_in())
        else:
            line.error(call, "SESSION_AUTHENTICATION_FAILED", user, "denied")

    def _find(self, line: Line, call: dict[str, Any]) -> None:
        uuid = call["params"][1]
        found = [ref for ref, its in self.sessions.items() if its == uuid]
        if found:
            line.result(call, found[0])
        else:
            line.error(call, "UUID_INVALID", "session", uuid)

    def log_in(self) -> str:
        with self._lock:
            self._count += 1
            ref = f"OpaqueRef:session-{self._count}"
            self.sessions[ref] = f"uuid-{self._count}"
        return ref

    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]


def hang_until(over: threading.Event) -> Answer:
    def hang(line: Line, call: dict[str, Any]) -> None:
        over.wait(10)
        line.result(call, "")

    return hang


class Open(Protocol):
    def __call__(self, *addresses: str, **options: Any) -> Session: ...


@pytest.fixture
def open_session() -> Iterator[Open]:
    with ExitStack() as stack:

        def start(*addresses: str, password: str = PASSWORD, **options: Any) -> Session:
            options = {"login_pause": 0.0, "patience": 5.0, **options}
            secret = SecretStr(password)
            session = Session("lab", addresses, "root", lambda: secret, PLAIN, **options)
            stack.callback(session.close)
            return session

        yield start


@pytest.fixture
def host() -> Host:
    return Host()
