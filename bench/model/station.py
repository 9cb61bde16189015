"""A part of a pool that works: an SR on one disk, a host on four starts, the one placement."""

from collections import deque
from typing import Any

from bench.model.clock import Act, Clock

Span = tuple[float, float]
"""When a piece of work began and when it ended, in seconds."""


class Station:
    """Works on so many pieces at once, in the order in which they came."""

    def __init__(self, clock: Clock, at_once: int = 1, *, remembers: bool = False) -> None:
        self.spans: list[Span] | None = [] if remembers else None
        self.at_once = at_once
        self.worked = 0.0
        self._clock = clock
        self._working = 0
        self._waiting: deque[tuple[float, Act, tuple[Any, ...]]] = deque()

    def work(self, seconds: float, then: Act, *args: Any) -> None:
        """Take so long for it when its turn has come, and then go on with that."""
        if self._working < self.at_once:
            self._begin(seconds, then, args)
        else:
            self._waiting.append((seconds, then, args))

    def _begin(self, seconds: float, then: Act, args: tuple[Any, ...]) -> None:
        self._working += 1
        self.worked += seconds
        if self.spans is not None:
            self.spans.append((self._clock.now, self._clock.now + seconds))
        self._clock.after(seconds, self._end, then, args)

    def _end(self, then: Act, args: tuple[Any, ...]) -> None:
        self._working -= 1
        if self._waiting:
            self._begin(*self._waiting.popleft())
        then(*args)
