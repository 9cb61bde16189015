"""How launches end, and that nothing of them stays behind but their records."""

import pytest

from tests.support.waiting import wait_until
from tests.unit.core.lives import DEPLOYMENT, ERROR, FAILURE, POOL, Lives, made_vm, request
from xenlaunch import names, states
from xenlaunch.batch_ledger import submit_batch
from xenlaunch.errors import LeaseLost
from xenlaunch.lease import Made
from xenlaunch.model import Leftover

NICS = [{"network": "guest", "mac": "02:00:00:00:00:01"}]


@pytest.mark.parametrize(
    ("state", "verdict", "after"),
    [
        (states.WAITING, "done", states.CANCELLED),
        (states.RUNNING, "undoing", states.UNDOING),
        (states.FINISHING, "late", states.FINISHING),
        (states.UNDOING, "undoing", states.UNDOING),
        (states.SUCCEEDED, "ended", states.SUCCEEDED),
        (states.FAILED, "ended", states.FAILED),
        (states.CANCELLED, "done", states.CANCELLED),
        (states.DESTROYED, "ended", states.DESTROYED),
    ],
)
def test_a_cancel_in_each_state(lives: Lives, state: str, verdict: str, after: str) -> None:
    launch = lives.at(state)

    assert lives.ledger.cancel(launch, ERROR) == verdict
    assert lives.state(launch) == after


def test_a_cancel_of_what_is_not_there(lives: Lives) -> None:
    assert lives.ledger.cancel("l-none", ERROR) == "gone"


def test_a_launch_that_is_in_no_line_yet_is_cancelled_at_once(lives: Lives) -> None:
    launch = lives.submitted()

    assert lives.ledger.cancel(launch, ERROR) == "done"
    assert lives.ledger.status(launch).state == states.CANCELLED


def test_a_waiting_launch_that_has_made_something_is_undone(lives: Lives) -> None:
    """It was begun on a host that refused it: its VM is there."""
    launch = _back_in_line(lives)

    assert lives.ledger.cancel(launch, ERROR) == "undoing"
    assert lives.ledger.waiting(POOL) == []
    lives.lease(launch, names.UNDO).undone(())
    assert lives.state(launch) == states.CANCELLED


def test_an_undo_of_what_is_running_is_due_at_once(lives: Lives) -> None:
    launch = lives.running()
    lives.ledger.cancel(launch, ERROR)

    assert lives.ledger.due() == [launch]
    assert lives.ledger.status(launch).step == names.UNDO


@pytest.mark.parametrize("state", states.STATES)
def test_only_who_waits_is_refused(lives: Lives, state: str) -> None:
    launch = lives.at(state)
    verdict = lives.ledger.refuse(launch, states.FAILED, FAILURE)
    expected = ("ended", states.FAILED) if state == states.WAITING else ("stale", state)

    assert (verdict, lives.state(launch)) == expected


def test_a_refused_launch_says_why(lives: Lives) -> None:
    launch = lives.joined()
    lives.ledger.refuse(launch, states.FAILED, FAILURE)
    error = lives.ledger.status(launch).error

    assert error is not None
    assert error.message == "The disk is gone."


def test_a_refused_launch_that_has_made_something_is_undone(lives: Lives) -> None:
    launch = _back_in_line(lives)

    assert lives.ledger.refuse(launch, states.FAILED, FAILURE) == "undo"
    assert lives.state(launch) == states.UNDOING


def test_no_host_is_looked_for_once_it_is_finishing(lives: Lives) -> None:
    lease = lives.leased(names.POLL)
    lease.finishing()

    with pytest.raises(LeaseLost):
        lease.another_host(names.NETWORK, "u-h1", "is full")
    lease.turn_to_undo(states.FAILED, FAILURE)
    assert lives.state(lease.launch.id) == states.UNDOING


def test_what_was_left_over_is_named(lives: Lives) -> None:
    lease = lives.undoing()
    left = Leftover(cls="VM", uuid="u-vm", advice="Remove this VM by hand.")
    lease.undone([left])
    status = lives.ledger.status(lease.launch.id)

    assert (status.state, status.leftovers) == (states.FAILED, (left,))


