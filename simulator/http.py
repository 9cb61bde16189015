"""HTTP/1.1 as XAPI's own server speaks it: keep-alive, one request after the other.

A connection's requests are answered in their order, however many arrive at once. A body that is
too large is refused before it is read and ends the connection; what is still sent of it is thrown
away, for a client that is hung up upon while it sends never sees the answer.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, NamedTuple, Protocol

import httptools

from simulator.errors import Dropped

BODY_MAX: Final = 300 * 1024
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    500: "Internal Server Error",
}
_HEADERS_MAX: Final = 64 * 1024
#: so long may a client go on to send what was refused
_LINGER_SECONDS: Final = 30.0


class Request(NamedTuple):
    """One request, whole."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    keep_alive: bool
    upload: Upload | None = None


class Upload(Protocol):
    """Takes a body as it comes, however large it is."""

    def feed(self, part: bytes) -> None: ...

    def answer(self) -> Response: ...

    def close(self) -> None:
        """The client is gone."""


class Response(NamedTuple):
    """One answer."""

    body: bytes
    content_type: str = "text/html"
    status: int = 200
    stream: tuple[int, Iterator[bytes]] | None = None  # a body that is too long to hold: its length


def no_uploads(_method: str, _target: str, _headers: dict[str, str]) -> Upload | None:
    """No body is taken but what a call may have."""
    return None


Handler = Callable[[Request], "Response | Awaitable[Response]"]


def error_page(status: int, text: str) -> Response:
    reason = _REASONS.get(status, "").lower()
    page = f"<html><body><h1>HTTP {status} {reason}</h1>{text}</body></html>"
    return Response(page.encode(), "text/html", status)


def malformed_page() -> Response:
    return error_page(500, "An unexpected error occurred; please wait a while and try again.")


