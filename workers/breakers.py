"""What this process does about breakers: it heeds them all, and opens that of a silent pool."""

import logging
from collections.abc import Callable, Mapping

from xenlaunch.breaker import Breaker, open_breaker
from xenlaunch.ledger import Ledger
from xenlaunch.xapi.pulse import Pulse

log = logging.getLogger(__name__)


class Breakers:
    """The breakers of this process's pools, as the ledger has told of them last."""

    def __init__(
        self,
        ledger: Ledger,
        claims: Callable[[], Mapping[str, str]],
        pulses: Callable[[], Mapping[str, Pulse]],
    ) -> None:
        self._ledger = ledger
        self._claims = claims
        self._pulses = pulses
        self._were_open: set[str] = set()

    def find(self, pool: str) -> Breaker | None:
        """The pool's breaker, if it is open."""
        return Breaker.of(self._claims(), pool)

    def check(self, pool: str) -> None:
        """Raise `Silent` while the pool's breaker is open."""
        found = self.find(pool)
        if found:
            raise found.error()

    def beat(self) -> None:
        """Open the breakers of the pools that do not answer this process."""
        for pool, pulse in self._pulses().items():
            if self.find(pool):
                self._were_open.add(pool)
            elif pool in self._were_open:
                # Somebody has seen it answer. What still hangs here is from before that.
                self._were_open.discard(pool)
                pulse.restart()
            elif why := pulse.trouble():
                self._were_open.add(pool)
                if open_breaker(self._ledger, pool, why):
                    log.warning("The pool %s does not answer, it is left alone: %s", pool, why)
