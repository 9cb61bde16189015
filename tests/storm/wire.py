"""A wire between a worker and its pool that can hold back what was sent, and deliver it late."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, Self
from urllib.parse import urlsplit

CHUNK: Final = 1 << 16


class Wire:
    """A TCP proxy on loopback, in a thread of its own; a context.

    The first request that has one of the ``held`` texts in it is held back with all that comes
    after it on that connection, until it is let go. What the pool answers goes through.
    """

    def __init__(self, url: str, held: tuple[bytes, ...]) -> None:
        address = urlsplit(url)
        self._target = (address.hostname, address.port)
        self._to_hold = list(held)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._go = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.holds: list[bytes] = []
        self.delivered = 0

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0)).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def let_go(self) -> None:
        """Deliver what was held back."""
        self._loop.call_soon_threadsafe(self._go.set)

    def _run(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # what has closed is told of it in the next turn of the loop

    async def _serve(self, ours: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        lines = [back]
        # The end of the wire cancels this: asyncio would complain of it.
        with suppress(OSError, asyncio.CancelledError):
            theirs, onward = await asyncio.open_connection(*self._target)
            lines.append(onward)
            await asyncio.gather(self._forth(ours, onward), self._back(theirs, back))
        for line in lines:
            line.close()
            with suppress(OSError):
                await line.wait_closed()

    async def _forth(self, ours: asyncio.StreamReader, onward: asyncio.StreamWriter) -> None:
        while chunk := await _read(ours):
            text = next((text for text in self._to_hold if text in chunk), None)
            if text is not None:
                self._to_hold.remove(text)
                self.holds.append(text)
                await self._go.wait()
                self.delivered += 1
            onward.write(chunk)
            with suppress(OSError):
                await onward.drain()
        with suppress(OSError):
            onward.write_eof()

    async def _back(self, theirs: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while chunk := await _read(theirs):
            back.write(chunk)
            with suppress(OSError):
                await back.drain()
        back.close()


async def _read(stream: asyncio.StreamReader) -> bytes:
    with suppress(OSError):
        return await stream.read(CHUNK)
    return b""
