"""Work that a host does for xapi. It goes on when xapi goes away, and ends when the host dies.

What a host does to one VM's domain it does alone: after a restart of xapi nothing is marked any
more, and whoever wants that VM next has to wait until the host is done with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from simulator.behaviour.vm_state import assert_power, is_live
from simulator.errors import ApiError

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.db import Row


async def on_host(
    call: Call,
    host: Row,
    work: Coroutine[Any, Any, None],
    *,
    vm: Row | None = None,
    at_end: Callable[[], None] = lambda: None,
) -> None:
    """Have a host do work, on the domain of the VM if one is named; `at_end` is called however."""
    if not is_live(call, host):
        work.close()
        at_end()
        raise ApiError("HOST_OFFLINE", host.ref)
    job = call.world.run_on_host(work, host.ref)
    job.add_done_callback(lambda _: at_end())
    if vm is not None:
        jobs, ref = call.world.domain_jobs, vm.ref
        jobs[ref] = job
        job.add_done_callback(lambda _: jobs.pop(ref, None))
    try:
        await asyncio.shield(job)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if job.cancelled() and not (task and task.cancelling()):  # the host died, not xapi
            raise ApiError("CANNOT_CONTACT_HOST", host.ref) from None
        raise


async def until_alone(call: Call, vm: Row) -> None:
    """Wait for what a host does to the VM, for an xapi that is gone or a call that is cut short."""
    while (job := call.world.domain_jobs.get(vm.ref)) is not None:
        await asyncio.wait([job])
        await asyncio.sleep(0)  # for what is done at its end
        call.stop_if_cancelled()


async def change_domain(call: Call, vm: Row, latency: str, end: Callable[[], None]) -> None:
    """Change the domain of a running VM on its host, if it is still that domain in the end."""

    async def work() -> None:
        await call.spend(latency)
        call.db.get("VM", vm.ref)
        assert_power(vm, "Running")
        if vm["domid"] != domain:
            raise ApiError("VM_BAD_POWER_STATE", vm.ref, "running", "halted")
        end()

    domain = vm["domid"]
    await on_host(call, call.db.get("host", vm["resident_on"]), work())
