"""The schedule simulated: no quicker than can be, hardly slower, and each owner has its share."""

import subprocess
import sys
from collections.abc import Iterable

import pytest

from bench.bound import bound
from bench.model import report
from bench.model.clock import Clock
from bench.model.pool import GIB, SMALL, Launch, Shape
from bench.model.station import Station
from bench.schedule import MEANS, Owner, Run, launches
from scheduler.slots import AT_ONCE
from tests.support.paths import ROOT

ONE = (Owner("one", 1.0),)


def shown(
    *owners: tuple[int, float], seed: int | None = None, late: float = 0.0, in_flight: int = 400
) -> list[float]:
    """Of owners that want so many at such weights: when each's last VM is up, by its prediction.

    Each submits so much later than the one before it.
    """
    run = Run(0, shape=Shape(in_flight=in_flight), seed=seed)
    (pool,) = run.served
    wanted: list[Launch] = []
    for number, (count, weight) in enumerate(owners):
        own = launches(f"o{number}", count, Owner(f"o{number}", 0.0, weight))
        wanted += own
        for launch in own:
            run.clock.after(number * late, pool.submit, launch)
    run.clock.run()
    owned = report.by_owner(wanted)
    return [
        report.makespan(own) / report.predicted(owner, owned, pool, MEANS)
        for owner, own in owned.items()
    ]


def test_a_station_takes_what_comes_in_order_and_no_more_at_once_than_it_can() -> None:
    clock, ended = Clock(), list[tuple[str, float]]()
    station = Station(clock, 2, remembers=True)
    for name, seconds in (("a", 3.0), ("b", 1.0), ("c", 1.0)):
        station.work(seconds, lambda name: ended.append((name, clock.now)), name)
    clock.run()

    assert ended == [("b", 1.0), ("c", 2.0), ("a", 3.0)]
    assert station.spans == [(0.0, 3.0), (0.0, 1.0), (1.0, 2.0)]
    assert station.worked == 5.0


@pytest.mark.parametrize("hosts", [1, 4, 16])
@pytest.mark.parametrize("srs", [1, 2, 4])
def test_with_one_on_deck_a_batch_takes_hardly_longer_than_it_must(srs: int, hosts: int) -> None:
    shape = Shape(hosts, srs, memory=2048 * GIB)
    run = Run(500, shape=shape, seed=None, owners=ONE).go()
    span, least = report.makespan(run.by_pool["pool-0"]), bound(500, srs, hosts, MEANS)

    assert least <= span <= 1.05 * least


def test_without_one_on_deck_storage_waits_for_us() -> None:
    run = Run(500, shape=Shape(on_deck=0), seed=None, owners=ONE).go()

    assert report.makespan(run.by_pool["pool-0"]) > 1.1 * bound(500, 4, 16, MEANS)


def test_nothing_works_on_more_at_once_than_it_can_and_all_is_within_the_makespan() -> None:
    run = Run(300, shape=Shape(4, 2), seed=3, remembers=True).go()
    (pool,), span = run.served, report.makespan(run.by_pool["pool-0"])

    for station in (*pool.srs.values(), *pool.hosts.values()):
        assert most_at_once(station.spans or ()) <= station.at_once
        assert station.spans
    assert all(one.up >= 0 for one in run.by_pool["pool-0"])
    assert {len(spans) for spans in report.spans(pool).values()} == {2, 4}
    assert 0.9 < report.utilisation(pool.srs.values(), span) <= 1
    assert pool.most_in_flight <= pool.shape.in_flight


def most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    changes = sorted((at, step) for span in spans for at, step in zip(span, (1, -1), strict=True))
    most = now = 0
    for _, step in changes:
        now += step
        most = max(most, now)
    return most


def test_no_host_gets_more_memory_to_bear_than_it_has() -> None:
    shape = Shape(2, 1, memory=10 * SMALL.memory)
    run = Run(25, shape=shape, owners=ONE).go()
    (pool,) = run.served

    assert sum(one.up >= 0 for one in run.by_pool["pool-0"]) == 20
    assert len(pool.no_room) == 5
    assert {room.free for room in pool.rooms.values()} == {0}


def test_an_owner_with_three_is_not_starved_by_one_with_a_thousand() -> None:
    assert shown((1000, 1), (100, 1), (3, 1)) == pytest.approx([1, 1, 1], abs=0.1)


def test_each_has_its_share_by_weight() -> None:
    assert shown((1000, 1), (100, 4), (30, 2)) == pytest.approx([1, 1, 1], abs=0.1)


@pytest.mark.parametrize("in_flight", [32, 400])
def test_who_comes_later_is_not_behind_all_that_is_in_flight(in_flight: int) -> None:
    _, few = shown((1000, 1), (3, 1), late=30, in_flight=in_flight)

    assert 0.9 <= few <= 1.2  # what is on deck is before them


def test_it_is_so_when_times_vary() -> None:
    """Three starts are few for a mean: so many runs of the same are looked at."""
    offs = [shown((1000, 1), (100, 1), (3, 1), seed=seed) for seed in range(10)]

    assert [sum(run[owner] for run in offs) / 10 for owner in range(3)] == pytest.approx(
        [1, 1, 1], abs=0.1
    )


def test_a_run_of_the_same_seed_is_the_same_run() -> None:
    assert Run(200, 2, seed=5).go().found() == Run(200, 2, seed=5).go().found()


def test_what_is_printed_adds_up() -> None:
    found = Run(1000, 2).go().found()

    assert found["up"] == found["launches"] == 1000
    assert sum(one["launches"] for one in found["fairness"]["owners"].values()) == 500
    assert found["ratio"] == pytest.approx(found["makespan"] / found["bound"], abs=0.001)
    assert found["fairness"]["least_jain"] > 0.9
    assert AT_ONCE == {"sr": 1, "host": 4}


def test_the_model_has_neither_celery_nor_redis_nor_a_pool() -> None:
    heavy = "celery", "kombu", "redis", "urllib3", "xenlaunch.xapi"
    program = f"import sys, bench.schedule; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True)

    assert ran.stdout.decode().strip() == "[]"
