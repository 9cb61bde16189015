"""One JSON-RPC call over HTTP, and the truth about whether it was sent. Only here is HTTP spoken.

A call that fails on the way is one of two things, and a caller must not take one for the other:

``Unsent``
    The pool cannot have done it: no connection, no trust in the certificate, or a line that broke
    before the last byte of the request had left this process. A half-sent request is never run.

``OutcomeUnknown``
    All of it was handed over and no readable answer came back. It may have been done.

The request's body is an iterator that is asked for more only once its bytes are handed over, so
that is known, not guessed from the kind of error. A kept connection that the server has closed in
the meantime is seen before it is used again and replaced; TCP keep-alives find the silent ones.

Nothing in here is logged, and no error carries a parameter: they hold sessions and passwords.
"""

import itertools
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from xenlaunch.errors import BadSettings, Busy, PoolError
from xenlaunch.xapi.refusals import refusal, sentence

MOST_BYTES: Final = 300 * 1024
"""XAPI reads no request longer than this."""

IMPORT: Final = "/import_raw_vdi"
UPLOAD_SECONDS: Final = 120.0
"""How long the answer to an upload may take: the storage writes all of it first."""

REFUSED: Final = {401: "SESSION_INVALID", 403: "RBAC_PERMISSION_DENIED"}

BROKEN: Final = frozenset({"CONNECTION_LOST", "ANSWER_LATE", "ANSWER_UNREADABLE"})
"""The codes of an OutcomeUnknown that this file saw, not the pool."""

HIDDEN: Final = "(hidden)"

_FINGERPRINT_DIGITS: Final = 64

_KEEP_ALIVE: Final = tuple(
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    )
    if hasattr(socket, name)
)


class Unsent(Busy):
    """The call did not leave this process: the pool has done nothing."""

    def __init__(self, address: str, why: str, *, call: str = "") -> None:
        self.address, self.why = address, why
        params = [address, why]
        super().__init__("UNSENT", params, sentence("UNSENT", params), call=call)


@dataclass(frozen=True)
class Address:
    """Where a member of a pool listens."""

    scheme: str
    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address as an operator writes it; without a scheme it is https.

        >>> str(Address.parse("xen1.example"))
        'https://xen1.example'
        >>> str(Address.parse("http://[fd00::1]:8080/"))
        'http://[fd00::1]:8080'
        """
        try:
            parts = urlsplit(text if "://" in text else f"https://{text}")
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.username is not None or parts.password is not None:
            # Not quoted: what stands there is a password.
            raise BadSettings("An address of a pool must not carry a user name or a password.")
        plain = parts.path in {"", "/"} and not parts.query and not parts.fragment
        if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
            raise BadSettings(f"{text!r} is no address of a pool: it must be https://HOST[:PORT].")
        return cls(parts.scheme, parts.hostname, port)

    def at(self, host: str) -> "Address":
        """The same way in at another host: XAPI names a master by its bare address."""
        bare = host.strip("[]")
        port = self.port
        if bare.count(":") == 1:  # a port, which the real one never names; IPv6 has more colons
            bare, _, digits = bare.partition(":")
            port = int(digits) if digits.isdecimal() else port
        return Address.parse(str(Address(self.scheme, bare, port)))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")


@dataclass(frozen=True)
class Trust:
    """Which answers are believed to come from the pool.

    ``pins`` are SHA-256 fingerprints of the members' certificates, one a host; any of them will do.
    Without pins, and beside them when ``ca_file`` is given, the chain and the name must be right.
    """

    allow_http: bool = False
    ca_file: Path | None = None
    pins: tuple[str, ...] = ()

    def fingerprints(self) -> tuple[str, ...]:
        return tuple(_fingerprint(pin) for pin in self.pins)

    def context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as unreadable:  # ssl.SSLError is one
            raise BadSettings(
                f"The ca_file {self.ca_file} cannot be read as certificates."
            ) from unreadable
        if self.pins:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_REQUIRED if self.ca_file else ssl.CERT_NONE
        return context

    def check(self, address: Address) -> None:
        if address.scheme == "http" and not self.allow_http:
            raise BadSettings(
                f"{address} is not encrypted. Use https, or say allow_http = true for this pool."
            )


def _fingerprint(pin: str) -> str:
    kind, _, digits = pin.partition(":")
    digits = digits.replace(":", "").lower()
    if (
        kind.lower() != "sha256"
        or len(digits) != _FINGERPRINT_DIGITS
        or digits.strip("0123456789abcdef")
    ):
        raise BadSettings(f"{pin!r} is no pin: it must be sha256: and 64 hexadecimal digits.")
    return digits


@dataclass
class _Body:
    """The request's bytes, which knows when they have all been handed over."""

    content: bytes = field(repr=False)
    gone: bool = False

    def __iter__(self) -> Iterator[bytes]:
        yield self.content
        self.gone = True


