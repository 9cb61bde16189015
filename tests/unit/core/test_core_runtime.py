"""One worker process: the leases that it keeps alive, and the duties of the scheduler in it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery import Celery

from scheduler.placement import HostRoom, Need, place
from tests.unit.core.lives import POOL, Lives, request
from workers import duties as module
from workers.duties import Dispatching, Duties, Recovering
from workers.roles import Role
from workers.runtime import Runtime
from workers.settings import PoolSettings, Settings
from xenlaunch import names
from xenlaunch.errors import StoreUnreachable
from xenlaunch.lease import Unclaimed
from xenlaunch.ledger import Ledger
from xenlaunch.xapi.refusals import refusal

GIB = 1 << 30


class Agreeing:
    """Every pool is this ledger's; it says how often its epoch was looked at."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.kept: list[str] = []
        self.permit = lambda _: None
        self.claims: Mapping[str, str] = {}
        self.keep = self.kept.append

    def refresh(self) -> bool:
        return bool(self._ledger.claims())


@pytest.fixture
def runtime(lives: Lives) -> Runtime:
    made = Runtime()
    pool = PoolSettings(addresses=("https://10.0.0.1",), password_env="NONE")
    made.__dict__["settings"] = Settings("redis://unused", "tests", {POOL: pool, "attic": pool})
    made.__dict__["ledger"] = lives.ledger
    made.__dict__["generations"] = Agreeing(lives.ledger)
    return made


def run_out(lives: Lives, launch: str) -> None:
    lives.redis.hset(lives.key("launch", launch), "lease_until", 0)


def test_a_lease_that_is_held_is_kept_alive(lives: Lives, runtime: Runtime) -> None:
    lease = lives.leased()
    runtime.hold(lease)
    run_out(lives, lease.launch.id)
    runtime.beat()

    assert lives.claim(lease.launch.id) == Unclaimed("taken")


def test_a_lease_that_was_dropped_is_not(lives: Lives, runtime: Runtime) -> None:
    lease = lives.leased()
    runtime.hold(lease)
    runtime.drop(lease)
    run_out(lives, lease.launch.id)
    runtime.beat()

    assert not isinstance(lives.claim(lease.launch.id), Unclaimed)


def test_dropping_an_old_lease_leaves_the_new_one(lives: Lives, runtime: Runtime) -> None:
    """A thread that has lost its lease comes back after another one of its process has it."""
    old = lives.leased()
    run_out(lives, old.launch.id)
    new = lives.lease(old.launch.id)
    runtime.hold(old)
    runtime.hold(new)
    runtime.drop(old)
    run_out(lives, old.launch.id)
    runtime.beat()

    assert lives.claim(old.launch.id) == Unclaimed("taken")


def test_a_process_outlives_that_redis_is_away(
    runtime: Runtime, lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_: Mapping[str, str]) -> list[str]:
        raise StoreUnreachable

    monkeypatch.setattr(lives.ledger, "renew", unreachable)
    runtime.beat()


def test_a_worker_says_whose_launches_these_are(runtime: Runtime, lives: Lives) -> None:
    runtime.register()
    runtime.register()
    found = lives.ledger.deployment()

    assert found is not None
    assert (found.name, found.pools) == ("tests", ("attic", POOL))


def test_a_redis_that_was_wiped_is_told_again_whose_launches_it_keeps(
    runtime: Runtime, lives: Lives
) -> None:
    runtime.beat()
    before = lives.ledger.claims()["generation"]
    lives.redis.flushall()
    runtime.beat()

    assert lives.ledger.claims()["name"] == "tests"
    assert lives.ledger.claims()["generation"] != before


def test_no_two_workers_bear_one_name() -> None:
    assert Runtime().worker != Runtime().worker


class Inventories(Duties):
    """Duties over pools that a test makes up: bytes free on their one host, or out of reach."""

    free: Mapping[str, int | None] = {}

    def inventory(self, pool: str, seconds: float = 0.0) -> Any:  # noqa: ARG002  it is there or not
        free = self.free.get(pool)
        if free is None:
            raise refusal("", "POOL_UNREACHABLE", [pool, "10.0.0.1", "refused"])
        host = HostRoom("OpaqueRef:h1", "u-h1", "host-1", 8 * GIB, free, 8)
        away = HostRoom("OpaqueRef:h2", "u-h2", "host-2", 8 * GIB, 8 * GIB, 8, usable=False)
        rooms = {room.ref: room for room in (host, away)}
        return SimpleNamespace(
            hosts=lambda _: rooms,
            copies=lambda _: ("a copy",),
            place=lambda hosts, need, _: place(hosts.values(), need),
            need=lambda *_: Need(GIB),
            records=SimpleNamespace(check=lambda: None),
        )


@pytest.fixture
def duties(runtime: Runtime) -> Inventories:
    return Inventories(cast("Celery", None), runtime)


def test_only_the_pools_that_answer_are_chosen_from(duties: Inventories) -> None:
    duties.free = {POOL: 3 * GIB, "attic": None}

    assert duties.pools == (POOL, "attic")
    assert duties.choosing.pool_for(request()) == POOL


def test_a_launch_goes_to_the_pool_with_most_room(duties: Inventories, lives: Lives) -> None:
    duties.free = {POOL: GIB, "attic": 2 * GIB}
    launch = lives.submitted()
    accepted = duties.accept(lives.ledger.record(launch))

    assert accepted
    assert lives.ledger.waiting("attic") == [launch]


def test_dispatching_hands_on_the_cap_of_its_pool(
    duties: Inventories, lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[tuple[Any, ...]] = []
    monkeypatch.setattr(module, "dispatch", lambda *given: passes.append(given))
    duties.free = {POOL: GIB}
    role: Role = Dispatching(duties, POOL)
    lives.joined()
    role.turn(lambda: True)
    (ledger, pool, *_, most), *more = passes

    assert role.name == "dispatch:lab"
    assert (ledger, pool) == (lives.ledger, POOL)
    assert (most, more) == (400, [])


@pytest.mark.parametrize("held", [True, False])
def test_who_has_nobody_waiting_or_not_the_role_does_not_dispatch(
    duties: Inventories,
    lives: Lives,
    monkeypatch: pytest.MonkeyPatch,
    held: bool,  # noqa: FBT001  whether it has the role
) -> None:
    passes: list[object] = []
    monkeypatch.setattr(module, "dispatch", lambda *given: passes.append(given))
    monkeypatch.setattr(module, "DISPATCH_EVERY", 0.01)
    if not held:
        lives.joined()
    Dispatching(duties, POOL).turn(lambda: held)

    assert passes == []


def test_recovering_pauses_only_when_nothing_is_due(duties: Inventories, lives: Lives) -> None:
    pauses: list[float] = []
    begun: list[tuple[str, str]] = []
    duties.begin = lambda launch, step: begun.append((launch, step))  # type: ignore[method-assign]  # only seen
    role = Recovering(duties, pauses.append)
    launch = lives.running()
    lives.redis.zadd(lives.key("due"), {launch: 1})
    for _ in range(2):
        role.turn(lambda: True)

    assert begun == [(launch, names.CONNECT)]
    assert pauses == [module.RECOVER_EVERY]


def test_what_has_expired_is_forgotten_on_the_side(duties: Inventories, lives: Lives) -> None:
    lives.redis.zadd(lives.key("state", "failed"), {"l-long-gone": 1})
    role = Recovering(duties, lambda _: None, _tidied=-1e9)
    role.turn(lambda: True)

    assert lives.ledger.all_launches() == []
