"""VM.start and VM.start_on: mark, lock devices, place, and run on the host.

The order of the checks is XAPI's, and a client can tell: which error it gets depends on it.
Phases: placed (host chosen, nothing run yet), started (the domain runs, xapi has not said so).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from simulator.behaviour import gpu, pif, vbd, vif
from simulator.behaviour.host_work import on_host, until_alone
from simulator.behaviour.message import tell
from simulator.behaviour.vm_clone import forget_memory
from simulator.behaviour.vm_config import assert_pinned
from simulator.behaviour.vm_state import (
    assert_can_boot_here,
    assert_may,
    assert_nesting,
    assert_no_template,
    assert_power,
    possible_hosts,
)
from simulator.calls import Call, call
from simulator.errors import ApiError
from simulator.locks import Mark
from simulator.memory import is_hvm, overhead_of
from simulator.values import now

if TYPE_CHECKING:
    from simulator.db import Row

#: assumed to be looked at before a host is chosen
_NO_BOOT: Final = (("bios", "qemu-upstream-uefi"), ("uefi", "qemu-trad"))


@call("VM.start(vm: VM ref, start_paused: bool, force: bool) -> void", has_async=True)
async def start(call: Call, ref: str, paused: bool, force: bool) -> str:  # noqa: FBT001 - as on the wire
    vm = call.db.get("VM", ref)
    return await bring_to_life(call, vm, None, "start", paused=paused, force=force)


@call(
    "VM.start_on(vm: VM ref, host: host ref, start_paused: bool, force: bool) -> void",
    has_async=True,
)
async def start_on(call: Call, ref: str, host_ref: str, paused: bool, force: bool) -> str:  # noqa: FBT001 - as on the wire
    vm, host = call.db.get("VM", ref), call.db.get("host", host_ref)
    assert_not_evacuated(host)
    return await bring_to_life(call, vm, host, "start_on", paused=paused, force=force)


def assert_not_evacuated(host: Row) -> None:
    if "evacuate" in host["current_operations"].values():
        raise ApiError("HOST_EVACUATE_IN_PROGRESS", host.ref)


async def bring_to_life(
    call: Call,
    vm: Row,
    host: Row | None,
    how: str,
    *,
    paused: bool,
    force: bool = True,
    before: str = "Halted",
) -> str:
    """A start or a resume: mark the VM, then its devices, choose a host, and run there."""
    locks = call.world.locks

    def check() -> None:
        assert_may(call, vm, how, before)
        assert_no_template(vm, how)

    def disks() -> list[Mark]:
        vbds = call.db.rows("VBD", vm["VBDs"])
        vbd.assert_no_disk_twice(call, vbds)
        return [vbd.attach_mark(call, row) for row in vbds]

    def interfaces() -> list[Mark]:
        return [vif.attach_mark(call, row) for row in call.db.rows("VIF", vm["VIFs"])]

    async with (
        locks.marked(call, lambda: [Mark(vm, how, check)]),
        locks.marked(call, disks, quick=True),
        locks.marked(call, interfaces),
    ):
        await until_alone(call, vm)
        assert_power(vm, before)
        held = [row for row in devices_of(call, vm) if call.mark in row["current_operations"]]
        host = await run_somewhere(call, vm, host, held, paused=paused, before=before, force=force)
        where = f"on host: {host['name_label']} (uuid: {host.uuid})"
        done = "started" if before == "Halted" else "resumed"
        tell(call, f"VM_{done.upper()}", vm, f"VM '{vm['name_label']}' {done} {where}")
        if delay := vm["start_delay"] * call.world.latency.scale:
            await call.world.tasks.sleep(call.task, delay * (2 if how == "start_on" else 1))
    return ""


async def run_somewhere(
    call: Call,
    vm: Row,
    host: Row | None,
    devices: list[Row],
    *,
    paused: bool,
    before: str,
    force: bool = True,
) -> Row:
    """Place the VM and run it with devices that are held already: those alone are attached."""
    chosen = await _place(call, vm, host)
    try:
        if not force:
            assert_pinned(call, vm)
        if before == "Halted":
            assert_nesting(call, vm)
        with _marked_host(call, chosen, "vm_start" if before == "Halted" else "vm_resume"):
            await call.phase("placed")
            await _build(call, vm, chosen, devices, paused=paused, before=before)
    finally:
        call.world.memory.unschedule(vm)
        gpu.unschedule(call, vm)
    return chosen


async def _build(
    call: Call, vm: Row, host: Row, devices: list[Row], *, paused: bool, before: str
) -> None:
    """Have the host build the domain; what that takes of it is held until it runs, or does not."""

    def end() -> None:
        call.world.memory.release(vm)
        if vm["resident_on"] != host.ref:
            gpu.release(call, vm)

    call.world.memory.claim(vm, host.ref)
    gpu.occupy(call, vm)
    work = _run(call, vm, host, devices, paused=paused, before=before)
    await on_host(call, host, work, vm=vm, at_end=end)


def devices_of(call: Call, vm: Row) -> list[Row]:
    return [*call.db.rows("VBD", vm["VBDs"]), *call.db.rows("VIF", vm["VIFs"])]


async def _place(call: Call, vm: Row, host: Row | None) -> Row:
    """Choose the host and promise it the memory: one start at a time in the whole pool."""
    async with call.world.locks.placement:
        await call.spend("placement")
        _settle(call, vm)
        if host is None:
            host = _choose(call, vm)
        else:
            assert_can_boot_here(call, vm, host)
        gpu.assert_hvm(vm)
        call.world.memory.schedule(vm, host.ref)
        gpu.schedule(call, vm, host)
    return host


def _settle(call: Call, vm: Row) -> None:
    """Fill in what the VM's makers left open, as it is needed now."""
    if vm["domain_type"] == "unspecified":
        call.db.set(vm, "domain_type", "hvm" if vm["HVM_boot_policy"] else "pv")
    if is_hvm(vm) and "device-model" not in vm["platform"]:
        uefi = vm["HVM_boot_params"].get("firmware") == "uefi"
        model = "qemu-upstream-uefi" if uefi else "qemu-upstream-compat"
        call.db.put(vm, "platform", "device-model", model)
    _assert_boots(vm)
    call.db.set(vm, "memory_overhead", overhead_of(vm))