@dataclass
class _Door:
    """The kept connections to one address; with pins, one set a pin until one has fitted."""

    pools: list[urllib3.HTTPConnectionPool]
    fitting: int = 0

    def in_order(self) -> list[int]:
        first = self.fitting
        return [first, *(number for number in range(len(self.pools)) if number != first)]


class Transport:
    """Posts calls to the members of a pool; thread-safe."""

    def __init__(
        self,
        trust: Trust,
        *,
        connect_seconds: float = 5.0,
        read_seconds: float = 30.0,
        max_connections: int = 64,
    ) -> None:
        self._trust = trust
        self._pins = trust.fingerprints()
        self._context = trust.context()
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._max_connections = max_connections
        self._doors: dict[str, _Door] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._closed = False

    def post(
        self,
        address: str,
        method: str,
        params: Sequence[Any],
        *,
        headers: Mapping[str, str] | None = None,
        read_seconds: float | None = None,
        hide: Sequence[str] = (),
    ) -> Any:
        """Send one call, once, and return its result; ``hide`` never shows in an error."""
        number = next(self._numbers)
        content = json.dumps(
            {"jsonrpc": "2.0", "method": method, "params": list(params), "id": number}
        ).encode()
        if len(content) > MOST_BYTES:
            raise refusal(method, "REQUEST_TOO_LONG", [str(len(content)), str(MOST_BYTES)])
        body = _Body(content)
        answer = self._exchange(address, method, body, headers or {}, read_seconds)
        if answer.status != 200:
            raise _broken(address, method, f"it answered HTTP {answer.status}", body, "unreadable")
        return _result(address, method, number, answer.data, hide)

    def put(self, address: str, path: str, vdi: str, content: bytes, session: str) -> None:
        """Write the first bytes of a disk.

        The session goes as a cookie: a query would be in logs. A member that cannot reach the
        disk's storage names one that can, which is asked over the same trust.
        """
        query = urlencode({"vdi": vdi, "format": "raw"})
        headers = {"Cookie": f"session_id={session}", "Content-Type": "application/octet-stream"}

        def put(where: str) -> tuple[urllib3.BaseHTTPResponse, _Body]:
            body, to = _Body(content), ("PUT", f"{path}?{query}")
            return self._exchange(where, path, body, headers, UPLOAD_SECONDS, to), body

        answer, body = put(address)
        if answer.status == 302 and (host := urlsplit(answer.headers.get("Location", "")).hostname):
            answer, body = put(str(Address.parse(address).at(host)))
        if answer.status in REFUSED:
            raise refusal(path, REFUSED[answer.status], [path])
        if answer.status != 200:
            raise _broken(address, path, f"it answered HTTP {answer.status}", body, "unreadable")

    def _exchange(
        self,
        address: str,
        method: str,
        body: _Body,
        headers: Mapping[str, str],
        read_seconds: float | None,
        to: tuple[str, str] = ("POST", "/jsonrpc"),
    ) -> urllib3.BaseHTTPResponse:
        door = self._door(address, method)
        wire = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body.content)),
            **headers,
        }
        patience = urllib3.Timeout(
            connect=self._connect_seconds,
            read=self._read_seconds if read_seconds is None else read_seconds,
        )
        misfit: SSLError | None = None
        for number in door.in_order():
            try:
                answer = door.pools[number].urlopen(
                    *to,
                    body=body,
                    headers=wire,
                    timeout=patience,
                    retries=False,
                    redirect=False,
                )
            except SSLError as lost:
                if body.gone or len(door.pools) == 1:
                    raise _broken(address, method, _why(lost), body) from lost
                misfit = lost
            except ReadTimeoutError as lost:
                raise _broken(address, method, _why(lost), body, "late") from lost
            except HTTPError as lost:
                raise _broken(address, method, _why(lost), body) from lost
            else:
                door.fitting = number
                return answer
        raise Unsent(address, "no pin fits its certificate", call=method) from misfit

    def _door(self, address: str, method: str) -> _Door:
        with self._lock:
            if self._closed:
                raise Unsent(address, "this process has closed its connections", call=method)
            if address not in self._doors:
                self._doors[address] = self._open(Address.parse(address))
            return self._doors[address]

    def _open(self, address: Address) -> _Door:
        self._trust.check(address)
        options = [*HTTPConnection.default_socket_options, *_KEEP_ALIVE]
        if address.scheme == "http":
            return _Door(
                [
                    urllib3.HTTPConnectionPool(
                        address.host,
                        address.port,
                        maxsize=self._max_connections,
                        socket_options=options,
                    )
                ]
            )
        return _Door(
            [
                urllib3.HTTPSConnectionPool(
                    address.host,
                    address.port,
                    maxsize=self._max_connections,
                    socket_options=options,
                    ssl_context=self._context,
                    assert_fingerprint=pin,
                )
                for pin in self._pins or (None,)
            ]
        )

    def close(self) -> None:
        with self._lock:
            self._closed = True
            doors, self._doors = list(self._doors.values()), {}
        for door in doors:
            for pool in door.pools:
                pool.close()


