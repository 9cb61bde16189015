"""Accepting and dispatching, over a real ledger and a pool that a test makes up."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import pytest

from scheduler.accept import accept
from scheduler.choosing import named
from scheduler.dispatch import PASSED_OVER, dispatch
from scheduler.inventory import Inventory
from scheduler.placement import HostRoom, Need, NoRoom, Placed, place
from tests.unit.core.lives import ERROR, POOL, Lives
from xenlaunch import names, states
from xenlaunch.errors import Busy
from xenlaunch.model import LaunchRequest

GIB = 1 << 30


class Shelf:
    """An inventory that a test has filled."""

    def __init__(self, *hosts: HostRoom) -> None:
        self.rooms = {host.ref: host for host in hosts}

    def catch_up(self, held: Iterable[str], version: str) -> None:
        """The shelf is as it is."""

    def promised(self, launch: str, version: str) -> None:
        """It need not be told."""

    def hosts(self, reservations: Mapping[str, Mapping[str, Any]]) -> dict[str, HostRoom]:
        rooms = dict(self.rooms)
        for held in reservations.values():
            room = rooms[held["host"]]
            rooms[room.ref] = make_room(room.name, (room.free - held["memory"]) // GIB)
        return rooms

    def place(
        self, hosts: Mapping[str, HostRoom], need: Need, _held: Mapping[str, Any]
    ) -> Placed | NoRoom:
        return place(hosts.values(), need)

    def need(self, request: LaunchRequest, avoid: Mapping[str, str], *_made: str) -> Need:
        return Need(request.least_memory or GIB, request.vcpus or 1, avoid=tuple(avoid.items()))


def make_room(name: str, free: int, memory: int = 16) -> HostRoom:
    return HostRoom(f"OpaqueRef:{name}", f"u-{name}", name, memory * GIB, free * GIB, 8)


@pytest.fixture
def run(lives: Lives) -> Callable[..., list[tuple[str, str]]]:
    """One pass over the line: what was begun, with the step from which on."""

    def once(shelf: Shelf, most: int = 400) -> list[tuple[str, str]]:
        begun: list[tuple[str, str]] = []

        def begin(launch: str, step: str) -> None:
            begun.append((launch, step))
            lives.redis.srem(lives.key("ready", POOL), launch)  # a worker takes it up at once

        gone = dispatch(lives.ledger, POOL, cast("Inventory", shelf), begin, most)
        ended = [one for one in lives.ledger.all_launches() if lives.state(one) in states.ENDED]
        assert gone == len(begun) + len(ended)
        return begun

    return once


Run = Callable[..., list[tuple[str, str]]]


def test_an_empty_line_asks_nothing_of_the_pool(lives: Lives) -> None:
    asked = cast("Inventory", None)
    gone = dispatch(lives.ledger, POOL, asked, lambda *_: None, 400)

    assert gone == 0


def test_the_line_goes_in_order(lives: Lives, run: Run) -> None:
    usual, urgent = lives.joined(), lives.joined(priority=0)
    begun = run(Shelf(make_room("host-1", 8)))

    assert begun == [(urgent, names.CONNECT), (usual, names.CONNECT)]
    assert lives.ledger.in_flight(POOL) == {
        launch: {"host": "OpaqueRef:host-1", "memory": GIB} for launch in (usual, urgent)
    }


def test_each_goes_to_the_host_with_most_room(lives: Lives, run: Run) -> None:
    for _ in range(4):
        lives.joined(memory=4 * GIB)
    run(Shelf(make_room("host-1", 9), make_room("host-2", 8)))
    used = sorted(held["host"] for held in lives.ledger.in_flight(POOL).values())

    assert used == ["OpaqueRef:host-1"] * 2 + ["OpaqueRef:host-2"] * 2


def test_it_stops_at_the_cap(lives: Lives, run: Run) -> None:
    launches = [lives.joined() for _ in range(3)]
    shelf = Shelf(make_room("host-1", 16))
    begun = run(shelf, 2)
    again = run(shelf, 2)

    assert len(begun) == 2
    assert again == []
    assert len(lives.ledger.waiting(POOL)) == 1
    assert set(lives.ledger.waiting(POOL)) < set(launches)


def test_a_head_that_finds_no_room_shuts_nobody_out(lives: Lives, run: Run) -> None:
    for _ in range(PASSED_OVER):
        lives.joined(memory=12 * GIB)
    small = lives.joined(memory=GIB)

    assert run(Shelf(make_room("host-1", 8))) == [(small, names.CONNECT)]


def test_nobody_is_skipped_behind_those_who_are_refused(lives: Lives, run: Run) -> None:
    """Who is refused leaves the line, as who goes does: only who is passed over stays in it."""
    for memory in (100 * GIB, GIB):
        for _ in range(30):
            lives.joined(memory=memory)
    begun = run(Shelf(make_room("host-1", 64, memory=64)))

    assert len(begun) == 30
    assert lives.ledger.waiting(POOL) == []
    lives.redis.flushall()


def test_room_that_was_given_away_is_not_given_again(lives: Lives, run: Run) -> None:
    for _ in range(5):
        lives.joined(memory=4 * GIB)
    shelf = Shelf(make_room("host-1", 8))
    begun = [len(run(shelf)) for _ in range(2)]

    assert begun == [2, 0]
    assert lives.ledger.line_length(POOL) == 3


def test_a_small_one_goes_past_a_big_one(lives: Lives, run: Run) -> None:
    big, small = lives.joined(memory=12 * GIB, priority=0), lives.joined()
    begun = run(Shelf(make_room("host-1", 8)))

    assert begun == [(small, names.CONNECT)]
    assert lives.ledger.status(big).doing == (
        "waiting for room: host-1: has 8192 MiB of memory free, the VM needs 12288 MiB"
    )


def test_what_can_never_fit_is_refused_with_the_reason_of_each_host(lives: Lives, run: Run) -> None:
    launch = lives.joined(memory=32 * GIB)
    begun = run(Shelf(make_room("host-1", 8), make_room("host-2", 16)))
    status = lives.ledger.status(launch)

    assert begun == []
    assert status.state == states.FAILED
    assert status.error is not None
    assert status.error.code == "CANNOT_FIT"
    assert status.error.params == (
        "host-1: has 8192 MiB of memory free, the VM needs 32768 MiB",
        "host-2: has 16384 MiB of memory free, the VM needs 32768 MiB",
    )
    assert status.error.message.startswith("No host of the pool can take this VM. host-1: has")


def test_who_was_refused_by_every_host_fails_with_their_reasons(lives: Lives, run: Run) -> None:
    launch = lives.running()
    lease = lives.lease(launch)
    lease.another_host(names.CONNECT, "u-host-1", "host-1: it is full")
    run(Shelf(make_room("host-1", 16)))
    error = lives.ledger.status(launch).error

    assert error is not None
    assert (error.code, error.params) == ("NO_HOSTS_LEFT", ("host-1: host-1: it is full",))


def test_who_goes_to_another_host_goes_on_where_it_was(lives: Lives, run: Run) -> None:
    lease = lives.leased(names.START)
    lease.another_host(names.NETWORK, "u-host-1", "host-1: it is full")
    begun = run(Shelf(make_room("host-1", 16), make_room("host-2", 2)))
    record = lives.ledger.record(lease.launch.id)

    assert begun == [(lease.launch.id, names.NETWORK)]
    assert record.host is not None
    assert record.host.name == "host-2"


def test_who_was_cancelled_meanwhile_is_passed_over(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = lives.joined(priority=0), lives.joined()
    begun: list[str] = []
    shelf = Shelf(make_room("host-1", 16))
    line = lives.ledger.waiting(POOL)
    records = lives.ledger.records(line)
    lives.ledger.cancel(first, ERROR)
    monkeypatch.setattr(lives.ledger, "waiting", lambda *_, **__: line)
    monkeypatch.setattr(lives.ledger, "records", lambda _: records)
    dispatch(
        lives.ledger,
        POOL,
        cast("Inventory", shelf),
        lambda launch, _: begun.append(launch),
        400,
    )

    assert begun == [second]


# Accepting


class Doors:
    """The pools that a test has: all launches go to the one that they name, or the only one."""

    hopeless: NoRoom | None = None
    nobody: Busy | None = None

    def pool_for(self, request: LaunchRequest) -> str:
        if self.nobody:
            raise self.nobody
        return named(request.pool, (POOL,))[0]

    def never(self, request: LaunchRequest, pool: str) -> NoRoom | None:
        assert request.name
        assert pool == POOL
        return self.hopeless


def test_an_accepted_launch_stands_in_its_pools_line(lives: Lives) -> None:
    launch = lives.submitted()
    accepted = accept(lives.ledger, lives.ledger.record(launch), Doors())
    again = accept(lives.ledger, lives.ledger.record(launch), Doors())

    assert (accepted, again) == (True, True)
    assert lives.ledger.waiting(POOL) == [launch]


def test_a_launch_for_an_unknown_pool_fails_at_once(lives: Lives) -> None:
    launch = lives.submitted(pool="cellar")
    accepted = accept(lives.ledger, lives.ledger.record(launch), Doors())
    status = lives.ledger.status(launch)

    assert accepted is False
    assert status.error is not None
    assert (status.state, status.error.code) == (states.FAILED, "POOL_NOT_FOUND")


def test_a_mac_that_a_live_launch_has_claimed_is_refused(lives: Lives) -> None:
    nics = [{"network": "guest", "mac": "02:00:00:00:00:01"}]
    first, second = lives.submitted(nics=nics), lives.submitted(nics=nics)
    accepted = [
        accept(lives.ledger, lives.ledger.record(launch), Doors()) for launch in (first, second)
    ]
    error = lives.ledger.status(second).error

    assert accepted == [True, False]
    assert error is not None
    assert (error.code, error.params) == ("MAC_IN_USE", ("02:00:00:00:00:01",))


def test_what_could_never_fit_is_refused_when_it_is_accepted(lives: Lives) -> None:
    doors, launch = Doors(), lives.submitted()
    doors.hopeless = NoRoom((("host-1", "has 2 CPUs, the VM needs 64"),), never=True)
    accepted = accept(lives.ledger, lives.ledger.record(launch), doors)
    error = lives.ledger.status(launch).error

    assert not accepted
    assert error is not None
    assert (error.code, error.params) == ("CANNOT_FIT", ("host-1: has 2 CPUs, the VM needs 64",))


def test_who_finds_no_pool_that_answers_stays_due_and_says_why(lives: Lives) -> None:
    doors, launch = Doors(), lives.submitted()
    doors.nobody = Busy("NO_POOL_ANSWERS", [POOL], "None of the pools can be used now.")
    accepted = accept(lives.ledger, lives.ledger.record(launch), doors)

    assert accepted
    assert lives.ledger.due() == [launch]
    doing = lives.ledger.status(launch).doing
    assert doing == "waiting for a pool: None of the pools can be used now."
