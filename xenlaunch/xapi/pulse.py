"""Whether a pool answers, as this process sees it: told by the begin and the end of every call.

A pool that refuses is well. One that hangs takes connections and says nothing more: that is seen
while the calls still wait, long before their time is up, by how long nothing at all has come back.
"""

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from xenlaunch.errors import PoolError
from xenlaunch.xapi.transport import BROKEN

SILENT_SECONDS: Final = 6.0
"""For how long no call is answered by a pool that hangs."""

FAILURES: Final = 3
FAILING_SECONDS: Final = 3.0
"""So often in a row, for so long, nobody is reached of a pool that is away."""

QUICK_SECONDS: Final = 0.5
"""How soon a pool answers at which it is worth to wait for one's turn."""

_UNHEARD: Final = BROKEN | {"POOL_UNREACHABLE", "UNSENT"}
_UNSAID: Final = frozenset({"SESSION_REPLACED", "PASSWORD_MISSING", "REQUEST_TOO_LONG"})
"""What this process says itself, of a call that the pool has never seen."""


class Pulse:
    """The calls of this process to one pool, and when it was last heard; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # held for a moment, never over a call
        self._numbers = itertools.count()
        self._under_way: dict[int, float] = {}
        self._heard = self._restarted = clock()
        self._failures = 0
        self._unheard = (math.inf, -math.inf)
        self._why = ""
        self._typical = 0.0

    @contextmanager
    def call(self, *, patient: bool = False) -> Iterator[None]:
        """Around one call. A patient one may take its time: it is missed only when that is up."""
        number, begun = next(self._numbers), self._clock()
        if not patient:
            with self._lock:
                self._under_way[number] = begun
        try:
            yield
        except PoolError as error:
            if error.code in _UNHEARD:
                late = not patient or error.code == "ANSWER_LATE"
                self._failed(begun if late else self._clock(), error)
            elif error.code not in _UNSAID:
                self._answered(begun)
            raise
        else:
            self._answered(begun)
        finally:
            with self._lock:
                self._under_way.pop(number, None)

    def _failed(self, since: float, error: PoolError) -> None:
        with self._lock:
            if since < self._restarted:
                return
            first = min(self._unheard[0], max(since, self._heard))
            self._unheard = (first, self._clock())
            self._failures += 1
            self._why = error.params[-1] if error.params else error.message

    def _answered(self, begun: float) -> None:
        with self._lock:
            self._heard = self._clock()
            self._typical += (self._heard - begun - self._typical) / 8
            self._failures, self._unheard, self._why = 0, (math.inf, -math.inf), ""

    def restart(self) -> None:
        """The pool answers again, as somebody else has seen: what was before says nothing more."""
        with self._lock:
            self._restarted = self._heard = self._clock()
            self._failures, self._unheard, self._why = 0, (math.inf, -math.inf), ""

    def silence(self) -> float:
        """For how many seconds the calls that are under way have had no answer, any of them."""
        with self._lock:
            begun = min(self._under_way.values(), default=math.inf)
            return max(0.0, self._clock() - max(begun, self._heard))

    def is_quick(self) -> bool:
        """Whether a call now would most likely be answered soon."""
        silence = self.silence()
        return not self._failures and max(silence, self._typical) < QUICK_SECONDS

    def trouble(self) -> str:
        """Why the pool should be left alone until it answers; '' where it is well."""
        silence = self.silence()
        with self._lock:
            failing = max(0.0, self._unheard[1] - self._unheard[0])
            why = self._why
            failed = self._failures >= FAILURES and failing >= FAILING_SECONDS
        if failed or max(silence, failing) >= SILENT_SECONDS:
            return why or "no answer in time"
        return ""