def _assert_boots(vm: Row) -> None:
    """A device model goes with a firmware."""
    firmware = vm["HVM_boot_params"].get("firmware", "bios")
    model = vm["platform"].get("device-model", "")
    if is_hvm(vm) and (firmware, model) in _NO_BOOT:
        said = f"{firmware.upper()} boot is not supported with {model}"
        raise ApiError("INVALID_VALUE", "platform:device-model", said)


def _choose(call: Call, vm: Row) -> Row:
    """
    The host of the VM's affinity if it will do, else the one with most room; the master only where
    no other will do, unless the pool has no bias against it.

    Where none has room enough, memory is left out of account, and the start fails on the host.
    """
    hosts = possible_hosts(call, vm) or possible_hosts(call, vm, memory=False)
    if not hosts:
        raise ApiError("NO_HOSTS_AVAILABLE")
    free, pool = call.world.memory.free, call.db.only("pool")
    shunned = call.world.master() if pool.values.get("coordinator_bias") else None
    chosen = max(
        hosts, key=lambda host: (host.ref == vm["affinity"], host is not shunned, free(host))
    )
    assert_can_boot_here(call, vm, chosen)
    return chosen


@contextmanager
def _marked_host(call: Call, host: Row, operation: str) -> Iterator[None]:
    call.db.put(host, "current_operations", call.mark, operation)
    try:
        yield
    finally:
        call.db.drop(host, "current_operations", call.mark)


#: what a domain is built with, whatever is written down of the VM before it runs
_BUILT: Final = (
    "memory_overhead",
    "memory_target",
    "memory_static_max",
    "memory_dynamic_max",
    "memory_dynamic_min",
    "memory_static_min",
)


