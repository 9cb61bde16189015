"""Moving VMs between the hosts of the pool: one of them, or all that a host has."""

from __future__ import annotations

from simulator.behaviour import pif
from simulator.behaviour.host_work import on_host, until_alone
from simulator.behaviour.message import tell
from simulator.behaviour.operations import suboperation
from simulator.behaviour.vm_start import assert_not_evacuated
from simulator.behaviour.vm_state import (
    assert_can_boot_here,
    assert_may,
    assert_no_template,
    assert_power,
    is_live,
    possible_hosts,
)
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError
from simulator.locks import Mark, exclude


@call(
    "VM.pool_migrate(vm: VM ref, host: host ref, options: (string -> string) map) -> void",
    has_async=True,
)
async def pool_migrate(call: Call, ref: str, host_ref: str, _options: dict[str, str]) -> str:
    vm, target, memory = call.db.get("VM", ref), call.db.get("host", host_ref), call.world.memory
    assert_not_evacuated(target)

    def check() -> None:
        assert_may(call, vm, "pool_migrate", "Running")
        assert_no_template(vm, "pool_migrate")

    async with call.world.locks.marked(call, lambda: [Mark(vm, "pool_migrate", check)]):
        await until_alone(call, vm)
        assert_power(vm, "Running")
        source = call.db.get("host", vm["resident_on"])
        if source is target:
            return ""
        async with call.world.locks.placement:
            assert_can_boot_here(call, vm, target)
            memory.schedule(vm, target.ref)
        try:
            memory.claim(vm, target.ref)
            work = _move(call, vm, source, target)
            await on_host(call, source, work, vm=vm, at_end=lambda: memory.release(vm))
        finally:
            memory.unschedule(vm)
        where = f"from {source['name_label']} to {target['name_label']}"
        tell(call, "VM_MIGRATED", vm, f"VM '{vm['name_label']}' migrated {where}")
    return ""


async def _move(call: Call, vm: Row, source: Row, target: Row) -> None:
    async with call.world.locks.host_queue(source.ref):
        await call.spend("VM.pool_migrate")
        if not is_live(call, target):
            raise ApiError("CANNOT_CONTACT_HOST", target.ref)
        for vif in call.db.rows("VIF", vm["VIFs"]):
            pif.bring_up_network(call, vif["network"], target.ref)
        call.world.domains += 1
        call.db.update(vm, resident_on=target.ref, domid=call.world.domains)
        call.world.memory.show(source.ref)


# -- all of a host


def _residents(call: Call, host: Row) -> list[Row]:
    vms = call.db.rows("VM", list(host["resident_VMs"]))
    return [vm for vm in vms if not vm["is_control_domain"]]


def _in_the_way(call: Call, host: Row) -> dict[str, list[str]]:
    """What keeps each VM of the host from leaving it."""
    reasons: dict[str, list[str]] = {}
    for vm in _residents(call, host):
        if vm["power_state"] != "Running":
            state = vm["power_state"].lower()
            reasons[vm.ref] = ["VM_BAD_POWER_STATE", vm.ref, "running", state]
        elif not _targets(call, vm, host):
            reasons[vm.ref] = ["NO_HOSTS_AVAILABLE"]
    return reasons


def _targets(call: Call, vm: Row, host: Row) -> list[Row]:
    return [one for one in possible_hosts(call, vm) if one is not host]


@call(
    "host.get_vms_which_prevent_evacuation(self: host ref) -> (VM ref -> string set) map",
    has_async=True,
    changes=False,
)
def get_vms_which_prevent_evacuation(call: Call, ref: str) -> dict[str, list[str]]:
    return _in_the_way(call, call.db.get("host", ref))


@call("host.assert_can_evacuate(host: host ref) -> void", has_async=True, changes=False)
def assert_can_evacuate(call: Call, ref: str) -> str:
    if reasons := _in_the_way(call, call.db.get("host", ref)):
        raise ApiError("CANNOT_EVACUATE_HOST", "|".join(",".join(why) for why in reasons.values()))
    return ""


@call(
    'host.evacuate(host: host ref, network: network ref = "OpaqueRef:NULL", '
    "evacuate_batch_size: int = 0) -> void",
    has_async=True,
)
async def evacuate(call: Call, ref: str, _network: str, _batch: int) -> str:
    """Move all VMs away, one after the other; what has been moved stays where it is."""
    host = call.db.get("host", ref)
    mark = Mark(host, "evacuate", lambda: exclude(host))
    async with call.world.locks.marked(call, lambda: [mark]):
        assert_can_evacuate(call, ref)
        for vm in _residents(call, host):
            await call.phase("vm")
            hosts = _targets(call, vm, host)
            if not hosts:
                raise ApiError("NO_HOSTS_AVAILABLE")
            best = max(hosts, key=call.world.memory.free)
            await suboperation(call, "VM.pool_migrate", pool_migrate, vm.ref, best.ref, {})
    return ""
