"""A line between two who speak TCP, with somebody on it who may hold up what is said."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, Final, Self
from urllib.parse import urlsplit

CHUNK: Final = 1 << 16


class Line:
    """A TCP proxy on loopback, in a thread of its own; a context. Everything goes through."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        # A loop holds its tasks weakly, and who has heard one end of a connection close holds none.
        self._serving: set[asyncio.Task[None] | None] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"{self._address.scheme}://127.0.0.1:{port}{self._address.path}"

    async def forth(self, _: bytes) -> None:
        """Something is said; it goes on when this returns."""

    async def back(self, _: bytes) -> None:
        """Something is answered; it goes on when this returns."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0)).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        me = asyncio.current_task()
        # Who was let in at this very moment gets a task of its own only in the next turn.
        while left := asyncio.all_tasks() - {me}:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1)
            await asyncio.sleep(0)
        for _ in range(3):  # what has closed is told of it in a later turn of the loop
            await asyncio.sleep(0)

    async def _serve(self, ours: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        lines = [back]
        self._serving.add(asyncio.current_task())
        # The end of the line cancels this: asyncio would complain of it.
        with suppress(OSError, asyncio.CancelledError):
            target = self._address.hostname, self._address.port
            theirs, onward = await asyncio.open_connection(*target)
            lines.append(onward)
            await asyncio.gather(self._forth(ours, onward), self._back(theirs, back))
        for line in lines:
            line.transport.abort()
        self._serving.discard(asyncio.current_task())

    async def _forth(self, ours: asyncio.StreamReader, onward: asyncio.StreamWriter) -> None:
        while chunk := await _read(ours):
            await self.forth(chunk)
            onward.write(chunk)
            with suppress(OSError):
                await onward.drain()
        with suppress(OSError):
            onward.write_eof()

    async def _back(self, theirs: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while chunk := await _read(theirs):
            await self.back(chunk)
            back.write(chunk)
            with suppress(OSError):
                await back.drain()
        back.close()


async def _read(stream: asyncio.StreamReader) -> bytes:
    with suppress(OSError):
        return await stream.read(CHUNK)
    return b""


class SilentLine(Line):
    """A line that may lose every packet for a while, and says so to nobody.

    Nothing is refused or closed. Afterwards what was said arrives late, as TCP sends again what
    it has no answer to; whoever has given up meanwhile has closed, and is not answered.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._hears = asyncio.Event()
        self._hears.set()

    async def forth(self, _: bytes) -> None:
        await self._hears.wait()

    async def back(self, _: bytes) -> None:
        await self._hears.wait()

    @contextmanager
    def silent(self) -> Iterator[None]:
        self._loop.call_soon_threadsafe(self._hears.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._hears.set)