async def _run(
    call: Call, vm: Row, host: Row, devices: list[Row], *, paused: bool, before: str
) -> None:
    """Build the domain, once one of the host's workers is free."""
    built = {field: vm[field] for field in _BUILT}
    async with call.world.locks.host_queue(host.ref):
        call.stop_if_cancelled()
        call.db.get("VM", vm.ref)  # after a restart of xapi it may be gone, or run
        assert_power(vm, before)
        resumed = before == "Suspended"
        try:
            if not resumed:
                call.world.guests.silence(vm)
            _attach(call, devices, host)
            await call.spend("VM.resume" if resumed else "VM.start")
            disks = sum(1 for row in call.db.rows("VBD", vm["VBDs"]) if row["type"] == "Disk")
            if disks > 1:
                await call.spend("VM.start per disk", disks - 1)
            await call.phase("started")
            call.db.get("VM", vm.ref)
            assert_power(vm, before)
        except (ApiError, asyncio.CancelledError):  # the start failed, or the host died
            if call.db.find("VM", vm.ref) is vm:
                detach(call, vm)
            raise
        call.db.update(vm, **built)  # after a restart of xapi nothing is marked
        _become_running(call, vm, host, paused=paused)
        if resumed:
            _wake(call, vm)
        elif not paused:
            call.world.guests.boot(vm)


def _attach(call: Call, devices: list[Row], host: Row) -> None:
    for row in devices:
        if call.db.find(row.cls.name, row.ref) is row:
            if row.cls.name == "VBD":
                vbd.assert_alone(call, row)
            call.db.set(row, "currently_attached", True)
            if row.cls.name == "VIF":
                pif.bring_up_network(call, row["network"], host.ref)


def detach(call: Call, vm: Row) -> None:
    for row in call.db.rows("VBD", vm["VBDs"]):
        vbd.detach(call, row)
    for row in call.db.rows("VIF", vm["VIFs"]):
        call.db.set(row, "currently_attached", False)


def _become_running(call: Call, vm: Row, host: Row, *, paused: bool) -> None:
    db = call.db
    for row in db.rows("VBD", vm["VBDs"]):
        if row["currently_attached"]:
            vbd.attach(call, row)
    call.world.domains += 1
    call.world.memory.unschedule(vm)
    db.update(
        vm,
        resident_on=host.ref,
        domid=call.world.domains,
        power_state="Paused" if paused else "Running",
    )
    metrics = db.find("VM_metrics", vm["metrics"])
    if metrics is not None:
        cpus = {str(n): 0.0 for n in range(vm["VCPUs_at_startup"])}
        memory = vm["memory_dynamic_min"]
        db.update(metrics, start_time=now(), last_updated=now(), memory_actual=memory)
        db.update(metrics, VCPUs_number=vm["VCPUs_at_startup"], VCPUs_utilisation=cpus)
    console = db.create("console", VM=vm.ref, protocol="rfb")
    db.set(console, "location", f"https://{host['address']}/console?uuid={console.uuid}")


def _wake(call: Call, vm: Row) -> None:
    """The guest goes on where it was; the image of its memory has had its use."""
    forget_memory(call, vm)
    guest = call.db.find("VM_guest_metrics", vm["guest_metrics"])
    if guest is None:
        call.world.guests.boot(vm)
    else:
        call.db.set(guest, "live", True)
        call.world.guests.tell_addresses(vm)


@call(
    "VM.assert_can_boot_here(self: VM ref, host: host ref) -> void", has_async=True, changes=False
)
def assert_can_boot_here_call(call: Call, ref: str, host: str) -> str:
    assert_can_boot_here(call, call.db.get("VM", ref), call.db.get("host", host))
    return ""


@call("VM.get_possible_hosts(vm: VM ref) -> host ref set", has_async=True, changes=False)
def get_possible_hosts(call: Call, ref: str) -> list[str]:
    vm = call.db.get("VM", ref)
    if call.db.find("host", vm["scheduled_to_be_resident_on"]):
        return [vm["scheduled_to_be_resident_on"]]
    return [host.ref for host in possible_hosts(call, vm)]
