"""Stopping, pausing, rebooting and destroying a VM."""

from __future__ import annotations

from simulator.behaviour import gpu
from simulator.behaviour.host_work import on_host, until_alone
from simulator.behaviour.message import tell
from simulator.behaviour.vm_clone import destroy_rows, forget_memory
from simulator.behaviour.vm_start import detach
from simulator.behaviour.vm_state import (
    assert_feature,
    assert_may,
    assert_no_template,
    assert_power,
    is_live,
)
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError
from simulator.locks import Mark
from simulator.values import NULL

#: operations that a hard shutdown ends first; they notice when the domain is gone
_CUT_SHORT = frozenset({"clean_shutdown", "clean_reboot", "hard_reboot", "suspend", "pool_migrate"})


@call("VM.hard_shutdown(vm: VM ref) -> void", has_async=True)
async def hard_shutdown(call: Call, ref: str) -> str:
    vm = call.db.get("VM", ref)

    def check() -> None:
        assert_may(call, vm, "hard_shutdown", "Paused", "Suspended", "Running", beside=_CUT_SHORT)
        assert_no_template(vm, "hard_shutdown")

    async with call.world.locks.marked(call, lambda: [Mark(vm, "hard_shutdown", check)]):
        for task in call.db.rows("task", list(vm["current_operations"])):
            if task.ref != call.mark:
                call.world.tasks.cancel(task, call.mark)
        await stop(call, vm, "VM.hard_shutdown")
    return ""


@call("VM.clean_shutdown(vm: VM ref) -> void", has_async=True)
async def clean_shutdown(call: Call, ref: str) -> str:
    vm = call.db.get("VM", ref)

    def check() -> None:
        assert_may(call, vm, "clean_shutdown", "Running")
        assert_no_template(vm, "clean_shutdown")
        assert_feature(call, vm, "feature-shutdown")

    async with call.world.locks.marked(call, lambda: [Mark(vm, "clean_shutdown", check)]):
        await stop(call, vm, "VM.clean_shutdown")
    return ""


@call("VM.shutdown(vm: VM ref) -> void", has_async=True)
async def shutdown(call: Call, ref: str) -> str:
    """A clean shutdown, and a hard one if that does not work."""
    vm = call.db.get("VM", ref)
    assert_no_template(vm, "shutdown")
    try:
        return await clean_shutdown(call, ref)
    except ApiError:
        call.stop_if_cancelled()
        return await hard_shutdown(call, ref)


async def stop(call: Call, vm: Row, latency: str) -> None:
    """End the domain, on its host; a suspended VM has none."""
    await until_alone(call, vm)
    host = call.db.find("host", vm["resident_on"])
    if host is None:
        become_halted(call, vm)
    else:
        await on_host(call, host, _stop_on(call, vm, host, latency), vm=vm)
    tell(call, "VM_SHUTDOWN", vm, f"VM '{vm['name_label']}' shutdown")


async def _stop_on(call: Call, vm: Row, host: Row, latency: str) -> None:
    async with call.world.locks.host_queue(host.ref):
        await call.spend(latency)
        await call.phase("stopped")
        become_halted(call, vm)


def become_halted(call: Call, vm: Row) -> None:
    """The domain is gone."""
    db = call.db
    if db.find("VM", vm.ref) is None:
        return
    lose_domain(call, vm, "Halted")
    forget_memory(call, vm)
    if (guest := db.find("VM_guest_metrics", vm["guest_metrics"])) is not None:
        db.set(guest, "live", False)


def lose_domain(call: Call, vm: Row, after: str) -> None:
    call.world.guests.stop(vm)
    detach(call, vm)
    gpu.release(call, vm)
    for console in call.db.rows("console", list(vm["consoles"])):
        call.db.destroy(console)
    host = vm["resident_on"]
    call.db.update(vm, resident_on=NULL, domid=-1, power_state=after)
    call.world.memory.show(host)


@call("VM.pause(vm: VM ref) -> void", has_async=True)
async def pause(call: Call, ref: str) -> str:
    return await _toggle(call, ref, "pause", "Running", "Paused")