_UNKNOWN: Final = {
    "lost": "CONNECTION_LOST",
    "late": "ANSWER_LATE",
    "unreadable": "ANSWER_UNREADABLE",
}


def _broken(address: str, method: str, why: str, body: _Body, kind: str = "lost") -> PoolError:
    if not body.gone:
        return Unsent(address, why, call=method)
    return refusal(method, _UNKNOWN[kind], [method, address, why])


def _why(lost: HTTPError) -> str:
    """Say in a few words what broke the line; none of them comes from the call itself."""
    if isinstance(lost, NameResolutionError):
        return "its name is not known"
    if isinstance(lost, NewConnectionError):
        return str(getattr(lost.__cause__, "strerror", None) or "no connection").lower()
    if isinstance(lost, ConnectTimeoutError):
        return "no connection in time"
    if isinstance(lost, ReadTimeoutError):
        return "no answer in time"
    if isinstance(lost, SSLError):
        return f"its certificate is not trusted ({lost})"
    return "the connection broke"


def _result(address: str, method: str, number: int, content: bytes, hide: Sequence[str]) -> Any:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None  # and no cause: it would carry the answer
    if not isinstance(answer, dict) or answer.get("id") != number:
        raise refusal(
            method, "ANSWER_UNREADABLE", [method, address, "its answer is no answer to this call"]
        )
    error = answer.get("error")
    if error is None and "result" in answer:
        return answer["result"]
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        raise refusal(method, "ANSWER_UNREADABLE", [method, address, "its error is none of XAPI's"])
    told = error.get("data")
    params = [str(param) for param in told] if isinstance(told, list) else []
    raise refusal(method, error["message"], [_without(param, hide) for param in params])


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    return text
