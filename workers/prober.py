"""The role of probing a pool that does not answer, and of waking who waits for that it does."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from workers.duties import Duties
from xenlaunch import names
from xenlaunch.breaker import close_breaker, shut_out
from xenlaunch.errors import PoolError

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 2.0
"""How often an open breaker's pool is probed, and how often a closed one is looked at."""

PROBE_SECONDS: Final = 5.0
"""How long one member may take to answer a probe."""

WAKE_AT_ONCE: Final = 20
WAKE_EVERY: Final = 0.4
"""So many are woken, and then again so many: all at once would silence the pool anew."""

SURE_EVERY: Final = 15.0
"""How often it is looked for who waits though the breaker is closed: who parked just too late."""


@dataclass
class Probing:
    """One pool's prober. Closed by one holder, who waits is woken by the next, should it die."""

    duties: Duties
    pool: str
    pause: Callable[[float], object] = field(default=time.sleep)
    _waking: bool = True
    _looked: float = 0.0

    @property
    def name(self) -> str:
        return f"probe:{self.pool}"

    def let_go(self) -> None:
        self._waking = True

    def turn(self, held: Callable[[], bool]) -> None:
        runtime = self.duties.runtime
        if not self._waking:
            self.duties.ledger.await_nudge(self.name, EVERY_SECONDS)
        runtime.generations.refresh()
        if not held():
            return
        if runtime.breakers.find(self.pool):
            self._waking = self._probe()
        elif self._waking or time.monotonic() - self._looked > SURE_EVERY:
            self._looked = time.monotonic()
            self._waking = self._wake()

    def _probe(self) -> bool:
        """Whether the pool answers; then its breaker is closed."""
        try:
            self.duties.runtime.reach(self.pool).session.probe(PROBE_SECONDS)
        except PoolError as silent:
            log.info("Still nothing of the pool %s: %s", self.pool, silent.message)
            return False
        close_breaker(self.duties.ledger, self.pool)
        log.warning("The pool %s answers again", self.pool)
        return True

    def _wake(self) -> bool:
        """Wake the first of those who wait, in the order of the line; whether there may be more."""
        waiting = shut_out(self.duties.ledger, self.pool)
        for launch in waiting[:WAKE_AT_ONCE]:
            step = self.duties.ledger.wake(launch, names.breaker_ref(launch))
            if step:
                self.duties.begin(launch, step)
        if waiting:
            self.pause(WAKE_EVERY)
        return bool(waiting)