def _page_of_bug(bug: Exception) -> Response:
    """What a client is told of a bug of ours; the rest stands on stderr."""
    traceback.print_exception(bug, file=sys.stderr)
    return malformed_page()


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[Request] = deque()
        self._answering: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._is_refusing = False  # a body that is too large
        self._is_refused = False  # and its client was told
        self._is_drained = False  # and has sent all of it
        self._is_heard_out = False  # the client has said all
        self._uploads: list[Upload] = []
        self._reset()

    def _reset(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._head_size = 0
        self._body: list[bytes] = []
        self._body_size = 0
        self._upload: Upload | None = None

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._server.connections.discard(self)
        self._transport = None
        self._queue.clear()
        self._writable.set()
        for upload in self._uploads:
            upload.close()

    def eof_received(self) -> bool:
        """The client has said all; it still gets its answers (over TLS there is no such half)."""
        self._is_heard_out = self._transport is not None and self._transport.can_write_eof()
        return self._is_heard_out and self._answering is not None

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._server.is_silent():
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.abort()
        except httptools.HttpParserError:
            if self._is_refusing:
                self.abort()
            else:
                self._write(error_page(400, "The request is no HTTP."), keep_alive=False)

    # -- what the parser calls

    def on_message_begin(self) -> None:
        self._reset()

    def on_url(self, part: bytes) -> None:
        self._target += part
        self._count_head(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        method = self._parser.get_method().decode("latin-1")
        target = self._target.decode("latin-1")
        self._upload = self._server.uploads(method, target, self._headers)
        if self._upload is not None:
            self._uploads.append(self._upload)
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and self._is_too_large(int(length)):
            self._refuse_body()
        elif self._headers.get("expect", "").lower() == "100-continue" and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        if self._is_refusing:
            return
        if self._upload is not None:
            self._upload.feed(part)
            return
        self._body_size += len(part)
        if self._is_too_large(self._body_size):
            self._refuse_body()
        else:
            self._body.append(part)

    def on_message_complete(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._is_refusing:
            self._is_drained = True
            self._hang_up_if_done()
            return
        request = Request(
            self._parser.get_method().decode("latin-1"),
            self._target.decode("latin-1"),
            self._headers,
            b"".join(self._body),
            self._parser.should_keep_alive(),
            self._upload,
        )
        if self._answering is None and not self._queue:
            self._answer(request)
        else:
            self._queue.append(request)

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > _HEADERS_MAX:
            self.abort()

    def _is_too_large(self, size: int) -> bool:
        most = self._server.body_max
        return most is not None and self._upload is None and size > most

    def _refuse_body(self) -> None:
        self._body = []
        self._is_refusing = True
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.abort)
        self._answer_next()

    def _tell_refused(self) -> None:
        self._is_refused = True
        page = malformed_page()
        self._write_head(page, len(page.body), keep_alive=False)
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()
        self._hang_up_if_done()

    def _hang_up_if_done(self) -> None:
        if self._is_refused and self._is_drained and self._transport is not None:
            self._transport.close()

    # -- answering

    def _answer(self, request: Request) -> None:
        """Answer at once where the answer is ready, else in a task."""
        try:
            answer = self._server.handler(request)
        except Dropped:
            self.abort()
            return
        except Exception as bug:  # noqa: BLE001 - this answer is lost, the server stays
            answer = _page_of_bug(bug)
        if isinstance(answer, Response) and answer.stream is not None:
            self._answering = asyncio.get_running_loop().create_task(self._stream(answer, request))
        elif isinstance(answer, Response):
            self._write(answer, keep_alive=request.keep_alive)
        else:
            self._answering = asyncio.get_running_loop().create_task(
                self._answer_later(answer, keep_alive=request.keep_alive)
            )

    async def _answer_later(self, answer: Awaitable[Response], *, keep_alive: bool) -> None:
        try:
            self._write(await answer, keep_alive=keep_alive)
        except Dropped:
            self.abort()
        except Exception as bug:  # noqa: BLE001 - this answer is lost, the server stays
            self._write(_page_of_bug(bug), keep_alive=keep_alive)
        finally:
            self._answering = None
        self._answer_next()

    async def _stream(self, answer: Response, request: Request) -> None:
        """Send a long body as fast as the client takes it."""
        length, parts = answer.stream or (0, iter(()))
        self._write_head(answer, length, keep_alive=request.keep_alive)
        for part in parts:
            await self._writable.wait()
            if self._transport is None:
                return
            self._transport.write(part)
        self._answering = None
        self._end_answer(keep_alive=request.keep_alive)
        self._answer_next()

    def _answer_next(self) -> None:
        while self._queue and self._answering is None:
            self._answer(self._queue.popleft())
        if self._answering is not None:
            return
        if self._is_refusing and not self._is_refused:
            self._tell_refused()
        elif self._is_heard_out and self._transport is not None:
            self._transport.close()

    def _write(self, response: Response, *, keep_alive: bool) -> None:
        self._write_head(response, len(response.body), keep_alive=keep_alive)
        self._end_answer(keep_alive=keep_alive)

    def _write_head(self, response: Response, length: int, *, keep_alive: bool) -> None:
        """The head of an answer, and its body where that is at hand."""
        if self._transport is None or self._transport.is_closing():
            return
        head = (
            f"HTTP/1.1 {response.status} {_REASONS.get(response.status, '')}\r\n"
            f"content-type: {response.content_type}\r\n"
            f"content-length: {length}\r\n"
            f"connection: {'keep-alive' if keep_alive else 'close'}\r\n"
            "cache-control: no-cache, no-store\r\n"
            "Access-Control-Allow-Origin: *\r\n"
            "Access-Control-Allow-Headers: X-Requested-With\r\n\r\n"
        )
        self._transport.write(head.encode("latin-1") + response.body)

    def _end_answer(self, *, keep_alive: bool) -> None:
        if self._transport is not None and not keep_alive:
            self._queue.clear()
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Server:
    """A listening address and its connections."""

    def __init__(
        self,
        handler: Handler,
        body_max: int | None = BODY_MAX,
        uploads: Callable[[str, str, dict[str, str]], Upload | None] = no_uploads,
        is_silent: Callable[[], bool] = lambda: False,
    ) -> None:
        self.handler = handler
        self.uploads = uploads
        self.is_silent = is_silent
        self.body_max = body_max
        self.connections: set[Connection] = set()
        self.address = ""
        self.port = 0
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), host, port, backlog=1024, ssl=tls
        )
        host, self.port = self._server.sockets[0].getsockname()[:2]
        self.address = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def abort_connections(self) -> None:
        for connection in list(self.connections):
            connection.abort()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.abort_connections()
