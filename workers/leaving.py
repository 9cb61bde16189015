"""A worker that is asked to end ends within bounded time.

Celery waits for the steps that it runs, for as long as they take; a call to a pool that hangs takes
long. So whatever has not come to its end after the grace is let go: its leases are given up in the
ledger, so that others go on at once, and the process ends under it. What it may have begun in the
pool has its intent in the ledger, and whoever goes on looks before anything is sent.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from celery import signals

from workers.roles import KEEP_EVERY
from workers.runtime import Runtime
from xenlaunch.errors import StoreUnreachable

log = logging.getLogger(__name__)

LOGOUT_SECONDS: Final = 2.0
"""How long the pools may take for our farewell; a session that stays is ended by whoever looks."""


class Leaving:
    """The end of one worker process."""

    def __init__(self, runtime: Runtime, end: Callable[[int], object] = os._exit) -> None:
        self._runtime = runtime
        self._end = end
        self._begun = threading.Event()

    def install(self) -> None:
        signals.worker_shutting_down.connect(self.begin, weak=False)

    def begin(self, how: str = "Warm", **_: Any) -> None:
        """Called in a signal's handler: it only starts the thread that sees to the end."""
        grace = self._runtime.settings.stop_seconds if how.lower() == "warm" else 0.0
        if not self._begun.is_set() or not grace:
            self._begun.set()
            threading.Thread(target=self.see_to_it, args=(grace,), daemon=True).start()

    def see_to_it(self, grace: float) -> None:
        """If the process is still there after the grace, end it."""
        until = time.monotonic() + grace
        while (left := until - time.monotonic()) > 0:
            # The roles' thread, which renews leases otherwise, has ended before the last step has.
            self._runtime.beat()
            time.sleep(min(left, KEEP_EVERY))
        self.let_go()
        self._end(0)

    def let_go(self) -> None:
        try:
            given = self._runtime.give_back()
            log.warning("Did not wait any longer for %d steps; others go on with them", given)
        except StoreUnreachable as lost:
            log.warning("Leases were not given back, they run out: %s", lost)
        farewell = threading.Thread(target=self._runtime.close, daemon=True)
        farewell.start()
        farewell.join(LOGOUT_SECONDS)
        logging.shutdown()
