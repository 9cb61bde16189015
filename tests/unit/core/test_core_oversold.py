"""Memory is never sold twice, however many dispatchers there are and however late they hear.

Each dispatcher has its own cache of one pool, which hears of nothing until it asks to catch up. All
of them think that the role is theirs.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from scheduler.dispatch import dispatch
from scheduler.inventory import Inventory
from scheduler.placement import Need
from scheduler.taken import NULL, Taken
from tests.unit.core.lives import DEPLOYMENT, POOL, Lives
from xenlaunch import names
from xenlaunch.model import LaunchRequest
from xenlaunch.reservations import reservations
from xenlaunch.xapi.reach import Reach
from xenlaunch.xapi.records import ADD, Event

GIB: Final = 1 << 30
HOSTS: Final = 4
MEMORY: Final = 50 * GIB
LAUNCHES: Final = 200
DISPATCHERS: Final = 6


class World:
    """The pool as it is, and what is sold of it."""

    def __init__(self, lives: Lives, chance: random.Random) -> None:
        self.lives = lives
        self.chance = chance
        self.rows: dict[str, dict[str, Any]] = {}
        self.begun: list[str] = []
        self.lock = threading.Lock()

    def begin(self, launch: str, _: str) -> None:
        """A launch has its room, a worker takes it up; now and then one that has room lands."""
        self.lives.redis.srem(self.lives.key("ready", POOL), launch)
        with self.lock:
            self.begun.append(launch)
            if self.chance.random() < 0.5:
                self.land(self.begun[self.chance.randrange(len(self.begun))])

    def land(self, launch: str) -> None:
        """Its VM runs; a moment later its reservation goes."""
        held = reservations(self.lives.ledger.store, POOL).held
        if launch in held:
            self.rows[launch] = row(launch, held[launch])
            self.lives.redis.hdel(self.lives.key("inflight", POOL), launch)

    def sold(self) -> Counter[str]:
        """The bytes that are taken or promised, by host."""
        sold: Counter[str] = Counter()
        for launch, held in reservations(self.lives.ledger.store, POOL).held.items():
            sold[held["host"]] += held["memory"] if launch not in self.rows else 0
        for vm in self.rows.values():
            sold[vm["resident_on"]] += int(vm["memory_dynamic_min"])
        return sold


def row(launch: str, held: dict[str, Any]) -> dict[str, Any]:
    mark = f"{DEPLOYMENT}/{launch}/u-{launch}"
    return {
        "uuid": f"u-{launch}",
        "name_label": launch,
        "is_a_template": False,
        "is_a_snapshot": False,
        "is_control_domain": False,
        "resident_on": held["host"],
        "scheduled_to_be_resident_on": NULL,
        "memory_dynamic_min": str(held["memory"]),
        "memory_overhead": "0",
        "other_config": {names.OTHER_CONFIG_MARK: mark},
    }


class Cache:
    """One dispatcher's records: what VMs there are it learns when it catches up, and never else."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.known: dict[str, dict[str, Any]] = {}
        self.tell: Callable[[Event], None] = lambda _: None
        hosts = [f"h{number}" for number in range(HOSTS)]
        self.tables: dict[str, dict[str, Any]] = {
            "host": {ref: host(ref) for ref in hosts},
            "host_metrics": {
                f"m-{ref}": {"memory_total": str(MEMORY), "live": True} for ref in hosts
            },
            "vm": self.known,
        }

    def all(self, cls: str) -> dict[str, Any]:
        return dict(self.tables.get(cls, {}))

    def subscribe(self, callback: Callable[[Event], None]) -> None:
        self.tell = callback

    def barrier(self) -> None:
        with self.world.lock:
            news = {ref: vm for ref, vm in self.world.rows.items() if ref not in self.known}
        self.known.update(news)
        for ref, vm in news.items():
            self.tell(Event("vm", ADD, ref, vm))


def host(ref: str) -> dict[str, Any]:
    name = {"uuid": f"u-{ref}", "name_label": ref, "metrics": f"m-{ref}"}
    return {**name, "memory_overhead": "0", "enabled": True, "cpu_info": {"cpu_count": "64"}}


class Plain(Inventory):
    """An inventory that reads no templates; at its first look it waits for the others' first."""

    def __init__(self, cache: Cache, taken: Taken, together: threading.Barrier) -> None:
        empty = SimpleNamespace(records=cache, template_disk=None, traffic={}, session=None)
        super().__init__(cast("Reach", empty), taken)
        self._together = together

    def hosts(self, reservations: Any) -> Any:
        rooms = super().hosts(reservations)
        if not self._together.broken:
            try:
                self._together.wait(5)
            except threading.BrokenBarrierError:
                return rooms
            self._together.abort()
        return rooms

    def need(self, request: LaunchRequest, *_: Any) -> Need:
        return Need(request.least_memory or GIB)


@pytest.mark.parametrize("seed", range(3))
def test_memory_is_never_sold_twice(lives: Lives, seed: int) -> None:
    chance = random.Random(seed)
    world = World(lives, chance)
    sizes = [chance.randint(1, 3) * GIB for _ in range(LAUNCHES)]
    for size in sizes:
        lives.joined(memory=size)
    together = threading.Barrier(DISPATCHERS)

    def dispatcher() -> None:
        cache = Cache(world)
        taken = Taken(cache, DEPLOYMENT)
        idle = 0
        while idle < 3:
            inventory = Plain(cache, taken, together)
            gone = dispatch(lives.ledger, POOL, inventory, world.begin, 1000)
            idle = 0 if gone else idle + 1

    with ThreadPoolExecutor(DISPATCHERS) as threads:
        for done in [threads.submit(dispatcher) for _ in range(DISPATCHERS)]:
            done.result()
    sold = world.sold()

    assert sum(sizes) > HOSTS * MEMORY
    assert {ref: taken for ref, taken in sold.items() if taken > MEMORY} == {}
    assert sum(sold.values()) > 0.97 * HOSTS * MEMORY
    assert len(world.begun) == len(set(world.begun))
