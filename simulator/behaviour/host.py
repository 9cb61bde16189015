"""Hosts: whether they take VMs, and what room they have."""

from __future__ import annotations

from simulator.behaviour.vm_state import assert_live, is_live
from simulator.behaviour.vm_stop import become_halted
from simulator.calls import Call, call
from simulator.errors import ApiError
from simulator.values import now


@call("host.compute_free_memory(host: host ref) -> int", has_async=True, changes=False)
def compute_free_memory(call: Call, ref: str) -> int:
    return call.world.memory.free(call.db.get("host", ref))


@call("host.enable(host: host ref) -> void", has_async=True)
def enable(call: Call, ref: str) -> str:
    host = call.db.get("host", ref)
    assert_live(call, host)
    call.db.set(host, "enabled", True)
    return ""


@call("host.declare_dead(host: host ref) -> void", has_async=True)
def declare_dead(call: Call, ref: str) -> str:
    """Take an administrator's word that the host is gone: its VMs can start elsewhere."""
    host = call.db.get("host", ref)
    if is_live(call, host):
        raise ApiError("HOST_IS_LIVE", ref)
    for vm in call.db.rows("VM", list(host["resident_VMs"])):
        if not vm["is_control_domain"]:
            become_halted(call, vm)
    return ""


@call("host.compute_memory_overhead(host: host ref) -> int", has_async=True, changes=False)
def compute_memory_overhead(call: Call, ref: str) -> int:
    return int(call.db.get("host", ref)["memory_overhead"])


@call("host.disable(host: host ref, auto_enable: bool = true) -> void", has_async=True)
def disable(call: Call, ref: str, _auto_enable: bool) -> str:  # noqa: FBT001 - as on the wire
    call.db.set(call.db.get("host", ref), "enabled", False)
    return ""


@call("host.get_servertime(host: host ref) -> datetime", changes=False)
def get_servertime(call: Call, ref: str) -> str:
    call.db.get("host", ref)
    return now()


@call("host.get_server_localtime(host: host ref) -> datetime", changes=False)
def get_server_localtime(call: Call, ref: str) -> str:
    return get_servertime(call, ref)
