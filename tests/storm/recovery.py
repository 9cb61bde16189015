"""How long it takes until somebody else goes on with what a dead process had under lease.

Counted from the moment the process died (or was stopped) to the moment its lease on a launch is no
longer the launch's: another has claimed it, or it has moved on. Where Redis was away in between
nobody may take over for one lease more, and the time is counted from Redis' return.
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tests.storm.rig import Rig
from xenlaunch.store import reachable


@dataclass(frozen=True)
class Orphan:
    """A launch whose owner died, with the fence of the dead lease."""

    launch: str
    fence: str
    died: float
    since: float


class Recovery:
    """Follows the launches that dead processes had under lease."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._dead: list[tuple[int, float]] = []
        self._orphans: list[Orphan] = []
        self._redis_came_back = 0.0
        self.seconds: list[float] = []
        self.from_death: list[float] = []

    def died(self, pid: int) -> None:
        self._dead.append((pid, time.monotonic()))

    def redis_came_back(self) -> None:
        self._redis_came_back = now = time.monotonic()
        self._orphans = [replace(orphan, since=now) for orphan in self._orphans]

    def look(self, in_flight: Iterable[str]) -> None:
        """Read whose leases are dead, and which of them have been taken over since."""
        dead, self._dead = self._dead, []
        if dead:
            fences = self._fields(list(in_flight), "lease", "worker")
            for launch, (fence, worker) in fences.items():
                for pid, since in dead:
                    if fence and worker and f"/{pid}/" in worker:
                        counted = max(since, self._redis_came_back)
                        self._orphans.append(Orphan(launch, fence, since, counted))
        if self._orphans:
            self._look_at_orphans()

    def _look_at_orphans(self) -> None:
        fences = self._fields([orphan.launch for orphan in self._orphans], "lease")
        now, left = time.monotonic(), []
        for orphan in self._orphans:
            if fences.get(orphan.launch, ("",))[0] == orphan.fence:
                left.append(orphan)
            else:
                self.seconds.append(now - orphan.since)
                self.from_death.append(now - orphan.died)
        self._orphans = left

    def _fields(self, launches: Sequence[str], *names: str) -> dict[str, tuple[str, ...]]:
        store = self._rig.ledger.store
        with reachable(), store.redis.pipeline(transaction=False) as pipe:
            for launch in launches:
                pipe.hmget(store.key("launch", launch), *names)
            return {
                launch: tuple(values)
                for launch, values in zip(launches, pipe.execute(), strict=True)
            }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so great a share of the values does not exceed.

    >>> percentile([4, 1, 3, 2], 0.5), percentile([4, 1, 3, 2], 0.99), percentile([], 0.5)
    (2, 4, 0.0)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
