"""A VM's settings that are more than fields: memory, processors, template or not."""

from __future__ import annotations

import uuid
from typing import Any, Final

from simulator.behaviour import vbd, vif
from simulator.behaviour.host_work import until_alone
from simulator.behaviour.vm_state import (
    COPYING,
    NESTS,
    assert_may,
    assert_multiplier,
    assert_power,
    is_licensed,
    is_on,
)
from simulator.calls import Call, call, declare
from simulator.db import Row
from simulator.errors import ApiError
from simulator.generic import read_constructor, setters
from simulator.locks import Mark
from simulator.memory import overhead_of
from simulator.values import NULL, now

_THIS: Final = "self: VM ref"
_STRINGS: Final = "(string -> string) map"

declare(setters("VM", "other_config", _STRINGS, _THIS))
declare(setters("VM", "platform", _STRINGS, _THIS))
declare(setters("VM", "NVRAM", _STRINGS, _THIS))
declare(
    setters("VM", "blocked_operations", "(enum vm_operations -> string) map", _THIS, has_async=True)
)
for _field, _type in (
    ("start_delay", "int"),
    ("shutdown_delay", "int"),
    ("order", "int"),
    ("actions_after_crash", "enum on_crash_behaviour"),
    ("has_vendor_device", "bool"),
    ("appliance", "VM_appliance ref"),
):
    declare(setters("VM", _field, _type, _THIS, has_async=True))
for _field, _type in (
    ("HVM_boot_policy", "string"),
    ("domain_type", "enum domain_type"),
    ("ha_always_run", "bool"),
    ("ha_restart_priority", "string"),
    ("protection_policy", "VMPP ref"),
    ("snapshot_schedule", "VMSS ref"),
):
    declare(setters("VM", _field, _type, _THIS))


@call("VM.create(args: VM record) -> VM ref", has_async=True)
async def create(call: Call, args: Any) -> str:
    values = read_constructor("VM", args)
    await call.spend("VM.create")
    metrics = call.db.create("VM_metrics", VCPUs_utilisation={"0": 0.0})
    values |= {"power_state": "Halted", "metrics": metrics.ref, "domid": -1}
    values["other_config"] = {"mac_seed": str(uuid.uuid4()), **values["other_config"]}
    vm = call.db.create("VM", **values)
    call.db.set(vm, "memory_overhead", overhead_of(vm))
    if vm["domain_type"] == "unspecified":
        call.db.set(vm, "domain_type", "hvm" if vm["HVM_boot_policy"] else "pv")
    return vm.ref


@call("VM.set_suspend_VDI(self: VM ref, value: VDI ref) -> void", has_async=True)
def set_suspend_vdi(call: Call, ref: str, value: str) -> str:
    """It is removed together with the VM, so only what sleeps may name one."""
    vm = call.db.get("VM", ref)
    assert_power(vm, "Suspended")
    call.db.set(vm, "suspend_VDI", call.db.get("VDI", value).ref)
    return ""


# -- template or VM


@call("VM.set_is_a_template(self: VM ref, value: bool) -> void")
def set_is_a_template(call: Call, ref: str, value: bool) -> str:  # noqa: FBT001 - as on the wire
    vm = call.db.get("VM", ref)
    if not value:
        become_vm(call, vm)
        return ""
    assert_may(call, vm, "make_into_template", "Halted", beside=COPYING)
    if call.db.find("VM_appliance", vm["appliance"]):
        raise ApiError("VM_IS_PART_OF_AN_APPLIANCE", ref, vm["appliance"])
    if (metrics := call.db.find("VM_metrics", vm["metrics"])) is not None:
        call.db.destroy(metrics)
    call.db.update(vm, metrics=NULL, is_a_template=True)
    return ""


@call("VM.set_is_default_template(vm: VM ref, value: bool) -> void", has_async=True)
def set_is_default_template(call: Call, ref: str, value: bool) -> str:  # noqa: FBT001 - as on the wire
    call.db.set(call.db.get("VM", ref), "is_default_template", value)
    return ""


@call(
    "VM.assert_operation_valid(self: VM ref, op: enum vm_operations) -> void",
    has_async=True,
    changes=False,
)
def assert_operation_valid(call: Call, ref: str, operation: str) -> str:
    vm = call.db.get("VM", ref)
    call.world.allowed.refresh()
    assert_may(call, vm, operation, beside=COPYING)
    if operation not in vm["allowed_operations"]:
        state = vm["power_state"].lower()
        raise ApiError("OPERATION_NOT_ALLOWED", f"{operation} of a VM that is {state}")
    return ""


