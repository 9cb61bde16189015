"""A pool as a step sees it: what was done is not done again, and what may have been is looked for.

A worker that dies between two writes is a lease that another one takes over: the calls are the
ledger's, and the session is another one.
"""

import pytest

from tests.unit.core.lives import Lives, call, heir, open_call
from tests.unit.core.scripted_session import ScriptedSession, error, pool_of
from xenlaunch import names
from xenlaunch.errors import Busy, LeaseLost, OutcomeUnknown, Refused
from xenlaunch.lease import DONE, FAILED, OPEN, Lease, Made
from xenlaunch.xapi.pool import UPLOAD, Finder, Pool

VM = "OpaqueRef:vm"


# Calls that are answered at once


def test_a_call_is_made_once(session: ScriptedSession, lease: Lease, pool: Pool) -> None:
    session.answers["VBD.create"] = "OpaqueRef:vbd"
    values = [pool.do("key", "VBD.create", {"VM": VM}, makes="VBD") for _ in range(3)]

    assert values == ["OpaqueRef:vbd"] * 3
    assert session.sent() == ["VBD.create"]
    assert session.marks == [f"tests/{lease.launch.id}/key/1"]


def test_what_was_made_is_known_to_who_comes_after(
    lives: Lives, session: ScriptedSession, lease: Lease, pool: Pool
) -> None:
    session.answers["VBD.create"] = "OpaqueRef:vbd"
    pool.do("key", "VBD.create", {"VM": VM}, makes="VBD")
    after = heir(lives, lease)
    value = pool_of(session, after).do("key", "VBD.create", {"VM": VM}, makes="VBD")

    assert value == "OpaqueRef:vbd"
    assert after.made == {Made("VBD", "OpaqueRef:vbd")}
    assert pool_of(session, after).made("VBD") == ["OpaqueRef:vbd"]
    assert session.sent() == ["VBD.create"]


@pytest.mark.parametrize("value", ["", None, "OpaqueRef:NULL"])
def test_nothing_is_no_fact(
    session: ScriptedSession, lease: Lease, pool: Pool, value: str | None
) -> None:
    session.answers["VIF.create"] = value
    pool.do("key", "VIF.create", {}, makes="VIF")

    assert lease.facts() == set()


def test_the_intent_is_written_before_the_call(
    lives: Lives, session: ScriptedSession, lease: Lease, pool: Pool
) -> None:
    """Seen by another worker at the moment of sending: open, under this login."""
    seen = []

    def look() -> str:
        seen.append(heir(lives, lease).calls["key"])
        return ""

    session.answers["VM.set_name_label"] = look
    pool.do("key", "VM.set_name_label", VM, "web")

    assert seen == [call("VM.set_name_label", login="login-2", since=1000.0)]
    assert seen[0].state == OPEN


def test_nothing_is_sent_under_a_lost_lease(
    lives: Lives, session: ScriptedSession, lease: Lease, pool: Pool
) -> None:
    heir(lives, lease)

    with pytest.raises(LeaseLost):
        pool.do("key", "VM.destroy", VM)
    assert session.calls == []


