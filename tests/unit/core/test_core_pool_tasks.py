"""Calls that take a while: their pool task is awaited, found again after a crash, or replaced."""

from dataclasses import replace

import pytest

from tests.unit.core.lives import Lives, call, heir, open_call
from tests.unit.core.scripted_session import ScriptedSession, error, pool_of
from xenlaunch.errors import OutcomeUnknown, Parked, Refused
from xenlaunch.lease import FAILED, OPEN, Lease, Made
from xenlaunch.xapi.pending import Outcome
from xenlaunch.xapi.pool import Pool

TASK = "OpaqueRef:task"
VM = "OpaqueRef:vm"


def clone(pool: Pool, found: str | None = None, seconds: float = 60) -> str:
    return pool.run(
        "key",
        "VM.clone",
        "OpaqueRef:template",
        what="the clone",
        seconds=seconds,
        makes="VM",
        find=lambda: found,
    )


def test_a_long_call_parks_for_its_task(session: ScriptedSession, lease: Lease, pool: Pool) -> None:
    session.answers["Async.VM.clone"] = TASK

    with pytest.raises(Parked) as parked:
        clone(pool)
    assert (parked.value.what, parked.value.ref, parked.value.seconds) == ("the clone", TASK, 60)
    assert lease.calls["key"] == replace(
        call("Async.VM.clone", login="login-2", since=1000.0, makes="VM"), task=TASK
    )


@pytest.mark.parametrize("noted", [True, False])
def test_the_value_of_its_task_is_the_calls(
    lives: Lives,
    session: ScriptedSession,
    lease: Lease,
    noted: bool,  # noqa: FBT001  whether the watcher was first
) -> None:
    mark = open_call(lease, "Async.VM.clone", TASK, "VM")
    ended = Outcome("success", f"<value>{VM}</value>")
    if noted:
        lives.ledger.note(lease.launch.id, TASK, ended.to_json())
    else:
        session.add_task(TASK, mark, ended.status, result=ended.result)
    after = heir(lives, lease)
    values = [clone(pool_of(session, after)) for _ in range(2)]

    assert values == [VM, VM]
    assert session.sent() == []
    assert session.rows.get("task", {}) == {}
    assert lease.facts() == {Made("VM", VM)}


