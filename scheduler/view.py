"""A pool as those see it who accept launches: one of them looks, and the others wait if that pays.

A pool that hangs is waited for by one thread, however many launches name it: the others go on
without, for their time belongs to the other pools.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from scheduler.inventory import Inventory
from scheduler.placement import HostRoom, NoRoom
from scheduler.strategies import Standing
from xenlaunch.errors import Busy, PoolError
from xenlaunch.ledger import Ledger
from xenlaunch.model import LaunchRequest

FRESH_SECONDS: Final = 1.0
"""How long a look at a pool serves those who are accepted after it."""

WAIT_SECONDS: Final = 3.0
"""How long a thread waits for one that asks a pool which answers quickly."""

SAMPLE: Final = 50
"""The memory that a line waits for is reckoned from so many at its head."""

_ASK_SECONDS: Final = 0.05


class Pools(Protocol):
    """What is asked about the pools."""

    @property
    def pools(self) -> tuple[str, ...]: ...

    @property
    def ledger(self) -> Ledger: ...

    def answering(self, pool: str) -> Inventory:
        """The pool, if it answers and may be used; else `PoolError`, soon."""
        ...

    def is_quick(self, pool: str) -> bool:
        """Whether the pool answers soon, if it is asked."""
        ...


@dataclass(frozen=True)
class Fit:
    """What a pool is for a launch: what it would take there, and whether it could be there."""

    memory: int
    has_template: bool
    never: NoRoom | None

    @property
    def suits(self) -> bool:
        return self.has_template and self.never is None


@dataclass
class Seen:
    """A pool at one look, and what has been promised of it since."""

    inventory: Inventory
    hosts: Mapping[str, HostRoom]
    free: int
    launches: int
    _fits: dict[LaunchRequest, Fit] = field(default_factory=dict)

    @property
    def standing(self) -> Standing:
        usable = (host.memory for host in self.hosts.values() if host.usable)
        return Standing(self.free, sum(usable), self.launches)

    def fit(self, request: LaunchRequest) -> Fit:
        """Looked up once for requests that differ in name alone."""
        alike = request.but(name="")
        if alike not in self._fits:
            need = self.inventory.need(request, {})
            verdict = self.inventory.place(self.hosts, need, {})
            hopeless = verdict if isinstance(verdict, NoRoom) and verdict.never else None
            has_template = bool(self.inventory.copies(request.template))
            self._fits[alike] = Fit(need.memory, has_template, hopeless)
        return self._fits[alike]

    def promise(self, memory: int) -> None:
        """A launch goes there: those who come after it reckon with that."""
        self.free -= memory
        self.launches += 1


class View:
    """One pool; thread-safe."""

    def __init__(
        self, pool: str, pools: Pools, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.pool = pool
        self._pools = pools
        self._clock = clock
        self._last: tuple[float, Seen | PoolError] | None = None
        self._alone = threading.Lock()

    def look(self, request: LaunchRequest) -> tuple[Seen, Fit] | PoolError:
        """The pool and what it is for a launch, or why that cannot be told now."""
        if not self._may_look():
            sentence = f"Somebody else here still waits for an answer of the pool {self.pool}."
            return Busy("POOL_SILENT", [self.pool], sentence)
        try:
            seen = self._seen()
            return seen if isinstance(seen, PoolError) else (seen, seen.fit(request))
        except PoolError as trouble:
            return trouble
        finally:
            self._alone.release()

    def _may_look(self) -> bool:
        until = self._clock() + WAIT_SECONDS
        while not self._alone.acquire(timeout=_ASK_SECONDS):
            if self._clock() >= until or not self._pools.is_quick(self.pool):
                return False
        return True

    def _seen(self) -> Seen | PoolError:
        if self._last is None or self._clock() - self._last[0] > FRESH_SECONDS:
            try:
                seen: Seen | PoolError = self._see()
            except PoolError as trouble:
                seen = trouble
            self._last = self._clock(), seen
        return self._last[1]

    def _see(self) -> Seen:
        ledger, inventory = self._pools.ledger, self._pools.answering(self.pool)
        held = ledger.in_flight(self.pool)
        hosts, waiting = inventory.hosts(held), ledger.line_length(self.pool)
        free = sum(host.free for host in hosts.values() if host.usable)
        head = ledger.records(ledger.waiting(self.pool, min(waiting, SAMPLE))) if waiting else []
        wanted = sum(inventory.need(record.request, {}).memory for record in head)
        free -= wanted * waiting // max(len(head), 1)
        return Seen(inventory, hosts, free, waiting + len(held))
