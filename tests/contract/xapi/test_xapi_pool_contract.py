"""What a pool owes the room that reaches it: logins, changes, jobs, events."""

from typing import Any

import pytest

from tests.contract.xapi.conftest import OpenSession
from tests.support.simulators import SimulatorProcess
from tests.support.waiting import wait_until
from xenlaunch.errors import Busy, OutcomeUnknown, PoolError, Refused, SessionLost, ShutOut
from xenlaunch.xapi.fields import FIELDS
from xenlaunch.xapi.pending import Outcome, find_marked, mark_headers, mark_of, settle
from xenlaunch.xapi.records import Event, Records
from xenlaunch.xapi.session import Session


def template(session: Session, name: str = "debian-12") -> str:
    return str(session.read("VM.get_by_name_label", name)[0])


def running(pool: SimulatorProcess, method: str) -> int:
    return sum(call["method"].endswith(method) for call in pool.calls())


def outcome(session: Session, task: str) -> Outcome:
    return Outcome.from_record(session.read("task.get_record", task))


def clone(session: Session, name: str, mark: str = "l-1/1/clone") -> str:
    ref = session.send(
        "Async.VM.clone",
        template(session),
        name,
        as_login=session.login,
        headers=mark_headers(mark),
    )
    return str(ref)


def test_a_login_is_a_session_of_the_pool(session: Session) -> None:
    login = session.login

    assert session.read("session.get_uuid", login.ref) == login.uuid
    assert session.read("session.get_originator", login.ref) == "xenlaunch"


def test_a_wrong_password_is_refused(pool: SimulatorProcess, open_session: OpenSession) -> None:
    with pytest.raises(ShutOut) as caught:
        open_session(password="wr0ng").read("VM.get_all")

    assert caught.value.code == "SESSION_AUTHENTICATION_FAILED"
    assert "wr0ng" not in f"{caught.value.as_record()} {pool.child.log()}"


def test_who_logs_a_session_out_fences_its_owner(open_session: OpenSession) -> None:
    owner, heir = open_session(), open_session()
    login = owner.login

    assert heir.end(login.uuid) is True
    with pytest.raises(SessionLost):
        owner.send("VM.clone", template(heir), "late", as_login=login)

    assert heir.read("VM.get_by_name_label", "late") == []
    assert heir.end(login.uuid) is False


def test_a_restart_of_xapi_loses_the_session_and_nothing_else(
    pool: SimulatorProcess, session: Session
) -> None:
    login = session.login
    pool.control("POST", "/restart")

    with pytest.raises(SessionLost):
        wait_until(lambda: _sent_or_busy(session, login), 10, "xapi answers again")
    assert session.read("VM.get_by_name_label", "debian-12")
    assert session.login != login


def _sent_or_busy(session: Session, login: Any) -> bool:
    try:
        session.send("VM.set_name_description", template(session), "x", as_login=login)
    except (Busy, OutcomeUnknown):
        return False
    return True


def test_a_host_that_is_no_master_is_left_for_the_one_it_names(
    pool: SimulatorProcess, session: Session
) -> None:
    pool.faults({"method": "VM.get_all", "action": "refuse", "times": 1, **slave_of(pool)})

    assert session.read("VM.get_all")


def slave_of(pool: SimulatorProcess) -> dict[str, list[str]]:
    return {"error": ["HOST_IS_SLAVE", pool.url.partition("://")[2]]}


def test_a_change_at_a_host_that_is_no_master_did_not_run(
    pool: SimulatorProcess, session: Session
) -> None:
    login = session.login
    pool.faults({"method": "VM.clone", "action": "refuse", "times": 1, **slave_of(pool)})

    with pytest.raises(SessionLost):
        session.send("VM.clone", template(session), "nowhere", as_login=login)

    assert session.read("VM.get_by_name_label", "nowhere") == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_a_change_is_unknown_and_not_asked_again(
    pool: SimulatorProcess, session: Session, when: str
) -> None:
    pool.faults({"method": "VM.clone", "action": "drop", "when": when})

    with pytest.raises(OutcomeUnknown) as caught:
        clone(session, "perhaps")

    assert caught.value.code == "CONNECTION_LOST"
    assert running(pool, "VM.clone") <= 1