def test_an_open_call_is_looked_for_after_its_sender_was_logged_out(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    open_call(lease, "VBD.create", makes="VBD")
    after = heir(lives, lease)
    looked = []

    def find() -> str:
        looked.append(list(session.calls))
        return "OpaqueRef:vbd"

    value = pool_of(session, after).do("key", "VBD.create", {}, makes="VBD", find=find)

    assert value == "OpaqueRef:vbd"
    assert session.verbs() == ["end", "read task.get_all_records"]
    assert session.calls[0] == ("end", "login-1")
    assert looked == [session.calls]
    assert lease.facts() == {Made("VBD", "OpaqueRef:vbd")}


def test_an_open_call_of_which_there_is_nothing_is_sent_again(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    open_call(lease, "VBD.create", makes="VBD")
    after = heir(lives, lease)
    session.answers["VBD.create"] = "OpaqueRef:vbd"
    value = pool_of(session, after).do("key", "VBD.create", {}, makes="VBD", find=lambda: None)

    assert value == "OpaqueRef:vbd"
    assert session.verbs() == ["end", "read task.get_all_records", "send VBD.create"]
    assert session.marks == [f"tests/{lease.launch.id}/key/2"]
    assert (after.calls["key"].attempt, after.calls["key"].login) == (2, "login-2")


def test_a_repeatable_call_without_a_finder_is_sent_again(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    open_call(lease, "VM.set_name_label")
    pool_of(session, heir(lives, lease)).do("key", "VM.set_name_label", VM, "web")

    assert session.sent() == ["VM.set_name_label"]


def test_what_was_found_without_a_value_is_done(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    open_call(lease, "VM.add_to_other_config")
    after = heir(lives, lease)
    value = pool_of(session, after).do("key", "VM.add_to_other_config", VM, find=lambda: "")

    assert (value, after.calls["key"].state, session.sent()) == ("", DONE, [])


def test_a_lost_session_is_replaced_and_the_intent_with_it(
    session: ScriptedSession, lease: Lease, pool: Pool
) -> None:
    def lose() -> Exception:
        session.log_in("login-3")
        return error("SESSION_INVALID")

    session.answers["VM.set_name_label"] = [lose, "done"]
    pool.do("key", "VM.set_name_label", VM, "web")

    assert session.sent() == ["VM.set_name_label"] * 2
    assert lease.calls["key"].login == "login-3"
    assert lease.calls["key"].attempt == 1


def test_who_lost_session_and_lease_sends_no_more(
    lives: Lives, session: ScriptedSession, lease: Lease, pool: Pool
) -> None:
    """Whoever took the step over has logged us out: that is why the session is gone."""

    def lose() -> Exception:
        heir(lives, lease)
        session.log_in("login-3")
        return error("SESSION_INVALID")

    session.answers["VM.destroy"] = lose

    with pytest.raises(LeaseLost):
        pool.do("key", "VM.destroy", VM)
    assert session.sent() == ["VM.destroy"]


def test_a_session_that_is_lost_again_and_again_is_busy(
    session: ScriptedSession, lease: Lease, pool: Pool
) -> None:
    session.answers["VM.destroy"] = error("SESSION_INVALID")

    with pytest.raises(Busy, match="The pool lab keeps losing our session"):
        pool.do("key", "VM.destroy", VM)
    assert session.sent() == ["VM.destroy"] * 3
    assert lease.calls["key"].state == FAILED


@pytest.mark.parametrize("code", ["VDI_MISSING", "HOST_OFFLINE", "TOO_BUSY"])
def test_a_call_that_was_refused_is_over(
    session: ScriptedSession, lease: Lease, pool: Pool, code: str
) -> None:
    session.answers["VBD.create"] = [error(code), "OpaqueRef:vbd"]

    with pytest.raises(type(error(code))):
        pool.do("key", "VBD.create", {})
    assert lease.calls["key"].state == FAILED
    assert pool.do("key", "VBD.create", {}) == "OpaqueRef:vbd"
    assert session.marks[-1].endswith("/key/2")
    assert "end" not in session.verbs()


def test_what_we_made_ourselves_is_adopted_where_it_is_there_already(
    session: ScriptedSession, lease: Lease, pool: Pool
) -> None:
    session.answers["VBD.create"] = error("DEVICE_ALREADY_EXISTS", "1")

    assert pool.do("key", "VBD.create", {}, find=lambda: "OpaqueRef:ours") == "OpaqueRef:ours"
    assert lease.calls["key"].state == DONE


@pytest.mark.parametrize("find", [None, lambda: None])
def test_what_another_made_is_not_taken(
    session: ScriptedSession, pool: Pool, find: Finder | None
) -> None:
    session.answers["VBD.create"] = error("DEVICE_ALREADY_EXISTS", "1")

    with pytest.raises(Refused, match="device 1"):
        pool.do("key", "VBD.create", {}, find=find)


def test_a_call_whose_outcome_nobody_knows_stays_open(
    session: ScriptedSession, lease: Lease, pool: Pool
) -> None:
    session.answers["VBD.create"] = error("CONNECTION_LOST", "VBD.create", "host", "reset")

    with pytest.raises(OutcomeUnknown):
        pool.do("key", "VBD.create", {}, find=lambda: None)
    assert lease.calls["key"].state == OPEN
    assert pool.do("key", "VBD.create", {}, find=lambda: "OpaqueRef:vbd") == "OpaqueRef:vbd"
    assert session.sent() == ["VBD.create"]


# What else a step is told


def test_a_step_knows_what_it_looked_for(lives: Lives, lease: Lease, pool: Pool) -> None:
    for _ in range(2):
        pool.know("VDI", "OpaqueRef:vdi", "u-vdi")

    assert heir(lives, lease).made == {Made("VDI", "OpaqueRef:vdi", "u-vdi")}


def test_a_mark_names_deployment_launch_and_subject(lease: Lease, pool: Pool) -> None:
    assert pool.mark("vbd:0") == f"tests/{lease.launch.id}/vbd:0"


def test_no_way_back_is_the_ledgers(lives: Lives, session: ScriptedSession) -> None:
    lease = lives.leased(names.POLL)
    pool_of(session, lease).no_way_back()

    assert lives.state(lease.launch.id) == "finishing"


# Uploads


def test_an_upload_is_made_once(session: ScriptedSession, lease: Lease, pool: Pool) -> None:
    for _ in range(2):
        pool.upload("upload", "OpaqueRef:vdi", b"told")

    assert session.uploads == [("OpaqueRef:vdi", b"told")]
    assert lease.calls["upload"].state == DONE


def test_an_upload_that_nobody_knows_of_is_made_again_under_another_session(
    lives: Lives, session: ScriptedSession, lease: Lease
) -> None:
    open_call(lease, UPLOAD)
    pool_of(session, heir(lives, lease)).upload("key", "OpaqueRef:vdi", b"told")

    assert session.calls[0] == ("end", "login-1")
    assert session.uploads == [("OpaqueRef:vdi", b"told")]


def test_the_intent_of_an_upload_holds_nothing_of_it(
    lives: Lives, session: ScriptedSession, lease: Lease, pool: Pool
) -> None:
    session.answers[UPLOAD] = OutcomeUnknown("CONNECTION_LOST", [], "")
    with pytest.raises(OutcomeUnknown):
        pool.upload("upload", "OpaqueRef:vdi", b"told")

    assert lease.calls["upload"].state == OPEN
    assert "told" not in str(lives.redis.hgetall(lives.key("launch", lease.launch.id, "calls")))
