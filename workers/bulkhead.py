"""The bulkhead: a pool that hangs holds only its share of this process's threads.

Who finds no place waits for one while the pool answers quickly, for then one is soon free. Where it
does not, nobody waits here: the step parks and is tried again, and its thread serves other pools.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from xenlaunch.xapi.refusals import refusal

TURN_SECONDS: Final = 1.0
"""How long a thread waits for its turn at a pool that answers quickly."""

_LOOK_SECONDS: Final = 0.1


def share_of(threads: int, pools: int) -> int:
    """How many of a process's threads one of its pools may hold.

    Whatever pools hang, one thread at least is left for the last of them; but with many pools none
    gets less than a quarter, for hardly all of them hang at once.

    >>> [share_of(64, pools) for pools in (1, 2, 3, 5, 50)]
    [64, 63, 31, 16, 16]
    >>> [share_of(4, pools) for pools in (1, 2, 3, 5)], share_of(1, 3)
    ([4, 3, 1, 1], 1)
    """
    if pools < 2:
        return threads
    return max(1, (threads - 1) // (pools - 1), threads // 4)


class Bulkhead:
    """Which pool holds how many threads of this process; thread-safe."""

    def __init__(
        self,
        threads: int,
        pools: int,
        is_quick: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.share = share_of(threads, pools)
        self._is_quick = is_quick
        self._clock = clock
        self._held: Counter[str] = Counter()
        self._freed = threading.Condition()

    @contextmanager
    def place(self, pool: str) -> Iterator[None]:
        """One of the pool's places; `Busy` where there is none soon."""
        with self._freed:
            self._await(pool)
            self._held[pool] += 1
        try:
            yield
        finally:
            with self._freed:
                self._held[pool] -= 1
                self._freed.notify_all()

    def _await(self, pool: str) -> None:
        until = self._clock() + TURN_SECONDS
        while self._held[pool] >= self.share:
            if self._clock() >= until or not self._is_quick(pool):
                raise refusal("", "POOL_BUSY_HERE", [pool, str(self.share)])
            self._freed.wait(_LOOK_SECONDS)
