"""When a VM goes to another host: only when it is sure that it does not run where it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest

from tasks.poll import HOST_SECONDS, check_running
from tasks.start import LOOKS, start
from tasks.step import back_to
from tests.unit.core.lives import Lives
from tests.unit.core.scripted_session import ScriptedSession, error, pool_of
from xenlaunch import names
from xenlaunch.errors import Busy, OutcomeUnknown, Parked, Place, PoolError, Refused
from xenlaunch.lease import Lease
from xenlaunch.xapi.pool import Pool
from xenlaunch.xapi.reach import Reach

VM, HOST = "OpaqueRef:vm", "OpaqueRef:h1"


@dataclass
class Cache:
    """The pool's cached records, as a test has written them."""

    rows: dict[str, dict[str, dict[str, Any]]]

    def get(self, cls: str, ref: str) -> dict[str, Any] | None:
        return self.rows.get(cls, {}).get(ref)


def starting(lives: Lives, lost: Sequence[str] = ()) -> Lease:
    """The step `start`, which has been tried again for trouble of these codes."""
    lease = lives.leased(names.START)
    for code in lost:
        lease.park("the pool", "", 60, retry=True, trouble=code)
        lives.ledger.wake(lease.launch.id)
        lease = lives.lease(lease.launch.id, names.START)
    lease.launch = lease.launch.but(vm=VM, vm_uuid="u-vm")
    return lease


def pool_with(power_state: str, operations: dict[str, str] | None = None) -> ScriptedSession:
    session = ScriptedSession()
    row = {"uuid": "u-vm", "power_state": power_state, "current_operations": operations or {}}
    session.rows = {"VM": {VM: row}}
    session.answers["VM.get_power_state"] = power_state
    return session


def carry_out(session: ScriptedSession, lease: Lease, refused: PoolError) -> None:
    session.answers["Async.VM.start_on"] = refused
    start(lease.launch, pool_of(session, lease))


def test_a_host_that_refuses_a_halted_vm_is_left(lives: Lives) -> None:
    with pytest.raises(Place, match="offline"):
        carry_out(pool_with("Halted"), starting(lives), error("HOST_OFFLINE", HOST))


def test_a_host_is_not_left_while_something_works_on_the_vm(lives: Lives) -> None:
    session = pool_with("Halted", {"OpaqueRef:task": "start_on"})

    with pytest.raises(Busy, match="offline"):
        carry_out(session, starting(lives), error("HOST_OFFLINE", HOST))


def test_a_vm_that_runs_after_all_goes_nowhere(lives: Lives) -> None:
    carry_out(pool_with("Running"), starting(lives), error("HOST_OFFLINE", HOST))


def test_an_unknown_outcome_is_looked_at_before_another_host_is_tried(lives: Lives) -> None:
    lost = error("CANNOT_CONTACT_HOST", HOST)
    often = [lost.code] * LOOKS

    with pytest.raises(OutcomeUnknown):
        carry_out(pool_with("Halted"), starting(lives, often[1:]), lost)
    with pytest.raises(OutcomeUnknown):
        carry_out(pool_with("Halted"), starting(lives, [*often, "POOL_BUSY_HERE"]), lost)
    with pytest.raises(OutcomeUnknown):
        carry_out(pool_with("Halted"), starting(lives, ["POOL_BUSY_HERE"] * LOOKS), lost)
    with pytest.raises(Place):
        carry_out(pool_with("Halted"), starting(lives, often), lost)
    with pytest.raises(Busy):
        carry_out(pool_with("Paused"), starting(lives, often), lost)


def test_a_start_on_another_host_is_another_call(lives: Lives) -> None:
    """What one host has done or refused says nothing of the next one."""
    lease = starting(lives)
    session = pool_with("Halted")
    session.answers["Async.VM.start_on"] = "OpaqueRef:task"
    assert lease.launch.host is not None
    for uuid in ("u-h1", "u-h2"):
        launch = lease.launch.but(host=lease.launch.host.model_copy(update={"uuid": uuid}))
        with pytest.raises(Parked):
            start(launch, pool_of(session, lease))

    assert session.sent() == ["Async.VM.start_on"] * 2


@pytest.mark.parametrize("step", names.STEPS)
def test_nothing_that_is_not_done_is_left_out_on_another_host(step: str) -> None:
    gone_over = names.STEPS[: names.STEPS.index(back_to(step))]

    assert set(gone_over) <= set(names.STEPS[: names.STEPS.index(step)])
    assert names.NETWORK not in gone_over


# At the end


def checked(
    lives: Lives,
    state: str,
    *,
    live: bool,
    waited: float = 0,
    met: str = "HOST_DOWN",
) -> None:
    lease = lives.leased(names.POLL)
    if waited:
        lease.park("its host", "", 60, retry=True, trouble=met)
        lives.ledger.wake(lease.launch.id)
        lease = lives.lease(lease.launch.id, names.POLL)
    metrics = {"OpaqueRef:m": {"live": live}}
    cache = Cache({"host": {HOST: _host()}, "host_metrics": metrics})
    since = int(lease.record.step_since or 0) / 1000
    reach = Reach("lab", cast("Any", ScriptedSession()), cast("Any", cache))
    pool = Pool(reach, lease, clock=lambda: since + waited)
    row = {"uuid": "u-vm", "power_state": state, "resident_on": HOST, "current_operations": {}}
    check_running(pool, row)


def _host() -> dict[str, Any]:
    return {"uuid": "u-h1", "name_label": "host-1", "metrics": "OpaqueRef:m"}


def test_a_vm_that_runs_on_a_live_host_is_up(lives: Lives) -> None:
    checked(lives, "Running", live=True)


def test_a_vm_whose_host_is_down_is_waited_for(lives: Lives) -> None:
    with pytest.raises(Busy, match="host-1 is down"):
        checked(lives, "Running", live=False)


def test_a_vm_whose_host_stays_down_is_given_up(lives: Lives) -> None:
    with pytest.raises(Refused, match="was not back"):
        checked(lives, "Running", live=False, waited=HOST_SECONDS + 1)


def test_a_host_that_goes_down_after_a_long_wait_for_the_guest_is_waited_for(lives: Lives) -> None:
    with pytest.raises(Busy, match="host-1 is down"):
        checked(lives, "Running", live=False, waited=HOST_SECONDS + 1, met="")


def test_a_vm_whose_host_is_back_without_it_goes_to_another(lives: Lives) -> None:
    with pytest.raises(Place):
        checked(lives, "Halted", live=True, waited=1)


def test_a_vm_that_halted_by_itself_is_not_started_again(lives: Lives) -> None:
    with pytest.raises(Refused, match="console"):
        checked(lives, "Halted", live=True)
    with pytest.raises(Refused, match="console"):
        checked(lives, "Halted", live=True, waited=1, met="POOL_BUSY_HERE")
