"""Parking and waking: a launch that waits is begun again once, whoever is first."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any, cast

import pytest

from tasks.step import PATIENCE, Door
from tests.support.waiting import wait_until
from tests.unit.core.lives import ERROR, POOL, Lives
from xenlaunch import names, states
from xenlaunch.errors import Busy, LeaseLost, PoolError
from xenlaunch.lease import Lease

TASK = "OpaqueRef:task"
SR = "sr:OpaqueRef:1"
ENDED = '["success", "<value>OpaqueRef:vm</value>", ""]'


@pytest.fixture
def parked(lives: Lives) -> str:
    lease = lives.leased(names.CLONE)
    lease.park("the clone", TASK, 60)
    return lease.launch.id


def test_a_parked_launch_has_no_lease_and_is_found_by_what_it_waits_for(
    lives: Lives, parked: str
) -> None:
    record = lives.ledger.record(parked)

    assert (record.state, record.lease) == (states.RUNNING, "")
    assert lives.ledger.parked(POOL) == {TASK: parked}
    assert lives.ledger.status(parked).doing == "waiting for the clone"


def test_it_is_due_at_its_deadline(lives: Lives, parked: str) -> None:
    record = lives.ledger.record(parked)
    assert record.parked is not None
    due = lives.redis.zscore(lives.key("due"), parked)

    assert record.parked["deadline"] == due == record.parked["since"] + 60_000


def test_a_deadline_makes_it_due(lives: Lives) -> None:
    lease = lives.leased()
    lease.park("a slot", "", 0.03)

    assert wait_until(lives.ledger.due, 5, "the deadline has passed") == [lease.launch.id]


def test_a_wake_begins_its_step_once(lives: Lives, parked: str) -> None:
    woken = [lives.ledger.wake(parked) for _ in range(2)]

    assert woken == [names.CLONE, ""]
    assert lives.ledger.parked(POOL) == {}
    assert isinstance(lives.claim(parked, names.CLONE), Lease)


def test_a_wake_for_something_else_does_nothing(lives: Lives, parked: str) -> None:
    woken = [lives.ledger.wake(parked, ref) for ref in ("OpaqueRef:other", TASK)]

    assert woken == ["", names.CLONE]


def test_a_note_after_the_park_wakes_once(lives: Lives, parked: str) -> None:
    woken = [lives.ledger.note(parked, TASK, ENDED) for _ in range(2)]

    assert woken == [names.CLONE, ""]
    assert lives.lease(parked, names.CLONE).notes == {TASK: ENDED}


def test_a_note_before_the_park_keeps_it_from_parking(lives: Lives) -> None:
    lease = lives.leased(names.CLONE)
    woken = lives.ledger.note(lease.launch.id, TASK, ENDED)
    parks = lease.park("the clone", TASK, 60)

    assert (woken, parks) == ("", False)
    assert lease.notes == {TASK: ENDED}
    assert lives.ledger.record(lease.launch.id).parked is None
    lease.advance(lease.launch, names.VBDS)


def test_a_note_of_something_else_neither_wakes_nor_keeps_from_parking(
    lives: Lives, parked: str
) -> None:
    woken = lives.ledger.note(parked, "OpaqueRef:other", ENDED)

    assert woken == ""
    assert lives.ledger.parked(POOL) == {TASK: parked}


def test_a_note_for_nobody_leaves_no_key(lives: Lives) -> None:
    woken = lives.ledger.note("l-none", TASK, ENDED)

    assert woken == ""
    assert lives.redis.keys("*l-none*") == []


def test_a_late_note_expires_with_its_launch(lives: Lives) -> None:
    launch = lives.at(states.SUCCEEDED)
    lives.ledger.told(launch)
    lives.ledger.note(launch, TASK, ENDED)

    assert lives.redis.pttl(lives.key("launch", launch, "notes")) > 0


def test_who_has_parked_has_let_go_of_the_lease(lives: Lives) -> None:
    lease = lives.leased()
    lease.park("a slot", "", 60)

    with pytest.raises(LeaseLost):
        lease.finishing()


def test_a_retry_is_counted_until_the_step_ends(lives: Lives) -> None:
    launch = lives.running()
    counted = []
    for _ in range(3):
        lease = lives.lease(launch)
        counted.append(lease.record.retries)
        lease.park("the pool to be less busy", "", 60, retry=True)
        lives.ledger.wake(launch)
    lease = lives.lease(launch)
    lease.advance(lease.launch, names.CLONE)
    kinds = [event["kind"] for _, event in lives.ledger.events("0", 1)]

    assert counted == ["", "1", "2"]
    assert lives.ledger.record(launch).retries == ""
    assert kinds.count("retry") == 3


def test_a_park_shows_what_is_waited_for(lives: Lives, parked: str) -> None:
    (_, event), *_ = [
        entry for entry in lives.ledger.events("0", 1) if entry[1]["kind"] == "parked"
    ]

    assert (event["launch"], event["what"], event["step"]) == (parked, "the clone", names.CLONE)


def test_a_cancel_wakes_what_is_parked(lives: Lives, parked: str) -> None:
    verdict = lives.ledger.cancel(parked, ERROR)

    assert verdict == "undoing"
    assert lives.ledger.parked(POOL) == {}
    assert lives.ledger.due() == [parked]
    assert lives.ledger.wake(parked) == ""


def test_time_that_a_step_was_parked_counts_as_its_own(lives: Lives, parked: str) -> None:
    key = lives.key("launch", parked)
    lives.redis.hincrby(key, "step_since", -5000)
    lives.ledger.wake(parked)
    lease = lives.lease(parked, names.CLONE)
    lease.advance(lease.launch, names.VBDS)

    assert 5 <= lives.ledger.record(parked).seconds[names.CLONE] < 60


# Patience


@pytest.fixture
def in_line(lives: Lives) -> Iterator[Lease]:
    """A launch that found the pool busy, and then had to wait for its turn."""
    lives.leased(names.CLONE).slot("clone", {SR: 1}, "its turn", 60)
    lease = lives.leased(names.CLONE)
    lease.park("the pool to be less busy", "", 60, retry=True, trouble="POOL_BUSY")
    lives.ledger.wake(lease.launch.id)
    lease = lives.lease(lease.launch.id, names.CLONE)
    assert lease.slot("clone", {SR: 1}, "its turn", 60) == ""
    yield lease
    lives.redis.flushall()


def pass_time(lives: Lives, launch: str, seconds: float) -> None:
    """Time passes, with nothing else: all that the record has a time of is so much longer ago."""
    key, ms = lives.key("launch", launch), int(seconds * 1000)
    parked, troubles = lives.redis.hmget(key, "parked", "troubles")
    earlier = {code: since - ms for code, since in json.loads(troubles or "{}").items()}
    was = json.loads(parked)
    was["since"] -= ms
    lives.redis.hincrby(key, "step_since", -ms)
    lives.redis.hset(key, mapping={"parked": json.dumps(was), "troubles": json.dumps(earlier)})


def is_worn_out(lives: Lives, launch: str, wait: PoolError) -> bool:
    lives.ledger.wake(launch)
    door = Door(cast("Any", None), cast("Any", None), cast("Any", None), names.CLONE)
    return door.is_worn_out(lives.lease(launch, names.CLONE), wait)


BUSY = Busy("POOL_BUSY", [], "The pool is busy.")


def test_time_in_line_for_a_slot_wears_no_patience(lives: Lives, in_line: Lease) -> None:
    pass_time(lives, in_line.launch.id, PATIENCE + 1)

    assert not is_worn_out(lives, in_line.launch.id, BUSY)


def test_a_first_trouble_after_a_long_wait_for_the_pool_is_put_up_with(
    lives: Lives, parked: str
) -> None:
    pass_time(lives, parked, PATIENCE + 1)

    assert not is_worn_out(lives, parked, BUSY)


@pytest.mark.parametrize("retry", [True, False], ids=["busy", "silent"])
def test_trouble_that_lasts_wears_patience_whatever_was_waited_for_between(
    lives: Lives, in_line: Lease, *, retry: bool
) -> None:
    launch = in_line.launch.id
    pass_time(lives, launch, PATIENCE + 1)
    lives.ledger.wake(launch)
    lease = lives.lease(launch, names.CLONE)
    lease.park("the pool", "", 60, retry=retry, trouble="POOL_BUSY")
    pass_time(lives, launch, PATIENCE / 2)
    seen = [is_worn_out(lives, launch, BUSY)]
    lives.ledger.let_go({launch: lives.redis.hget(lives.key("launch", launch), "lease") or ""})
    lives.lease(launch, names.CLONE).park("the pool", "", 60, trouble="POOL_BUSY")
    pass_time(lives, launch, PATIENCE / 2 + 1)

    assert [*seen, is_worn_out(lives, launch, BUSY)] == [False, True]


def test_each_step_begins_with_all_its_patience(lives: Lives) -> None:
    lease = lives.leased(names.CLONE)
    launch = lease.launch.id
    lease.park("the pool", "", 60, retry=True, trouble="POOL_BUSY")
    pass_time(lives, launch, PATIENCE + 1)
    lives.ledger.wake(launch)
    lease = lives.lease(launch, names.CLONE)
    lease.advance(lease.launch, names.VBDS)

    assert lives.ledger.record(launch).troubles == {}


def test_of_many_wakers_one_wins(lives: Lives) -> None:
    """The watcher, the fallback and whoever else, all at once, round after round."""
    lease = lives.leased(names.CLONE)
    launch = lease.launch.id
    wakers: list[Callable[[], str]] = [
        lambda: lives.ledger.wake(launch),
        lambda: lives.ledger.wake(launch, TASK),
        lambda: lives.ledger.note(launch, TASK, ENDED),
        lambda: lives.ledger.note(launch, TASK, ENDED),
    ]
    barrier = Barrier(len(wakers))

    def at_once(waker: Callable[[], str]) -> str:
        barrier.wait(5)
        return waker()

    winners = []
    with ThreadPoolExecutor(len(wakers)) as threads:
        for _ in range(20):
            lives.redis.delete(lives.key("launch", launch, "notes"))
            assert lease.park("the clone", TASK, 60)
            winners.append(sum(bool(step) for step in threads.map(at_once, wakers)))
            lease = lives.lease(launch, names.CLONE)

    assert winners == [1] * 20


def test_a_park_and_its_note_at_once_lose_nothing(lives: Lives) -> None:
    """Either the launch does not park, or the note wakes it: it never sleeps on."""
    lease = lives.leased(names.CLONE)
    launch = lease.launch.id
    barrier = Barrier(2)

    def at_once(act: Callable[[], str | bool]) -> bool:
        barrier.wait(5)
        return bool(act())

    outcomes = []
    with ThreadPoolExecutor(2) as threads:
        for _ in range(20):
            lives.redis.delete(lives.key("launch", launch, "notes"))
            acts: list[Callable[[], str | bool]] = [
                partial(lease.park, "the clone", TASK, 60),
                partial(lives.ledger.note, launch, TASK, ENDED),
            ]
            parked, woken = threads.map(at_once, acts)
            outcomes.append(parked == woken)
            assert lives.ledger.record(launch).parked is None
            if parked:
                lease = lives.lease(launch, names.CLONE)

    assert outcomes == [True] * 20


def test_the_record_says_since_when_and_for_what(lives: Lives, parked: str) -> None:
    fields = json.loads(lives.ledger.record(parked).fields["parked"])

    assert sorted(fields) == ["deadline", "ref", "retry", "since", "trouble", "what"]
    assert (fields["what"], fields["ref"], fields["retry"]) == ("the clone", TASK, False)