def test_a_job_is_found_again_by_its_mark(session: Session) -> None:
    task = clone(session, "one", mark="l-1/1/clone")
    clone(session, "two", mark="l-2/1/clone")

    found = find_marked(session, "l-1/")

    assert list(found) == [task]
    assert mark_of(found[task]) == "l-1/1/clone"


def test_a_job_ends_in_the_value_that_the_call_has(session: Session) -> None:
    task = clone(session, "web")
    wait_until(lambda: outcome(session, task).ended, 10, "the clone has ended")

    vm = settle("VM.clone", outcome(session, task))

    assert session.read("VM.get_name_label", vm) == "web"


def test_a_job_that_fails_ends_in_its_refusal(pool: SimulatorProcess, session: Session) -> None:
    error = ["SR_BACKEND_FAILURE_44", "", "There is insufficient space", ""]
    pool.faults({"method": "VM.clone", "error": error})
    task = clone(session, "web")
    wait_until(lambda: outcome(session, task).ended, 10, "the clone has ended")

    with pytest.raises(Refused, match="The storage is full") as caught:
        settle("VM.clone", outcome(session, task))

    assert [caught.value.code, *caught.value.params] == error


def test_a_job_that_is_gone_is_unknown(session: Session) -> None:
    task = clone(session, "web")
    wait_until(lambda: outcome(session, task).ended, 10, "the clone has ended")
    session.send("task.destroy", task, as_login=session.login)

    with pytest.raises(OutcomeUnknown):
        outcome(session, task)


def test_what_is_gone_is_refused_by_name(session: Session) -> None:
    with pytest.raises(Refused) as caught:
        session.read("VM.get_by_uuid", "no-such-uuid")

    assert caught.value.code == "UUID_INVALID"
    assert caught.value.message == "The pool has no VM with the uuid no-such-uuid."


def test_records_are_the_pools_own(session: Session, records: Records) -> None:
    for cls in ("VM", "host", "SR", "network", "PIF", "host_metrics", "PBD"):
        theirs = session.read(f"{cls}.get_all_records")
        ours = records.all(cls.lower())

        assert ours.keys() == theirs.keys(), cls
        for ref, record in ours.items():
            assert record == {name: theirs[ref][name] for name in FIELDS[cls.lower()]}


def test_a_barrier_shows_what_was_done_before_it(session: Session, records: Records) -> None:
    vm = session.send("VM.clone", template(session), "web", as_login=session.login)

    records.barrier()

    known = records.get("vm", vm)
    assert known is not None
    assert known["name_label"] == "web"
    assert all(records.get("vbd", ref) for ref in known["VBDs"])


def test_deletions_are_seen_and_told(session: Session, records: Records) -> None:
    told: list[Event] = []
    vm = session.send("VM.clone", template(session), "web", as_login=session.login)
    records.barrier()
    records.subscribe(told.append)

    session.send("VM.destroy", vm, as_login=session.login)
    records.barrier()

    assert records.get("vm", vm) is None
    wait_until(
        lambda: any(it.ref == vm and it.operation == "del" for it in told), 5, "the deletion"
    )


def test_records_outlive_a_restart_of_xapi(
    pool: SimulatorProcess, session: Session, records: Records
) -> None:
    pool.control("POST", "/restart")

    def cloned() -> str:
        try:
            ref = session.send("VM.clone", template(session), "new", as_login=session.login)
        except PoolError:
            return ""
        return str(ref)

    vm = wait_until(cloned, 10, "a clone after the restart")

    assert records.wait_for(lambda: records.get("vm", vm), 10)


def test_no_password_and_no_session_is_logged(
    pool: SimulatorProcess, session: Session, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    ref = session.login.ref
    pool.control("POST", "/sessions/expire")
    session.read("VM.get_all")
    records.barrier()

    assert pool.password not in caplog.text
    assert ref not in caplog.text
    assert session.login.ref not in caplog.text
