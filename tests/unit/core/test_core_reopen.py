"""What has ended is destroyed, or tried again, on its owner's word."""

from collections.abc import Callable

import pytest

from tests.unit.core.lives import ERROR, FAILURE, POOL, Lives, call, made_vm
from xenlaunch import names, states
from xenlaunch.errors import LeaseLost
from xenlaunch.lease import Lease, Made
from xenlaunch.model import Leftover

LEFT = Leftover(cls="VM", uuid="u-vm", advice="Remove this VM by hand.")
MAC = "02:00:00:00:00:01"


@pytest.mark.parametrize(
    ("state", "destroying", "retrying"),
    [
        (states.WAITING, "lives", "lives"),
        (states.RUNNING, "lives", "lives"),
        (states.FINISHING, "lives", "lives"),
        (states.UNDOING, "lives", "lives"),
        (states.SUCCEEDED, "undoing", "nothing"),
        (states.FAILED, "nothing", "undoing"),
        (states.CANCELLED, "nothing", "waiting"),
        (states.DESTROYED, "done", "nothing"),
    ],
)
def test_what_can_be_had_in_each_state(
    lives: Lives, state: str, destroying: str, retrying: str
) -> None:
    first, second = lives.at(state), lives.at(state)

    assert lives.ledger.reopen(first, states.DESTROYED) == destroying
    assert lives.ledger.reopen(second, states.WAITING) == retrying


def test_what_is_not_there(lives: Lives) -> None:
    assert lives.ledger.reopen("l-none", states.DESTROYED) == "gone"


def test_a_launch_is_destroyed_once(lives: Lives) -> None:
    launch = lives.succeeded()
    lives.ledger.told(launch)

    assert lives.ledger.reopen(launch, states.DESTROYED) == "undoing"
    assert lives.ledger.reopen(launch, states.DESTROYED) == "undoing"
    status = lives.ledger.status(launch)
    assert (status.state, status.step, status.ended) == (states.UNDOING, names.UNDO, None)
    assert lives.redis.pttl(lives.key("launch", launch)) == -1
    assert lives.ledger.due() == [launch]
    assert lives.lease(launch, names.UNDO).undone(())
    assert lives.ledger.status(launch).state == states.DESTROYED
    assert lives.ledger.reopen(launch, states.DESTROYED) == "done"


def left_over(lives: Lives) -> str:
    lease = lives.undoing()
    assert lease.undone([LEFT])
    return lease.launch.id


@pytest.mark.parametrize("end", [left_over, Lives.succeeded])
def test_what_is_left_over_can_be_destroyed_again(
    lives: Lives, end: Callable[[Lives], str]
) -> None:
    launch = end(lives)
    for _ in range(2):
        assert lives.ledger.reopen(launch, states.DESTROYED) == "undoing"
        assert lives.ledger.status(launch).leftovers == ()
        assert lives.lease(launch, names.UNDO).undone([LEFT])
        assert lives.ledger.status(launch).state == states.DESTROYED
    assert lives.redis.zrange(lives.key("leftovers", POOL), 0, -1) == [launch]


def test_a_destroy_cannot_be_cancelled(lives: Lives) -> None:
    launch = lives.succeeded()
    lives.ledger.reopen(launch, states.DESTROYED)

    assert lives.ledger.cancel(launch, ERROR) == "undoing"
    assert lives.lease(launch, names.UNDO).undone(())
    assert lives.state(launch) == states.DESTROYED


def retried(lives: Lives, **fields: object) -> Lease:
    """The undo of a launch that is to begin again."""
    launch = lives.failed(**fields)
    lives.ledger.told(launch)
    assert lives.ledger.reopen(launch, states.WAITING) == "undoing"
    return lives.lease(launch, names.UNDO)


def test_a_retry_begins_at_the_first_step_and_knows_nothing(lives: Lives) -> None:
    lease = retried(lives, nics=[{"network": "guest", "mac": MAC}])
    lease.remember("hint", "of the first life")
    assert lease.again(names.CONNECT, ["clone", "hint"])
    launch = lease.launch.id
    record = lives.ledger.record(launch)

    assert (record.state, record.step, record.pool, record.learnt) == ("waiting", "connect", "", {})
    assert lives.ledger.status(launch).error is None
    assert lives.ledger.due() == [launch]
    assert lives.ledger.join(launch, POOL, [MAC]) == "ok"
    assert lives.admit(launch) == names.CONNECT
    second = lives.lease(launch)
    assert set(second.calls) == {"clone"}
    assert (second.calls["clone"].state, second.calls["clone"].attempt) == ("failed", 2)


def test_a_retry_goes_on_where_it_failed(lives: Lives) -> None:
    lease = retried(lives, nics=[{"network": "guest", "mac": MAC}])
    assert lease.again(names.START, [])
    launch = lease.launch.id

    assert lives.ledger.waiting(POOL) == [launch]
    assert lives.redis.hget(lives.key("macs", POOL), MAC) == launch
    assert lives.admit(launch) == names.START
    assert lives.lease(launch, names.START).calls["clone"].state == "done"


def test_a_retry_that_finds_more_to_undo_looks_again(lives: Lives) -> None:
    lease = retried(lives)
    lives.ledger.store.run("outcome", lease.launch.id, "", "", Made("VDI", "r-late").to_json())

    assert not lease.again(names.CONNECT, [])
    lease.made.update(lease.facts())
    assert lease.again(names.CONNECT, [])


def test_a_retry_that_cannot_be_ends_as_it_had(lives: Lives) -> None:
    lease = retried(lives)
    assert lease.undone([LEFT])
    status = lives.ledger.status(lease.launch.id)

    assert (status.state, status.leftovers) == (states.FAILED, (LEFT,))
    assert status.error is not None
    assert status.error.code == FAILURE["code"]


def test_a_retry_that_is_cancelled_meanwhile_ends_cancelled(lives: Lives) -> None:
    lease = retried(lives)
    assert lives.ledger.cancel(lease.launch.id, ERROR) == "undoing"

    with pytest.raises(LeaseLost):
        lease.again(names.CONNECT, [])
    assert lease.undone(())
    assert lives.state(lease.launch.id) == states.CANCELLED


def test_who_waits_for_the_end_of_a_retry_waits_for_the_new_one(lives: Lives) -> None:
    launch = lives.failed()
    told = [lives.key(f"celery-task-meta-{launch}.{step}") for step in ("poll", "clone", "start")]
    for key in told:
        lives.redis.set(key, "failed", ex=60)
    lives.ledger.reopen(launch, states.WAITING)

    assert lives.redis.mget(told) == [None, None, "failed"]


def test_a_retry_that_is_refused_at_once_has_nothing_to_undo(lives: Lives) -> None:
    lease = retried(lives)
    lease.again(names.CONNECT, ["clone"])

    assert lives.ledger.refuse(lease.launch.id, states.FAILED, FAILURE) == "ended"


def test_a_second_life_is_undone_as_the_first(lives: Lives) -> None:
    lease = retried(lives)
    lease.again(names.CONNECT, ["clone"])
    launch = lease.launch.id
    lives.ledger.join(launch, POOL, [])
    lives.admit(launch)
    forward = lives.lease(launch)
    forward.advance(forward.launch, names.CLONE)
    forward = lives.lease(launch, names.CLONE)
    forward.intend("clone", call(attempt=2))
    made_vm(forward, "r-second")
    lives.redis.hset(lives.key("launch", launch), "lease_until", 0)

    assert lives.ledger.cancel(launch, ERROR) == "undoing"
    assert {fact.ref for fact in lives.lease(launch, names.UNDO).made} >= {"r-second"}