def test_a_task_that_runs_on_is_waited_for(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    mark = open_call(lease, "Async.VM.clone", TASK, "VM")
    session.add_task(TASK, mark)
    pool = pool_of(session, heir(lives, lease), now=1020.0)

    with pytest.raises(Parked) as parked:
        clone(pool)
    assert (parked.value.ref, parked.value.seconds) == (TASK, 40)


def test_a_task_that_does_not_end_in_time_is_an_error(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    mark = open_call(lease, "Async.VM.clone", TASK, "VM")
    session.add_task(TASK, mark)
    after = heir(lives, lease)

    with pytest.raises(Refused) as refused:
        clone(pool_of(session, after, now=1060.0))
    assert refused.value.code == "TIMED_OUT"
    assert refused.value.message == "Waited 60 s for the clone, which the pool has not finished."
    assert after.calls["key"].state == OPEN


def test_a_task_that_failed_says_why(lives: Lives, session: ScriptedSession, lease: Lease) -> None:
    mark = open_call(lease, "Async.VM.clone", TASK, "VM")
    session.add_task(TASK, mark, "failure", error_info=["HOST_OFFLINE", "OpaqueRef:h1"])
    after = heir(lives, lease)

    with pytest.raises(type(error("HOST_OFFLINE"))):
        clone(pool_of(session, after))
    assert after.calls["key"].state == FAILED
    assert session.rows["task"] == {}


@pytest.mark.parametrize("status", ["vanished", "cancelled"])
def test_what_a_lost_task_has_made_is_adopted(
    lives: Lives, session: ScriptedSession, lease: Lease, status: str
) -> None:
    mark = open_call(lease, "Async.VM.clone", TASK, "VM")
    if status != "vanished":
        session.add_task(TASK, mark, status)
    value = clone(pool_of(session, heir(lives, lease)), found=VM)

    assert (value, session.sent()) == (VM, [])
    assert lease.facts() == {Made("VM", VM)}


def test_a_lost_task_that_has_made_nothing_is_sent_again_another_time(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    open_call(lease, "Async.VM.clone", TASK, "VM")
    after = heir(lives, lease)
    session.answers["Async.VM.clone"] = "OpaqueRef:task-2"

    with pytest.raises(OutcomeUnknown):
        clone(pool_of(session, after))
    assert session.sent() == []
    with pytest.raises(Parked):
        clone(pool_of(session, after))
    assert session.marks == [f"tests/{lease.launch.id}/key/2"]


def test_a_task_that_its_sender_never_heard_of_is_found_by_its_mark(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    mark = open_call(lease, "Async.VM.clone", makes="VM")
    session.add_task("OpaqueRef:other", f"{mark}0", "success", result="<value>wrong</value>")
    session.add_task(TASK, mark)
    after = heir(lives, lease)

    with pytest.raises(Parked) as parked:
        clone(pool_of(session, after))
    assert parked.value.ref == TASK
    assert session.verbs() == ["end", "read task.get_all_records"]
    session.rows["task"][TASK].update(status="success", result=f"<value>{VM}</value>")
    assert clone(pool_of(session, after)) == VM


def test_an_ended_task_that_its_sender_never_heard_of_is_adopted(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    mark = open_call(lease, "Async.VM.clone", makes="VM")
    session.add_task(TASK, mark, "success", result=f"<value>{VM}</value>")

    assert clone(pool_of(session, heir(lives, lease))) == VM
    assert session.verbs() == ["end", "read task.get_all_records", "read task.destroy"]
    assert lease.facts() == {Made("VM", VM)}


def test_what_nobody_heard_of_is_adopted_when_it_is_found(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    open_call(lease, "Async.VM.clone", makes="VM")

    assert clone(pool_of(session, heir(lives, lease)), found=VM) == VM
    assert session.sent() == []


def test_what_never_arrived_is_sent_again(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    open_call(lease, "Async.VM.clone", makes="VM")
    session.answers["Async.VM.clone"] = TASK

    with pytest.raises(Parked):
        clone(pool_of(session, heir(lives, lease)))
    assert session.verbs() == ["end", "read task.get_all_records", "send Async.VM.clone"]
    assert session.marks == [f"tests/{lease.launch.id}/key/2"]


def test_quiescing_stops_what_runs_and_waits_for_it(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    mark = open_call(lease, "Async.VM.clone", TASK, "VM")
    session.add_task(TASK, mark)
    after = heir(lives, lease)

    with pytest.raises(Parked):
        pool_of(session, after).quiesce({})
    assert session.rows["task"][TASK]["status"] == "cancelling"
    session.rows["task"][TASK].update(status="success", result=f"<value>{VM}</value>")
    pool_of(session, after).quiesce({})
    assert lease.facts() == {Made("VM", VM)}


@pytest.mark.parametrize("status", ["vanished", "cancelled", "failure"])
def test_what_was_stopped_is_over(
    lives: Lives, session: ScriptedSession, lease: Lease, status: str
) -> None:
    mark = open_call(lease, "Async.VM.clone", TASK, "VM")
    if status != "vanished":
        session.add_task(TASK, mark, status, error_info=["VDI_MISSING"])
    after = heir(lives, lease)
    pool_of(session, after).quiesce({})

    assert after.calls["key"].state == FAILED
    assert lease.facts() == set()


def test_an_open_call_of_which_there_is_nothing_is_over_once_it_was_looked_for(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    open_call(lease, "VBD.create", makes="VBD")
    after = heir(lives, lease)
    for _ in range(2):
        pool_of(session, after).quiesce({})

    assert after.calls["key"].state == FAILED
    assert session.verbs() == ["end", "read task.get_all_records"]
