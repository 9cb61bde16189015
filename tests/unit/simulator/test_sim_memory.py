"""The memory of VMs that run: none is promised what its host has not; what is free is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from simulator.memory import MIB
from tests.support.pretended import assert_whole

Pretend = Callable[..., None]
GIB = 2**30


async def small_vms(pool: Any, count: int) -> list[Any]:
    """VMs that run on one host with little memory, and may have much."""
    host = pool.one("host", "host-1").ref
    vms = [await pool.vm(f"vm-{number}") for number in range(count)]
    for vm in vms:
        await pool.call("VM.set_memory_limits", vm.ref, 0, 100 * GIB, GIB, 10 * GIB)
        await pool.call("VM.start_on", vm.ref, host, False, True)
    return vms


def test_a_vm_grows_no_further_than_its_host_has_room(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        first, second, third = await small_vms(pool, 3)
        await pool.call("VM.set_memory_dynamic_range", first.ref, 100 * GIB, 100 * GIB)
        free = await pool.call("host.compute_free_memory", first["resident_on"])

        large, figures = 100 * GIB, [str(99 * GIB // 1024), str(free // 1024)]
        refused = await pool.refused("VM.set_memory_dynamic_range", second.ref, large, large)
        assert refused == ["HOST_NOT_ENOUGH_FREE_MEMORY", *figures]
        await pool.call("VM.set_memory_dynamic_max", second.ref, large)
        refused = await pool.refused("VM.set_memory_dynamic_min", second.ref, large)
        assert refused == ["HOST_NOT_ENOUGH_FREE_MEMORY", *figures]
        assert (second["memory_dynamic_min"], second["memory_target"]) == (GIB, GIB)
        await pool.call("VM.set_memory_dynamic_range", third.ref, GIB + free, large)
        assert await pool.call("host.compute_free_memory", third["resident_on"]) == 0
        await pool.call("VM.set_memory_dynamic_min", first.ref, GIB)
        assert_whole(pool.db)

    pretend(scenario)


def test_a_vm_that_moves_grows_where_it_arrives(pretend_at_length: Pretend) -> None:
    """After a restart of xapi nothing is marked, but the host goes on moving it."""

    async def scenario(pool: Any) -> None:
        (vm,) = await small_vms(pool, 1)
        full, there = await pool.vm("full"), pool.one("host", "host-2")
        await pool.call("VM.set_memory", full.ref, 90 * GIB)
        await pool.call("VM.start_on", full.ref, there.ref, False, True)
        await pool.call("Async.VM.pool_migrate", vm.ref, there.ref, {})
        await asyncio.sleep(1)
        pool.world.restart()
        await asyncio.sleep(0)
        pool.session = pool.world.sessions.open("root", "test").ref
        assert vm["resident_on"] != there.ref

        refused = await pool.refused("VM.set_memory_dynamic_range", vm.ref, 60 * GIB, 60 * GIB)

        assert (vm["resident_on"], refused[0]) == (there.ref, "HOST_NOT_ENOUGH_FREE_MEMORY")
        assert_whole(pool.db)

    pretend_at_length(scenario)


def test_a_host_says_what_is_free(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        here, there = pool.one("host", "host-1"), pool.one("host", "host-2")

        async def free(host: Any) -> int:
            shown = pool.db.get("host_metrics", host["metrics"])["memory_free"]
            assert shown == await pool.call("host.compute_free_memory", host.ref)
            return int(shown)

        empty = await free(here)
        assert empty == 128 * GIB - 4 * GIB - 512 * MIB
        (vm,) = await small_vms(pool, 1)
        size = GIB + vm["memory_overhead"]
        assert await free(here) == empty - size
        await pool.call("VM.set_memory_dynamic_min", vm.ref, 3 * GIB)
        assert await free(here) == empty - size - 2 * GIB
        await pool.done("VM.pool_migrate", vm.ref, there.ref, {})
        assert (await free(here), await free(there)) == (empty, empty - size - 2 * GIB)
        await pool.done("VM.hard_shutdown", vm.ref)
        assert await free(there) == empty

    pretend(scenario)


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_host_builds_is_not_free(pretend: Pretend, *, fails: bool) -> None:
    async def scenario(pool: Any) -> None:
        host, vm = pool.one("host", "host-1"), await pool.vm()
        metrics = pool.db.get("host_metrics", host["metrics"])
        empty = metrics["memory_free"]
        pool.world.latency.set({"VM.start": 0.05})
        task = await pool.call("Async.VM.start_on", vm.ref, host.ref, False, True)
        await pool.until(lambda: metrics["memory_free"] < empty, "the host builds it")
        taken = metrics["memory_free"]
        assert vm["power_state"] == "Halted"
        if fails:
            await pool.call("task.cancel", task)
        await pool.ended(task)
        await asyncio.sleep(0)

        assert metrics["memory_free"] == (empty if fails else taken)

    pretend(scenario)
