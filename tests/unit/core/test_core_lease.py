"""Leases: who may carry out a step, and what a lost one can still do (nothing)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.waiting import wait_until
from tests.unit.core.lives import ERROR, FAILURE, Lives, call, heir, made_vm, result
from xenlaunch import names, states
from xenlaunch.errors import CancelAsked, LeaseLost
from xenlaunch.lease import DONE, Lease, Made, Unclaimed

Write = Callable[[Lease], object]


def test_a_claim_of_what_is_not_there_is_gone(lives: Lives) -> None:
    assert lives.claim("l-none") == Unclaimed("gone")


@pytest.mark.parametrize("state", [state for state in states.STATES if state != states.RUNNING])
def test_no_step_is_claimed_in_another_state(lives: Lives, state: str) -> None:
    assert lives.claim(lives.at(state), names.CONNECT) == Unclaimed("stale")


def test_only_the_step_whose_turn_it_is_is_claimed(lives: Lives) -> None:
    launch = lives.running()
    verdicts = {step: lives.claim(launch, step) for step in (*names.STEPS[1:], names.UNDO)}

    assert verdicts == dict.fromkeys(verdicts, Unclaimed("stale"))


def test_a_parked_launch_is_not_claimed(lives: Lives) -> None:
    lease = lives.leased()
    lease.park("the clone", "OpaqueRef:task", 60)

    assert lives.claim(lease.launch.id) == Unclaimed("parked")


def test_one_of_two_has_the_lease(lives: Lives) -> None:
    lease = lives.leased()

    assert lives.claim(lease.launch.id) == Unclaimed("taken")


def test_a_claim_is_repeated_with_the_same_answer(lives: Lives) -> None:
    launch = lives.running()
    first, second = (lives.lease(launch, fence="f-1") for _ in range(2))

    assert first.launch == second.launch
    assert first.record.fields == second.record.fields


def test_a_claim_hands_over_all_that_is_known(lives: Lives) -> None:
    lease = lives.leased(names.CLONE)
    made_vm(lease)
    lives.ledger.note(lease.launch.id, "OpaqueRef:task", "ended")
    after = heir(lives, lease)

    assert after.calls == {"clone": replace(call(), state=DONE, value="OpaqueRef:vm")}
    assert after.made == {Made("VM", "OpaqueRef:vm")}
    assert after.notes == {"OpaqueRef:task": "ended"}


def test_a_lease_that_has_run_out_is_taken_over(lives: Lives) -> None:
    lives = lives.but(lease=20)
    lease = lives.leased()
    taken = wait_until(
        lambda: isinstance(lives.claim(lease.launch.id), Lease), 5, "the lease has run out"
    )

    assert taken
    with pytest.raises(LeaseLost):
        lease.advance(lease.launch, names.CLONE)
    record = lives.ledger.record(lease.launch.id)
    assert (record.step, record.taken_over) == (names.CONNECT, "1")


def test_a_lease_that_is_renewed_does_not_run_out(lives: Lives) -> None:
    lease = lives.leased()
    key = lives.key("launch", lease.launch.id)
    lives.redis.hset(key, "lease_until", 0)
    lost = lives.ledger.renew({lease.launch.id: lease.fence, "l-none": "f-1"})

    assert lost == ["l-none"]
    assert lives.claim(lease.launch.id) == Unclaimed("taken")
    assert lives.ledger.renew({}) == []


def test_an_intent_prolongs_the_lease(lives: Lives) -> None:
    lease = lives.leased()
    lives.redis.hset(lives.key("launch", lease.launch.id), "lease_until", 0)
    lease.intend("clone", call())

    assert lives.claim(lease.launch.id) == Unclaimed("taken")


ENDS: dict[str, Write] = {
    "advance": lambda lease: lease.advance(lease.launch, names.CLONE),
    "park": lambda lease: lease.park("the clone", "OpaqueRef:task", 60),
    "undo": lambda lease: lease.turn_to_undo(states.FAILED, FAILURE),
    "replace": lambda lease: lease.another_host(names.CLONE, "u-h1", "is full"),
}
WRITES = ENDS | {
    "intend": lambda lease: lease.intend("clone", call()),
    "finishing": lambda lease: lease.finishing(),
    "succeed": lambda lease: lease.succeed(lease.launch, result(lease)),
    "undone": lambda lease: lease.undone(()),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_lost_lease_writes_nothing(lives: Lives, write: Write) -> None:
    lease = lives.leased()
    heir(lives, lease)
    before = lives.ledger.record(lease.launch.id).fields

    with pytest.raises(LeaseLost):
        write(lease)
    assert lives.ledger.record(lease.launch.id).fields == before


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_lease_on_a_launch_that_is_undone_already_writes_nothing(
    lives: Lives, write: Write
) -> None:
    lease = lives.leased()
    lives.redis.hset(lives.key("launch", lease.launch.id), "lease_until", 0)
    lives.ledger.cancel(lease.launch.id, ERROR)

    with pytest.raises(LeaseLost):
        write(lease)
    assert lives.state(lease.launch.id) == states.UNDOING


@pytest.mark.parametrize("write", ENDS.values(), ids=ENDS)
def test_an_end_of_a_step_is_repeated_without_effect(lives: Lives, write: Write) -> None:
    """redis-py repeats a script whose answer was lost."""
    lease = lives.leased()
    write(lease)
    before = lives.ledger.record(lease.launch.id).fields
    write(lease)

    assert lives.ledger.record(lease.launch.id).fields == before


def test_a_success_is_repeated_without_effect(lives: Lives) -> None:
    lease = lives.leased(names.POLL)
    for write in (Lease.finishing, Lease.finishing):
        write(lease)
    for _ in range(2):
        lease.succeed(lease.launch, result(lease))
    events = [event for _, event in lives.ledger.events("0", 1) if event["state"] == "succeeded"]

    assert lives.state(lease.launch.id) == states.SUCCEEDED
    assert len(events) == 1


def test_an_undo_is_ended_again_without_effect(lives: Lives) -> None:
    lease = lives.undoing()
    verdicts = [lease.undone(()), lease.undone(())]

    assert verdicts == [True, True]
    assert lives.state(lease.launch.id) == states.FAILED


def test_a_fact_that_came_late_is_undone_too(lives: Lives) -> None:
    """Facts are taken from anyone in any state, and an undo that has not seen one does not end."""
    late = lives.leased(names.CLONE)
    late.intend("clone", call())
    lives.redis.hset(lives.key("launch", late.launch.id), "lease_until", 0)
    lives.ledger.cancel(late.launch.id, ERROR)
    lease = lives.lease(late.launch.id, names.UNDO)
    late.came_out("clone", "OpaqueRef:vm", [Made("VM", "OpaqueRef:vm")])
    before = lease.undone(())
    lease.made.update(lease.facts())

    assert before is False
    assert lease.made == {Made("VM", "OpaqueRef:vm")}
    assert lease.undone(()) is True


def test_a_former_owner_says_nothing_of_a_later_attempt(lives: Lives) -> None:
    """What it has made counts all the same."""
    late = lives.leased(names.CLONE)
    late.intend("clone", call())
    after = heir(lives, late)
    after.intend("clone", call(attempt=2))
    late.came_out("clone", "OpaqueRef:vm", [Made("VM", "OpaqueRef:vm")])
    last = heir(lives, after)

    assert last.calls == {"clone": call(attempt=2)}
    assert last.made == {Made("VM", "OpaqueRef:vm")}


@pytest.mark.parametrize("settled", ["done", "failed"])
def test_a_former_owner_does_not_open_again_what_its_heir_has_settled(
    lives: Lives, settled: str
) -> None:
    """It had the answer in its hand when it was stopped, and writes it down much later."""
    late = lives.leased(names.CLONE)
    late.intend("clone", call())
    after = heir(lives, late)
    if settled == "done":
        after.came_out("clone", "OpaqueRef:vm")
    else:
        after.failed("clone")
    late.sent("clone", "OpaqueRef:task")

    assert heir(lives, after).calls["clone"].state == settled


def test_what_was_done_stays_done(lives: Lives) -> None:
    late = lives.leased(names.CLONE)
    late.intend("clone", call())
    after = heir(lives, late)
    after.came_out("clone", "OpaqueRef:vm")
    late.failed("clone")

    assert heir(lives, after).calls["clone"].value == "OpaqueRef:vm"


def test_what_a_step_has_learnt_is_there_for_the_next(lives: Lives) -> None:
    lease = lives.leased()
    learnt = lease.launch.but(networks=("OpaqueRef:n1",), sources=("OpaqueRef:sr",))
    lease.advance(learnt, names.CLONE)

    assert lives.lease(lease.launch.id, names.CLONE).launch == learnt


def test_a_launch_that_goes_to_another_host_remembers_the_one_that_refused(lives: Lives) -> None:
    lease = lives.leased(names.START)
    lease.another_host(names.NETWORK, "u-h1", "host-1: is full")
    record = lives.ledger.record(lease.launch.id)

    assert (record.state, record.step, record.host) == (states.WAITING, names.NETWORK, None)
    assert record.avoid == {"u-h1": "host-1: is full"}
    assert lives.ledger.in_flight("lab") == {}
    assert lives.ledger.waiting("lab") == [lease.launch.id]


@pytest.mark.parametrize(
    "write",
    [
        WRITES["intend"],
        WRITES["finishing"],
        WRITES["replace"],
        WRITES["park"],
    ],
    ids=["intend", "finishing", "replace", "park"],
)
def test_who_holds_the_lease_is_told_of_a_cancel(lives: Lives, write: Write) -> None:
    lease = lives.leased()
    asked = lives.ledger.cancel(lease.launch.id, ERROR)

    assert asked == "asked"
    with pytest.raises(CancelAsked):
        write(lease)


def test_a_cancel_between_two_steps_is_found_by_the_next_claim(lives: Lives) -> None:
    lease = lives.leased()
    lives.ledger.cancel(lease.launch.id, ERROR)
    lease.advance(lease.launch, names.CLONE)

    assert lives.claim(lease.launch.id, names.CLONE) == Unclaimed("cancel")
    assert lives.state(lease.launch.id) == states.UNDOING


def test_a_failure_of_a_launch_that_is_to_be_cancelled_is_a_cancel(lives: Lives) -> None:
    lease = lives.leased()
    lives.ledger.cancel(lease.launch.id, ERROR)
    lease.turn_to_undo(states.FAILED, FAILURE)
    lives.lease(lease.launch.id, names.UNDO).undone(())
    status = lives.ledger.status(lease.launch.id)

    assert status.state == states.CANCELLED
    assert status.error is not None
    assert status.error.code == "CANCELLED"


def test_a_lease_that_is_given_back_is_there_for_others_at_once(lives: Lives) -> None:
    lease, others = lives.leased(), lives.leased()
    given = lives.ledger.let_go({lease.launch.id: lease.fence, others.launch.id: "another"})

    assert given == 1
    assert lives.ledger.due() == [lease.launch.id]
    assert isinstance(lives.claim(lease.launch.id), Lease)
    with pytest.raises(LeaseLost):
        lease.intend("clone", call())
    others.intend("clone", call())
