"""The model's time: what is to happen, in its order."""

import heapq
from collections.abc import Callable
from typing import Any

Act = Callable[..., None]


class Clock:
    """Seconds since the beginning, which only go on when something happens."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Act, tuple[Any, ...]]] = []
        self._asked = 0

    def after(self, seconds: float, act: Act, *args: Any) -> None:
        """Have it happen then; of two at the same moment, first what was asked for first."""
        self._asked += 1
        heapq.heappush(self._due, (self.now + seconds, self._asked, act, args))

    def run(self) -> int:
        """Let everything happen; how much there was."""
        due, pop = self._due, heapq.heappop
        while due:
            self.now, _, act, args = pop(due)
            act(*args)
        return self._asked
