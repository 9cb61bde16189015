"""Appliances: VMs that start together and stop together, each by the call that it has itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from simulator.behaviour import vm_start, vm_stop
from simulator.calls import Call, call
from simulator.errors import ApiError, TaskCancelled
from simulator.locks import Mark, exclude

_THIS: Final = "self: VM_appliance ref"
_Act = Callable[[Call, str], Awaitable[str]]


@call(f"VM_appliance.start({_THIS}, paused: bool) -> void", has_async=True)
async def start(call: Call, ref: str, paused: bool) -> str:  # noqa: FBT001 - as on the wire
    async def act(call: Call, vm: str) -> str:
        return await vm_start.start(call, vm, paused, False)

    return await _each(call, ref, "start", act, backwards=False)


@call(f"VM_appliance.clean_shutdown({_THIS}) -> void", has_async=True)
async def clean_shutdown(call: Call, ref: str) -> str:
    return await _each(call, ref, "clean_shutdown", vm_stop.clean_shutdown)


@call(f"VM_appliance.hard_shutdown({_THIS}) -> void", has_async=True)
async def hard_shutdown(call: Call, ref: str) -> str:
    return await _each(call, ref, "hard_shutdown", vm_stop.hard_shutdown)


@call(f"VM_appliance.shutdown({_THIS}) -> void", has_async=True)
async def shutdown(call: Call, ref: str) -> str:
    return await _each(call, ref, "shutdown", vm_stop.shutdown)


async def _each(call: Call, ref: str, operation: str, act: _Act, *, backwards: bool = True) -> str:
    """Go by the VMs' order, past those that fail; VMs that are there already are left alone."""
    appliance = call.db.get("VM_appliance", ref)
    failed = False
    mark = Mark(appliance, operation, lambda: exclude(appliance))
    async with call.world.locks.marked(call, lambda: [mark]):
        vms = call.db.rows("VM", list(appliance["VMs"]))
        for vm in sorted(vms, key=lambda vm: vm["order"], reverse=backwards):
            if (vm["power_state"] == "Halted") != (operation == "start"):
                continue
            try:
                await act(call, vm.ref)
            except TaskCancelled:
                raise
            except ApiError:
                failed = True
    if failed:
        raise ApiError("OPERATION_PARTIALLY_FAILED", operation)
    return ""