@call("VM.unpause(vm: VM ref) -> void", has_async=True)
async def unpause(call: Call, ref: str) -> str:
    await _toggle(call, ref, "unpause", "Paused", "Running")
    vm = call.db.get("VM", ref)
    if call.db.find("VM_guest_metrics", vm["guest_metrics"]) is None:
        call.world.guests.boot(vm)
    return ""


async def _toggle(call: Call, ref: str, how: str, before: str, after: str) -> str:
    vm = call.db.get("VM", ref)

    def check() -> None:
        assert_may(call, vm, how, before)
        assert_no_template(vm, how)

    mark = Mark(vm, how, check)
    async with call.world.locks.marked(call, lambda: [mark]):
        await until_alone(call, vm)
        assert_power(vm, before)
        host = call.db.get("host", vm["resident_on"])
        await on_host(call, host, _toggle_on(call, vm, after), vm=vm)
        tell(call, f"VM_{how.upper()}D", vm, f"VM '{vm['name_label']}' {how}d")
    return ""


async def _toggle_on(call: Call, vm: Row, after: str) -> None:
    await call.spend("VM.pause")
    call.db.set(vm, "power_state", after)


@call("VM.hard_reboot(vm: VM ref) -> void", has_async=True)
async def hard_reboot(call: Call, ref: str) -> str:
    return await _reboot(call, ref, "hard_reboot")


@call("VM.clean_reboot(vm: VM ref) -> void", has_async=True)
async def clean_reboot(call: Call, ref: str) -> str:
    return await _reboot(call, ref, "clean_reboot")


async def _reboot(call: Call, ref: str, how: str) -> str:
    vm = call.db.get("VM", ref)
    states = ("Running",) if how == "clean_reboot" else ("Paused", "Running")

    def check() -> None:
        assert_may(call, vm, how, *states)
        assert_no_template(vm, how)
        if how == "clean_reboot":
            assert_feature(call, vm, "feature-reboot")

    mark = Mark(vm, how, check)
    async with call.world.locks.marked(call, lambda: [mark]):
        await until_alone(call, vm)
        assert_power(vm, *states)
        host = call.db.get("host", vm["resident_on"])
        await on_host(call, host, _reboot_on(call, vm, host), vm=vm)
        tell(call, "VM_REBOOTED", vm, f"VM '{vm['name_label']}' rebooted")
    return ""


async def _reboot_on(call: Call, vm: Row, host: Row) -> None:
    async with call.world.locks.host_queue(host.ref):
        await call.spend("VM.reboot")
        call.world.guests.silence(vm)
        call.world.domains += 1
        call.db.update(vm, domid=call.world.domains, power_state="Running")
        call.world.guests.boot(vm)


@call("VM.power_state_reset(vm: VM ref) -> void", has_async=True)
def power_state_reset(call: Call, ref: str) -> str:
    """It is for when a host is lost, so it waits for no operation: those end, or have no mark."""
    vm = call.db.get("VM", ref)
    if vm["is_control_domain"]:
        raise ApiError("CANNOT_RESET_CONTROL_DOMAIN", ref)
    host = call.db.find("host", vm["resident_on"])
    if host is not None and is_live(call, host):
        if host is call.world.master():  # it looks for itself whether the domain is there
            raise ApiError("DOMAIN_EXISTS", ref)
        raise ApiError("HOST_IS_LIVE", host.ref)
    become_halted(call, vm)
    call.db.set(vm, "current_operations", {})
    call.world.locks.wake()
    return ""


@call("VM.destroy(self: VM ref) -> void", has_async=True)
async def destroy(call: Call, ref: str) -> str:
    vm = call.db.get("VM", ref)

    def check() -> None:
        assert_may(call, vm, "destroy", "Halted", "Suspended")
        if vm["is_default_template"]:
            raise ApiError("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", ref)
        if vm["is_control_domain"]:
            raise ApiError("OPERATION_NOT_ALLOWED", "Operation not allowed on a control domain")

    async with call.world.locks.marked(call, lambda: [Mark(vm, "destroy", check)]):
        await call.spend("VM.destroy")
        await call.phase("rows")
        for cls, field in (("VBD", "VBDs"), ("VIF", "VIFs")):
            for row in call.db.rows(cls, list(vm[field])):
                call.db.destroy(row)
                await call.phase(f"after {cls.lower()}")
        destroy_rows(call, vm)
    return ""
