"""The role of sweeping a pool: now and then, and soon after a launch has ended with leftovers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scheduler.removing import Sweep
from workers.runtime import Runtime

WAIT_SECONDS: Final = 2.0
READY_SECONDS: Final = 10.0


@dataclass
class Sweeping:
    """One pool's sweeper."""

    runtime: Runtime
    pool: str
    _next: float = 0.0

    @property
    def name(self) -> str:
        return f"sweep:{self.pool}"

    def let_go(self) -> None:
        """What it has seen lies in Redis."""

    def turn(self, held: Callable[[], bool]) -> None:
        settings, ledger = self.runtime.settings, self.runtime.ledger
        every = settings.sweep_every_seconds
        nudged = ledger.await_nudge(self.name, min(WAIT_SECONDS, every))
        if not held() or not (nudged or time.monotonic() >= self._next):
            return
        self._next = time.monotonic() + every
        self.runtime.permit(self.pool)
        reach = self.runtime.reach(self.pool)
        reach.records.ready(READY_SECONDS)
        grace = int(settings.sweep_grace_seconds * 1000)
        Sweep(ledger, reach, self.runtime.deployment, grace, held).carry_out()
