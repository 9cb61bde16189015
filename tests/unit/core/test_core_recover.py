"""Recovering: each kind of due launch gets what it needs, from one of those who look."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from scheduler.recover import Recovery
from tests.support.waiting import wait_until
from tests.unit.core.lives import ERROR, FAILURE, POOL, Lives
from xenlaunch import names, states
from xenlaunch.record import Record


class Recorded:
    """Actions that only say what was done, but for accepting, which joins the line."""

    def __init__(self, lives: Lives, *, accepts: bool = True) -> None:
        self.lives = lives
        self.accepts = accepts
        self.done: list[tuple[str, ...]] = []

    def accept(self, record: Record) -> bool:
        self.done.append(("accept", record.id))
        if self.accepts:
            return self.lives.ledger.join(record.id, POOL, []) == "ok"
        self.lives.ledger.refuse(record.id, states.FAILED, FAILURE)
        return False

    def begin(self, launch: str, step: str) -> None:
        self.done.append(("begin", launch, step))

    def tell(self, record: Record) -> None:
        self.done.append(("tell", record.id, record.state))
        self.lives.ledger.told(record.id)


@pytest.fixture
def actions(lives: Lives) -> Recorded:
    return Recorded(lives)


@pytest.fixture
def recovery(lives: Lives, actions: Recorded) -> Recovery:
    return Recovery(lives.ledger, actions)


def make_due(lives: Lives, launch: str) -> None:
    lives.redis.zadd(lives.key("due"), {launch: 1})


def now(lives: Lives) -> int:
    seconds, micros = lives.redis.time()
    return int(seconds * 1000 + micros // 1000)


def test_a_submitted_launch_is_accepted(
    lives: Lives, actions: Recorded, recovery: Recovery
) -> None:
    launch = lives.submitted()

    assert recovery.sweep() == 1
    assert actions.done == [("accept", launch)]
    assert recovery.sweep() == 0


def test_a_launch_that_is_not_accepted_is_told_at_once(lives: Lives) -> None:
    actions = Recorded(lives, accepts=False)
    launch = lives.submitted()
    Recovery(lives.ledger, actions).sweep()

    assert actions.done == [("accept", launch), ("tell", launch, states.FAILED)]


def test_a_step_whose_message_was_lost_is_begun_again(
    lives: Lives, actions: Recorded, recovery: Recovery
) -> None:
    launch = lives.running()
    before = recovery.sweep()
    make_due(lives, launch)
    recovery.sweep()

    assert before == 0
    assert actions.done == [("begin", launch, names.CONNECT)]


def test_a_step_whose_worker_died_is_begun_again(lives: Lives) -> None:
    lives = lives.but(lease=20)
    actions = Recorded(lives)
    recovery = Recovery(lives.ledger, actions)
    launch = lives.leased().launch.id
    wait_until(recovery.sweep, 5, "the lease has run out")

    assert actions.done == [("begin", launch, names.CONNECT)]


def test_an_undo_is_begun(lives: Lives, actions: Recorded, recovery: Recovery) -> None:
    launch = lives.running()
    lives.ledger.cancel(launch, ERROR)
    recovery.sweep()

    assert actions.done == [("begin", launch, names.UNDO)]


def test_what_waited_too_long_is_woken(lives: Lives, actions: Recorded, recovery: Recovery) -> None:
    lease = lives.leased(names.CLONE)
    lease.park("the clone", "OpaqueRef:task", 60)
    make_due(lives, lease.launch.id)
    recovery.sweep()

    assert actions.done == [("begin", lease.launch.id, names.CLONE)]
    assert lives.ledger.parked(POOL) == {}


@pytest.mark.parametrize("state", sorted(states.ENDED))
def test_an_end_is_told(lives: Lives, actions: Recorded, recovery: Recovery, state: str) -> None:
    launch = lives.at(state)
    make_due(lives, launch)
    recovery.sweep()

    assert actions.done == [("tell", launch, state)]
    assert recovery.sweep() == 0


def test_who_stands_in_line_is_let_alone(
    lives: Lives, actions: Recorded, recovery: Recovery
) -> None:
    launch = lives.joined()
    recovery.sweep()
    recovery.look(launch)

    assert actions.done == []


def test_a_look_at_old_news_sends_nothing_twice(
    lives: Lives, actions: Recorded, recovery: Recovery
) -> None:
    launch = lives.running()
    recovery.look(launch)
    recovery.look("l-none")

    assert actions.done == [], "its message was sent when it got its turn"


def test_a_look_begins_the_undo_of_what_was_cancelled(
    lives: Lives, actions: Recorded, recovery: Recovery
) -> None:
    launch = lives.running()
    assert lives.ledger.cancel(launch, ERROR) == "undoing"
    recovery.look(launch)
    recovery.look(launch)

    assert actions.done == [("begin", launch, names.UNDO)]


def test_a_look_leaves_alone_what_is_held_or_parked(
    lives: Lives, actions: Recorded, recovery: Recovery
) -> None:
    lease = lives.leased()
    recovery.look(lease.launch.id)
    lease.park("a slot", "", 60)
    recovery.look(lease.launch.id)

    assert actions.done == []


def test_a_due_launch_is_attended_by_one_of_many(lives: Lives) -> None:
    several = [Recorded(lives) for _ in range(4)]
    launches = [lives.running() for _ in range(10)]
    for launch in launches:
        make_due(lives, launch)
    barrier = Barrier(len(several))

    def at_once(actions: Recorded) -> int:
        barrier.wait(5)
        return Recovery(lives.ledger, actions).sweep()

    with ThreadPoolExecutor(len(several)) as threads:
        looked = sum(threads.map(at_once, several))
    begun = sorted(launch for actions in several for _, launch, _ in actions.done)

    assert looked == len(launches)
    assert begun == sorted(launches)


def test_each_time_it_waits_longer_up_to_a_limit(lives: Lives) -> None:
    lives = lives.but(resend=1000, resend_most=6000)
    recovery = Recovery(lives.ledger, Recorded(lives))
    launch = lives.running()
    within = []
    for expected in (1, 2, 4, 6, 6):
        make_due(lives, launch)
        before = now(lives)
        recovery.sweep()
        due = lives.redis.zscore(lives.key("due"), launch)
        within.append(before <= due - expected * 1000 <= now(lives))

    assert within == [True] * 5


def test_a_step_that_goes_on_begins_with_the_short_wait_again(lives: Lives) -> None:
    launch = lives.running()
    for _ in range(3):
        make_due(lives, launch)
        lives.ledger.postpone(launch)
    lives.lease(launch)

    assert lives.ledger.record(launch).resent == ""


def test_what_is_not_due_is_not_postponed(lives: Lives) -> None:
    launch = lives.running()

    assert lives.ledger.postpone(launch) is False
    assert lives.ledger.postpone("l-none") is False


def test_a_backlog_does_not_multiply_itself(lives: Lives) -> None:
    """Five hundred wait for a worker that is slow, for many times as long as a message may take."""
    lives = lives.but(resend=1, resend_most=1)
    queue = lives.key(names.pool_queue(POOL))
    launches = [lives.running() for _ in range(500)]
    recovery = Recovery(lives.ledger, Sending(lives))
    for _ in range(4):
        recovery.sweep(len(launches))
    longest = lives.redis.llen(queue)
    lives.redis.ltrim(queue, 20, -1)
    recovery.sweep(len(launches))
    again = lives.redis.llen(queue)
    lives.redis.delete(queue)

    assert longest == again == len(launches)


def test_who_needs_a_pool_keeps_nobody_else_waiting_and_not_for_long(
    lives: Lives, actions: Recorded
) -> None:
    new, goes_on = [lives.submitted() for _ in range(3)], lives.running()
    make_due(lives, goes_on)
    times = iter([0.0, 1.0, 3.0, 5.0, 10.0, 10.5, 11.0])
    recovery = Recovery(lives.ledger, actions, clock=lambda: next(times))
    recovery.sweep()
    assert actions.done == [("begin", goes_on, names.CONNECT), ("accept", new[0])]

    recovery.sweep()
    assert actions.done[2:] == [("accept", launch) for launch in new[1:]]


def test_who_was_claimed_is_not_waited_for(lives: Lives) -> None:
    """A message that a worker has taken is none that others could take."""
    lives = lives.but(resend=1, resend_most=1, lease=1)
    recovery = Recovery(lives.ledger, actions := Sending(lives))
    claimed, waits = lives.leased().launch.id, lives.running()
    actions.begin(waits, names.CONNECT)
    wait_until(recovery.sweep, 5, "the lease has run out")

    assert lives.redis.lrange(lives.key(names.pool_queue(POOL)), 0, -1) == [claimed, waits]
    lives.redis.delete(lives.key(names.pool_queue(POOL)))


class Sending(Recorded):
    """Its messages lie in the pool's queue, where nobody takes them."""

    def begin(self, launch: str, step: str) -> None:
        super().begin(launch, step)
        self.lives.redis.lpush(self.lives.key(names.pool_queue(POOL)), launch)
