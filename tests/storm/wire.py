"""A wire between a worker and its pool that can hold back what was sent, and deliver it late."""

import asyncio

from tests.support.lines import Line


class Wire(Line):
    """The first request that has one of the ``held`` texts in it is held back, with all that comes
    after it on that connection, until it is let go. What the pool answers goes through.
    """

    def __init__(self, url: str, held: tuple[bytes, ...]) -> None:
        super().__init__(url)
        self._to_hold = list(held)
        self._go = asyncio.Event()
        self.holds: list[bytes] = []
        self.delivered = 0

    def let_go(self) -> None:
        """Deliver what was held back."""
        self._loop.call_soon_threadsafe(self._go.set)

    async def forth(self, chunk: bytes) -> None:
        text = next((text for text in self._to_hold if text in chunk), None)
        if text is not None:
            self._to_hold.remove(text)
            self.holds.append(text)
            await self._go.wait()
            self.delivered += 1
