"""The sixth step: the VM starts on the chosen host.

Another host is looked for only when the VM is halted and nothing works on it any more. A host that
cannot be reached may have done what it was asked: so the pool is looked at first, and asked again
a few times, before the VM goes elsewhere.
"""

from collections.abc import Mapping
from typing import Any

from xenlaunch.errors import Busy, OutcomeUnknown, Place, PoolError, Refused
from xenlaunch.model import Launch
from xenlaunch.slots import host_slot
from xenlaunch.xapi.pool import Pool

SECONDS = 600
DELAYS = 2
"""So many times XAPI waits for the VM's ``start_delay`` before it says that the VM is started."""
LOOKS = 3
"""How often in a row the outcome on one host may be unknown before another one is tried."""
VAGUE = ("NO_HOSTS_AVAILABLE",)
"""Codes that do not say what is in the way on this host."""


def start(launch: Launch, pool: Pool) -> Launch:
    """Start the VM, and park until the pool says that it runs."""
    assert launch.host is not None  # noqa: S101  a launch is begun with a host
    try:
        pool.run(
            f"start:{launch.host.uuid}",
            "VM.start_on",
            *(launch.vm, launch.host.ref, False, True),
            what="the VM to start",
            seconds=SECONDS + DELAYS * (launch.request.start_delay or 0),
            find=lambda: "" if is_running(launch, pool) else None,
            on=[host_slot(launch.host.ref)],
        )
    except Refused as refused:
        # Somebody was quicker, or a start of ours was not heard of: it runs, and that was wanted.
        if refused.code != "VM_BAD_POWER_STATE" or not is_running(launch, pool):
            raise
    except Place as elsewhere:
        leave(launch, pool, elsewhere)
    except OutcomeUnknown as unknown:
        if pool.in_a_row(unknown.code) < LOOKS:
            raise
        leave(launch, pool, unknown)
    return launch


def leave(launch: Launch, pool: Pool, why: PoolError) -> None:
    """Have the VM go to another host, unless it runs after all, or may be about to."""
    record = pool.read("VM.get_record", launch.vm)
    if record["power_state"] == "Running":
        return
    if not is_at_rest(record):
        state = record["power_state"]
        raise Busy("VM_NOT_AT_REST", [launch.vm_uuid, state], f"The pool works on the VM: {why}")
    said = told_by(pool, launch) if why.code in VAGUE else why
    raise Place(said.code, said.params, said.message, call=why.call) from why


def told_by(pool: Pool, launch: Launch) -> PoolError:
    """The pool's own reason against the VM on its host, or that it has none."""
    assert launch.host is not None  # noqa: S101  a launch is begun with a host
    try:
        pool.read("VM.assert_can_boot_here", launch.vm, launch.host.ref)
    except (Place, Refused) as said:
        return said
    return Place("NO_HOSTS_AVAILABLE", [], "It refused the VM, and could start it a moment later.")


def is_at_rest(record: Mapping[str, Any]) -> bool:
    """Whether the VM is halted, and nothing works on it that could change that."""
    return record["power_state"] == "Halted" and not record["current_operations"]


def is_running(launch: Launch, pool: Pool) -> bool:
    return bool(pool.read("VM.get_power_state", launch.vm) == "Running")