@pytest.mark.parametrize("state", sorted(states.ENDED))
def test_telling_the_end_dates_every_key(lives: Lives, state: str) -> None:
    launch = lives.at(state)
    batch, _ = submit_batch(lives.ledger, DEPLOYMENT, "web", [request()], "order-1")
    lives.redis.hset(lives.key("launch", launch), "batch", batch)
    lives.redis.hset(lives.key("launch", launch, "notes"), "OpaqueRef:task", "ended")
    due = lives.redis.zscore(lives.key("due"), launch)
    lives.ledger.told(launch)
    left = lives.mentions(launch) - {lives.key("events"), lives.key("state", state)}

    assert due is not None
    assert {key for key in left if not key.startswith(lives.key("launch", launch))} == set()
    assert [key for key in left if lives.redis.pttl(key) < 0] == []
    assert [key for key in lives.redis.keys("*batch:b-*") if lives.redis.pttl(key) < 0] == []


@pytest.mark.parametrize("state", [state for state in states.STATES if state not in states.ENDED])
def test_what_has_not_ended_is_not_told(lives: Lives, state: str) -> None:
    launch = lives.at(state)
    lives.ledger.told(launch)

    assert lives.redis.ttl(lives.key("launch", launch)) == -1


def test_an_end_that_nobody_has_told_is_due(lives: Lives) -> None:
    launch = lives.at(states.SUCCEEDED)
    wait_until(lambda: lives.ledger.due() == [launch], 5, "its end is due to be told")
    lives.ledger.told(launch)

    assert lives.ledger.due() == []


def test_a_fact_that_comes_after_the_end_was_told_expires_too(lives: Lives) -> None:
    lease = lives.leased(names.CLONE)
    made_vm(lease)
    lives.redis.hset(lives.key("launch", lease.launch.id), "lease_until", 0)
    lives.ledger.cancel(lease.launch.id, ERROR)
    undo = lives.lease(lease.launch.id, names.UNDO)
    lives.redis.delete(lives.key("launch", lease.launch.id, "made"))
    undo.made.clear()
    undo.undone(())
    lives.ledger.told(lease.launch.id)
    lease.came_out("clone", "OpaqueRef:vm", [Made("VM", "OpaqueRef:vm")])
    lease.came_to_know(Made("VDI", "OpaqueRef:vdi"))

    assert len(lease.facts()) == 2
    assert lives.redis.pttl(lives.key("launch", lease.launch.id, "made")) > 0


def test_a_fact_about_what_has_expired_leaves_no_key(lives: Lives) -> None:
    lease = lives.leased(names.CLONE)
    made_vm(lease)
    for key in lives.redis.keys("*"):
        lives.redis.delete(key)
    lease.came_out("clone", "OpaqueRef:vm", [Made("VM", "OpaqueRef:vm")])
    lease.came_to_know(Made("VDI", "OpaqueRef:vdi"))

    assert lives.redis.keys("*") == []


@pytest.mark.parametrize("state", sorted(states.ENDED))
def test_an_end_frees_all_that_was_held(lives: Lives, state: str) -> None:
    end = {
        states.SUCCEEDED: lives.succeeded,
        states.FAILED: lives.failed,
        states.CANCELLED: lives.cancelled,
        states.DESTROYED: lives.destroyed,
    }[state]
    launch = end(nics=NICS)
    held = [
        key
        for key in lives.mentions(launch)
        if key.split(":")[1] in ("inflight", "slot", "slotline", "parked", "waiting", "macs")
    ]

    assert held == []
    assert lives.running(nics=NICS)


def test_an_end_nudges_the_dispatcher(lives: Lives) -> None:
    lease = lives.undoing()
    lives.redis.delete(lives.key("nudge", POOL))
    lease.undone(())

    assert lives.redis.llen(lives.key("nudge", POOL)) == 1
    lives.ledger.await_nudge(POOL, 5)
    assert lives.redis.llen(lives.key("nudge", POOL)) == 0


def test_what_has_expired_is_dropped_from_the_lists(lives: Lives) -> None:
    launch, other = lives.at(states.FAILED), lives.running()
    lives.redis.zadd(lives.key("state", states.FAILED), {launch: 1})
    lives.ledger.told(launch)
    lives.redis.delete(*lives.redis.keys(f"*{launch}*"))
    before = lives.ledger.all_launches()
    lives.ledger.forget_expired()

    assert lives.ledger.statuses(before) == lives.ledger.statuses([other])
    assert lives.ledger.all_launches() == [other]


def _back_in_line(lives: Lives) -> str:
    lease = lives.leased(names.CLONE)
    made_vm(lease)
    lease.another_host(names.CLONE, "u-h1", "is full")
    return lease.launch.id
