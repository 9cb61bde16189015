"""The ledger's stream of events, followed once for all browsers that look at the page."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from workers.flowerpage.shown import changed
from xenlaunch.errors import XenlaunchError
from xenlaunch.ledger import Ledger

log = logging.getLogger(__name__)

AWAY_PAUSE: Final = 1.0


class Pulse:
    """Tells every listener which launches have changed; one thread reads, once one listens."""

    def __init__(self, ledger: Callable[[], Ledger]) -> None:
        self._ledger = ledger
        self._listeners: dict[asyncio.Queue[list[str]], asyncio.AbstractEventLoop] = {}
        self._thread: threading.Thread | None = None

    def listen(self) -> "asyncio.Queue[list[str]]":
        queue: asyncio.Queue[list[str]] = asyncio.Queue()
        self._listeners[queue] = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="pulse", daemon=True)
            self._thread.start()
        return queue

    def leave(self, queue: "asyncio.Queue[list[str]]") -> None:
        self._listeners.pop(queue, None)

    def _follow(self) -> None:
        position = ""
        while True:
            try:
                position = self._turn(position)
            except XenlaunchError as lost:
                log.info("The ledger's events cannot be followed: %s", lost)
                time.sleep(AWAY_PAUSE)

    def _turn(self, position: str) -> str:
        ledger = self._ledger()
        if not position:
            return ledger.last_event()
        news = list(ledger.events(position, 1000))
        if not news:
            return position
        launches = changed(news)
        for queue, loop in list(self._listeners.items()):
            loop.call_soon_threadsafe(queue.put_nowait, launches)
        return news[-1][0]
