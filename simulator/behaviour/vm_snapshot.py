"""VM.snapshot, checkpoint and revert.

A snapshot is made as a clone is, disks first; a checkpoint has the memory too, for which the VM is
suspended and resumed. Phases of a revert: stop, old (its disks go first), disk, rows, result.
"""

from __future__ import annotations

from typing import Any, Final

from simulator.behaviour import vdi
from simulator.behaviour.host_work import until_alone
from simulator.behaviour.message import tell
from simulator.behaviour.vm_clone import Duplicate, copy_vif, has_own_disk, own_disks
from simulator.behaviour.vm_start import devices_of, run_somewhere
from simulator.behaviour.vm_state import COPYING, assert_may, assert_no_template
from simulator.behaviour.vm_stop import become_halted, stop
from simulator.behaviour.vm_suspend import assert_suspendable, put_to_sleep
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError
from simulator.locks import Mark, exclude
from simulator.values import NULL, now

_STATES: Final = ("Halted", "Suspended", "Running")


@call(
    "VM.snapshot(vm: VM ref, new_name: string, ignore_vdis: VDI ref set = []) -> VM ref",
    has_async=True,
)
async def snapshot(call: Call, ref: str, new_name: str, beside: list[str]) -> str:
    vm = call.db.get("VM", ref)

    def check() -> None:
        assert_may(call, vm, "snapshot", *_STATES)
        assert_no_template(vm, "snapshot")

    async with call.world.locks.marked(call, lambda: [Mark(vm, "snapshot", check)]):
        made = await _take(call, vm, new_name, beside)
        tell(call, "VM_SNAPSHOTTED", vm, f"VM '{vm['name_label']}' snapshotted to '{new_name}'")
    return made.ref


async def _take(call: Call, vm: Row, name: str, beside: list[str], state: str = "") -> Row:
    own: dict[str, Any] = {
        "is_a_snapshot": True,
        "is_a_template": True,
        "snapshot_of": vm.ref,
        "snapshot_time": now(),
        "snapshot_info": {
            "power-state-at-snapshot": state or vm["power_state"],
            "disk-snapshot-type": "crash_consistent",
        },
        "other_config": dict(vm["other_config"]),
        "parent": vm["parent"],
    }
    made = await Duplicate(call, "snapshot").whole(vm, name, beside=beside, **own)
    call.db.set(vm, "parent", made.ref)
    return made


@call("VM.checkpoint(vm: VM ref, new_name: string) -> VM ref", has_async=True)
async def checkpoint(call: Call, ref: str, new_name: str) -> str:
    vm = call.db.get("VM", ref)

    def check() -> None:
        assert_may(call, vm, "checkpoint", *_STATES)
        assert_no_template(vm, "checkpoint")
        if vm["power_state"] == "Running":
            assert_suspendable(call, vm)

    async with call.world.locks.marked(call, lambda: [Mark(vm, "checkpoint", check)]):
        made = await _checkpoint(call, vm, new_name)
        tell(call, "VM_CHECKPOINTED", vm, f"VM '{vm['name_label']}' checkpointed to '{new_name}'")
    return made.ref


async def _checkpoint(call: Call, vm: Row, name: str) -> Row:
    if vm["power_state"] != "Running":
        return await _take(call, vm, name, [])
    host = call.db.get("host", vm["resident_on"])
    attached = [row for row in devices_of(call, vm) if row["currently_attached"]]
    try:
        await put_to_sleep(call, vm)
    except ApiError as failed:
        raise ApiError("VM_CHECKPOINT_SUSPEND_FAILED", vm.ref) from failed
    await call.phase("asleep")
    try:
        return await _take(call, vm, name, [], "Running")
    finally:
        await _wake(call, vm, host, attached)


async def _wake(call: Call, vm: Row, host: Row, devices: list[Row]) -> None:
    try:
        await run_somewhere(call, vm, host, devices, paused=False, before="Suspended")
    except ApiError as failed:
        raise ApiError("VM_CHECKPOINT_RESUME_FAILED", vm.ref) from failed


# -- going back

#: what a VM keeps through a revert: all else is the snapshot's
_REVERTED: Final = (
    "name_description",
    "memory_static_min",
    "memory_static_max",
    "memory_dynamic_min",
    "memory_dynamic_max",
    "memory_target",
    "memory_overhead",
    "VCPUs_params",
    "VCPUs_max",
    "VCPUs_at_startup",
    "actions_after_shutdown",
    "actions_after_reboot",
    "actions_after_crash",
    "PV_bootloader",
    "PV_kernel",
    "PV_ramdisk",
    "PV_args",
    "HVM_boot_policy",
    "HVM_boot_params",
    "HVM_shadow_multiplier",
    "domain_type",
    "platform",
    "other_config",
    "xenstore_data",
    "affinity",
    "tags",
)


@call("VM.revert(snapshot: VM ref) -> void", has_async=True)
async def revert(call: Call, ref: str) -> str:
    source = call.db.get("VM", ref)
    if not source["is_a_snapshot"]:
        raise ApiError("REVERT_ONLY_ALLOWED_ON_SNAPSHOT")
    vm = call.db.find("VM", source["snapshot_of"])
    if vm is None:
        raise ApiError("VM_REVERT_FAILED", source["snapshot_of"], ref)

    def marks() -> list[Mark]:
        return [
            Mark(source, "revert", lambda: assert_may(call, source, "revert", beside=COPYING)),
            Mark(vm, "reverting", lambda: assert_may(call, vm, "reverting")),
        ]

    async with call.world.locks.marked(call, marks):
        await until_alone(call, vm)
        if vm["power_state"] != "Halted":
            await call.phase("stop")
            await stop(call, vm, "VM.hard_shutdown")
        try:
            await _put_back(call, source, vm)
        except ApiError as failed:
            call.stop_if_cancelled()
            raise ApiError("VM_REVERT_FAILED", vm.ref, ref) from failed
        tell(call, "VM_SNAPSHOT_REVERTED", vm, f"VM '{vm['name_label']}' reverted")
    return ""


async def _put_back(call: Call, source: Row, vm: Row) -> None:
    db = call.db
    await call.phase("old")
    _remove_devices(call, vm)
    made = Duplicate(call, "clone")
    vbds, memory = db.rows("VBD", list(source["VBDs"])), source["suspend_VDI"]
    try:
        await made.copy_disks(own_disks(vbds))
        if source["power_state"] == "Suspended":
            await made.copy_disks({memory: memory})
        await call.phase("rows")
    except Exception:
        await made.undo()
        raise
    for row in vbds:
        made.copy_vbd(row, vm)
    for row in db.rows("VIF", list(source["VIFs"])):
        copy_vif(call, row, vm)
    for field in _REVERTED:
        value = source[field]
        db.set(vm, field, value.copy() if isinstance(value, (list, dict)) else value)
    state, image = source["power_state"], made.disks.get(memory, NULL)
    db.update(vm, parent=source.ref, power_state=state, suspend_VDI=image)
    await call.phase("result")


def _remove_devices(call: Call, vm: Row) -> None:
    """Its devices and its own disks make room for the snapshot's."""
    db = call.db
    become_halted(call, vm)
    for row in db.rows("VBD", list(vm["VBDs"])):
        disk = db.find("VDI", row["VDI"]) if has_own_disk(row) else None
        db.destroy(row)
        if disk is not None and not disk["VBDs"]:
            exclude(disk)
            vdi.forget(call, disk)
    for row in db.rows("VIF", list(vm["VIFs"])):
        db.destroy(row)
