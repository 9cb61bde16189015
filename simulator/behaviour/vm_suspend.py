"""VM.suspend and VM.resume: a VM's memory goes to a disk of its own, and comes back from it."""

from __future__ import annotations

from typing import Any

from simulator.behaviour import vdi
from simulator.behaviour.host_work import on_host, until_alone
from simulator.behaviour.message import tell
from simulator.behaviour.operations import suboperation
from simulator.behaviour.vm_start import assert_not_evacuated, bring_to_life
from simulator.behaviour.vm_state import (
    assert_feature,
    assert_may,
    assert_no_template,
    assert_power,
)
from simulator.behaviour.vm_stop import lose_domain
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError
from simulator.locks import Mark
from simulator.memory import is_hvm


@call("VM.suspend(vm: VM ref) -> void", has_async=True)
async def suspend(call: Call, ref: str) -> str:
    vm = call.db.get("VM", ref)

    def check() -> None:
        assert_may(call, vm, "suspend", "Running")
        assert_no_template(vm, "suspend")
        assert_suspendable(call, vm)

    async with call.world.locks.marked(call, lambda: [Mark(vm, "suspend", check)]):
        await put_to_sleep(call, vm)
        tell(call, "VM_SUSPENDED", vm, f"VM '{vm['name_label']}' suspended")
    return ""


def assert_suspendable(call: Call, vm: Row) -> None:
    if is_hvm(vm):
        assert_feature(call, vm, "feature-suspend")


async def put_to_sleep(call: Call, vm: Row) -> None:
    """Write the VM's memory to a disk and end its domain."""
    await until_alone(call, vm)
    assert_power(vm, "Running")
    host = call.db.get("host", vm["resident_on"])
    record: dict[str, Any] = {
        "SR": _choose_sr(call, vm, host).ref,
        "virtual_size": vm["memory_static_max"],
        "name_label": f"Suspend image of {vm['name_label']}",
        "type": "suspend",
        "sharable": False,
        "read_only": False,
        "other_config": {},
    }
    image = await suboperation(call, "VDI.create", vdi.create, record)
    try:
        await call.phase("image")
        await on_host(call, host, _leave(call, vm, host, image), vm=vm)
    except ApiError:
        if (row := call.db.find("VDI", image)) is not None:
            vdi.forget(call, row)
        raise


async def _leave(call: Call, vm: Row, host: Row, image: str) -> None:
    async with call.world.locks.host_queue(host.ref):
        await call.spend("VM.suspend")
        call.db.set(vm, "suspend_VDI", image)
        lose_domain(call, vm, "Suspended")


def _choose_sr(call: Call, vm: Row, host: Row) -> Row:
    """The first SR that was named for this and can be used."""
    pool = call.db.only("pool")
    named = [vm["suspend_SR"], pool["suspend_image_SR"], host["suspend_image_sr"]]
    for sr in call.db.rows("SR", named):
        pbds = call.db.rows("PBD", sr["PBDs"])
        if any(pbd["currently_attached"] and pbd["host"] == host.ref for pbd in pbds):
            return sr
    raise ApiError("VM_NO_SUSPEND_SR", vm.ref)


@call("VM.resume(vm: VM ref, start_paused: bool, force: bool) -> void", has_async=True)
async def resume(call: Call, ref: str, paused: bool, _force: bool) -> str:  # noqa: FBT001 - as on the wire
    return await _resume(call, ref, None, "resume", paused=paused)


@call(
    "VM.resume_on(vm: VM ref, host: host ref, start_paused: bool, force: bool) -> void",
    has_async=True,
)
async def resume_on(call: Call, ref: str, host: str, paused: bool, _f: bool) -> str:  # noqa: FBT001 - as on the wire
    chosen = call.db.get("host", host)
    assert_not_evacuated(chosen)
    return await _resume(call, ref, chosen, "resume_on", paused=paused)


async def _resume(call: Call, ref: str, host: Row | None, how: str, *, paused: bool) -> str:
    vm = call.db.get("VM", ref)
    if vm["power_state"] == "Suspended" and call.db.find("VDI", vm["suspend_VDI"]) is None:
        raise ApiError("VM_HAS_NO_SUSPEND_VDI", ref)
    return await bring_to_life(call, vm, host, how, paused=paused, before="Suspended")