def become_vm(call: Call, vm: Row) -> None:
    """A template no more: its metrics say since when."""
    metrics = call.db.find("VM_metrics", vm["metrics"])
    if metrics is None:
        metrics = call.db.create("VM_metrics")
        call.db.set(vm, "metrics", metrics.ref)
    call.db.set(metrics, "install_time", now())
    call.db.set(vm, "is_a_template", False)


# -- memory

_LIMITS: Final = ("static_min", "static_max", "dynamic_min", "dynamic_max")


def _set_limits(call: Call, vm: Row, **limits: int) -> None:
    """Change some of the four limits; they must be in order afterwards."""
    new = {name: limits.get(name, vm[f"memory_{name}"]) for name in _LIMITS}
    in_order = new["static_min"] <= new["dynamic_min"] <= new["dynamic_max"] <= new["static_max"]
    is_pinned = in_order and new["dynamic_min"] == new["static_max"]
    if (reason := _pinned_because(call, vm)) and not is_pinned:
        raise ApiError("MEMORY_CONSTRAINT_VIOLATION_MAXPIN", reason)
    if new["static_min"] < 0 or not in_order:
        raise ApiError("MEMORY_CONSTRAINT_VIOLATION_ORDER")
    _assert_room(call, vm, new["dynamic_min"])
    call.db.update(vm, **{f"memory_{name}": value for name, value in new.items()})
    call.db.set(vm, "memory_target", new["dynamic_min"])
    call.db.set(vm, "memory_overhead", overhead_of(vm))
    call.world.memory.show(vm["resident_on"])


