"""Which pool a launch goes to that names several, or none: chosen by what each has room for.

A thousand launches that are accepted at once are shared out over the pools in proportion to the
memory that they have free, less what their lines wait for. Where that is used up, it goes on by the
memory that they have in all. A pool that does not answer or stands still is passed over, and so is
one that could never have the VM.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from scheduler.inventory import Inventory
from scheduler.placement import HostRoom, NoRoom, place
from scheduler.strategies import Standing, share
from xenlaunch.errors import Busy, PoolError, Refused
from xenlaunch.groups import TOGETHER
from xenlaunch.ledger import Ledger
from xenlaunch.model import LaunchRequest

FRESH_SECONDS: Final = 1.0
"""How long a look at the pools serves those who are accepted after it."""

SAMPLE: Final = 50
"""The memory that a line waits for is reckoned from so many at its head."""


class Pools(Protocol):
    """What is asked about the pools."""

    @property
    def pools(self) -> tuple[str, ...]: ...

    @property
    def ledger(self) -> Ledger: ...

    def answering(self, pool: str) -> Inventory:
        """The pool, if it answers and may be used; else `PoolError`, soon."""
        ...


@dataclass
class Seen:
    """A pool at one look, and what has been promised of it since."""

    inventory: Inventory
    hosts: Mapping[str, HostRoom]
    free: int
    launches: int
    verdicts: dict[LaunchRequest, NoRoom | None] = field(default_factory=dict)

    @property
    def standing(self) -> Standing:
        usable = (host.memory for host in self.hosts.values() if host.usable)
        return Standing(self.free, sum(usable), self.launches)


class Choosing:
    """The pools as one process sees them."""

    def __init__(self, pools: Pools, clock: Callable[[], float] = time.monotonic) -> None:
        self._pools = pools
        self._clock = clock
        self._seen: dict[str, tuple[float, Seen | PoolError]] = {}
        self._lock = threading.Lock()

    def pool_for(self, request: LaunchRequest) -> str:
        """The pool of a launch. Raises `Refused` for an unknown name, `Busy` if none answers."""
        names = named(request.pool, self._pools.pools)
        if len(names) == 1:
            return names[0]
        if request.group is not None and request.group.keep == TOGETHER:
            return home(request.group.mark, names)
        with self._lock:
            return self._by_room(request, names)

    def never(self, request: LaunchRequest, pool: str) -> NoRoom | None:
        """Why no host of a pool could ever have the VM, if that can be told now."""
        with self._lock:
            seen = self._look(pool)
            return None if isinstance(seen, PoolError) else never(request, seen)

    def _by_room(self, request: LaunchRequest, names: Sequence[str]) -> str:
        looks = {pool: self._look(pool) for pool in names}
        answering = {pool: seen for pool, seen in looks.items() if isinstance(seen, Seen)}
        if not answering:
            raise nobody_answers(looks)
        suited = {pool: seen for pool, seen in answering.items() if suits(request, seen)}
        chosen = roomiest({pool: seen.standing for pool, seen in (suited or answering).items()})
        seen = answering[chosen]
        seen.free -= seen.inventory.need(request, {}).memory
        seen.launches += 1
        return chosen

    def _look(self, pool: str) -> Seen | PoolError:
        now = self._clock()
        at, seen = self._seen.get(pool, (0.0, None))
        if seen is None or now - at > FRESH_SECONDS:
            try:
                seen = self._see(pool)
            except PoolError as trouble:
                seen = trouble
            self._seen[pool] = (self._clock(), seen)
        return seen

    def _see(self, pool: str) -> Seen:
        ledger, inventory = self._pools.ledger, self._pools.answering(pool)
        held = ledger.in_flight(pool)
        hosts, waiting = inventory.hosts(held), ledger.line_length(pool)
        free = sum(host.free for host in hosts.values() if host.usable)
        head = ledger.records(ledger.waiting(pool, min(waiting, SAMPLE))) if waiting else []
        wanted = sum(inventory.need(record.request, {}).memory for record in head)
        free -= wanted * waiting // max(len(head), 1)
        return Seen(inventory, hosts, free, waiting + len(held))


def named(wanted: str | tuple[str, ...] | None, pools: tuple[str, ...]) -> tuple[str, ...]:
    """The pools that a launch may go to.

    >>> named(("attic", "lab"), ("lab", "attic", "cellar"))
    ('attic', 'lab')
    """
    if wanted is None:
        return pools
    listed = (wanted,) if isinstance(wanted, str) else wanted
    for pool in listed:
        if pool not in pools:
            there = ", ".join(sorted(pools)) or "none"
            sentence = f"There is no pool {pool!r}; there is {there}."
            raise Refused("POOL_NOT_FOUND", [pool], sentence)
    return tuple(dict.fromkeys(listed))


def home(group: str, pools: Sequence[str]) -> str:
    """The pool of a group that is kept together: always the same of these, whoever asks.

    >>> home("together db", ("lab", "attic")) == home("together db", ("attic", "lab"))
    True
    """
    return max(pools, key=lambda pool: hashlib.sha256(f"{group}\0{pool}".encode()).digest())


def roomiest(standings: Mapping[str, Standing]) -> str:
    """The pool with most memory for each launch that is to have some, with this one.

    >>> big, small = Standing(200, 200, 3), Standing(100, 100, 0)
    >>> roomiest({"big": big, "small": small})
    'small'
    """
    return max(standings, key=lambda pool: (share(standings[pool]), pool))


def suits(request: LaunchRequest, seen: Seen) -> bool:
    return bool(seen.inventory.copies(request.template)) and never(request, seen) is None


def never(request: LaunchRequest, seen: Seen) -> NoRoom | None:
    """Why the pool could never have the VM; looked up once for requests that differ in name."""
    alike = request.but(name="")
    if alike not in seen.verdicts:
        need = seen.inventory.need(request, {})
        rooms = seen.inventory.with_gpus(seen.hosts, need.gpu, {}) if need.gpu else seen.hosts
        verdict = place(rooms.values(), need)
        hopeless = verdict if isinstance(verdict, NoRoom) and verdict.never else None
        seen.verdicts[alike] = hopeless
    return seen.verdicts[alike]


def nobody_answers(looks: Mapping[str, Seen | PoolError]) -> Busy:
    reasons = (look.message for look in looks.values() if isinstance(look, PoolError))
    sentence = f"None of the pools can be used now: {' '.join(reasons)}"
    return Busy("NO_POOL_ANSWERS", sorted(looks), sentence)