def _assert_room(call: Call, vm: Row, least: int) -> None:
    """
    The host of a VM that runs must have what it shall have more, if all others shrink.

    XAPI says how much more and how much is free, here in KiB.
    """
    host = call.db.find("host", vm["resident_on"])
    more = least - vm["memory_dynamic_min"]
    if host is not None and more > (free := call.world.memory.free(host)):
        raise ApiError("HOST_NOT_ENOUGH_FREE_MEMORY", str(more // 1024), str(free // 1024))


def assert_pinned(call: Call, vm: Row) -> None:
    """A start that is not forced takes no memory that may vary where it may not."""
    if (reason := _pinned_because(call, vm)) and vm["memory_dynamic_min"] < vm["memory_static_max"]:
        raise ApiError("MEMORY_CONSTRAINT_VIOLATION_MAXPIN", reason)


def _pinned_because(call: Call, vm: Row) -> str:
    """Why the VM's memory may not vary, if it may not."""
    if vm["is_control_domain"]:
        return "control domain"
    if not is_licensed(call, "DMC"):
        return "DMC"
    return "nested virt" if is_on(vm, NESTS) else ""


async def _limit(call: Call, ref: str, operation: str, *beside: str, **limits: int) -> str:
    """Set limits of a VM that is halted, or in one of the states beside that."""
    vm, states = call.db.get("VM", ref), ("Halted", *beside)
    mark = Mark(vm, operation, lambda: assert_may(call, vm, operation, *states))
    async with call.world.locks.marked(call, lambda: [mark]):
        if vm["power_state"] != "Halted":  # it may be on its way to another host
            await until_alone(call, vm)
            assert_power(vm, *states)
        _set_limits(call, vm, **limits)
    return ""


@call(
    "VM.set_memory_limits(self: VM ref, static_min: int, static_max: int, dynamic_min: int, "
    "dynamic_max: int) -> void",
    has_async=True,
)
async def set_memory_limits(
    call: Call, ref: str, static_min: int, static_max: int, dynamic_min: int, dynamic_max: int
) -> str:
    limits = dict(zip(_LIMITS, (static_min, static_max, dynamic_min, dynamic_max), strict=True))
    return await _limit(call, ref, "changing_memory_limits", **limits)


@call("VM.set_memory(self: VM ref, value: int) -> void", has_async=True)
async def set_memory(call: Call, ref: str, value: int) -> str:
    """All of the limits but the least, which stays."""
    same = {"static_max": value, "dynamic_min": value, "dynamic_max": value}
    return await _limit(call, ref, "changing_memory_limits", **same)


@call("VM.set_memory_static_range(self: VM ref, min: int, max: int) -> void", has_async=True)
async def set_static_range(call: Call, ref: str, least: int, most: int) -> str:
    return await _limit(call, ref, "changing_static_range", static_min=least, static_max=most)


@call("VM.set_memory_dynamic_range(self: VM ref, min: int, max: int) -> void", has_async=True)
async def set_dynamic_range(call: Call, ref: str, least: int, most: int) -> str:
    return await _limit(
        call, ref, "changing_dynamic_range", "Running", dynamic_min=least, dynamic_max=most
    )


async def _set_one(call: Call, ref: str, name: str, value: int) -> str:
    which = name.partition("_")[0]
    beside = ("Running",) if which == "dynamic" else ()
    return await _limit(call, ref, f"changing_{which}_range", *beside, **{name: value})


@call("VM.set_memory_static_min(self: VM ref, value: int) -> void")
async def set_static_min(call: Call, ref: str, value: int) -> str:
    return await _set_one(call, ref, "static_min", value)


@call("VM.set_memory_static_max(self: VM ref, value: int) -> void")
async def set_static_max(call: Call, ref: str, value: int) -> str:
    return await _set_one(call, ref, "static_max", value)


@call("VM.set_memory_dynamic_min(self: VM ref, value: int) -> void")
async def set_dynamic_min(call: Call, ref: str, value: int) -> str:
    return await _set_one(call, ref, "dynamic_min", value)


@call("VM.set_memory_dynamic_max(self: VM ref, value: int) -> void")
async def set_dynamic_max(call: Call, ref: str, value: int) -> str:
    return await _set_one(call, ref, "dynamic_max", value)


@call("VM.set_HVM_shadow_multiplier(self: VM ref, value: float) -> void")
async def set_shadow_multiplier(call: Call, ref: str, value: float) -> str:
    vm, operation = call.db.get("VM", ref), "changing_shadow_memory"
    mark = Mark(vm, operation, lambda: assert_may(call, vm, operation, "Halted"))
    async with call.world.locks.marked(call, lambda: [mark]):
        assert_multiplier(value)
        call.db.set(vm, "HVM_shadow_multiplier", value)
        call.db.set(vm, "memory_overhead", overhead_of(vm))
    return ""


@call("VM.compute_memory_overhead(vm: VM ref) -> int", has_async=True, changes=False)
def compute_memory_overhead(call: Call, ref: str) -> int:
    return overhead_of(call.db.get("VM", ref))


# -- processors


def _assert_vcpus(at_startup: int, most: int, value: int) -> None:
    if not 0 < at_startup <= most:
        rule = "VCPU values must satisfy: 0 < VCPUs_at_startup ≤ VCPUs_max"
        raise ApiError("INVALID_VALUE", rule, str(value))


@call("VM.set_VCPUs_max(self: VM ref, value: int) -> void")
def set_vcpus_max(call: Call, ref: str, value: int) -> str:
    vm = call.db.get("VM", ref)
    assert_power(vm, "Halted")
    _assert_vcpus(vm["VCPUs_at_startup"], value, value)
    call.db.set(vm, "VCPUs_max", value)
    call.db.set(vm, "memory_overhead", overhead_of(vm))
    return ""


@call("VM.set_VCPUs_at_startup(self: VM ref, value: int) -> void")
def set_vcpus_at_startup(call: Call, ref: str, value: int) -> str:
    vm = call.db.get("VM", ref)
    _assert_vcpus(value, vm["VCPUs_max"], value)
    call.db.set(vm, "VCPUs_at_startup", value)
    return ""


# -- devices


@call("VM.get_allowed_VBD_devices(vm: VM ref) -> string set", changes=False)
def get_allowed_vbd_devices(call: Call, ref: str) -> list[str]:
    return vbd.free_devices(call, call.db.get("VM", ref))


@call("VM.get_allowed_VIF_devices(vm: VM ref) -> string set", changes=False)
def get_allowed_vif_devices(call: Call, ref: str) -> list[str]:
    return vif.free_devices(call, call.db.get("VM", ref))


@call("VM.update_allowed_operations(self: VM ref) -> void", has_async=True, changes=False)
def update_allowed_operations(call: Call, ref: str) -> str:
    call.world.allowed.note("VM", call.db.get("VM", ref).ref)
    return ""
