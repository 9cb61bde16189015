"""A dump that was taken while operations ran gives a pool in which nothing runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from simulator import plans, state
from tests.support.pretended import assert_at_rest, assert_whole

Pretend = Callable[..., None]


def dumped(pool: Any) -> Any:
    return orjson.loads(orjson.dumps(state.dump(pool.world)))


def load(pool: Any, dump: Any) -> None:
    state.load(pool.world, dump)
    pool.session = pool.world.sessions.open("root", "test").ref


def test_what_ran_when_a_state_was_dumped_holds_nothing(pretend_at_length: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-1")
        group = pool.db.all("GPU_group")[0].ref
        vgpu = await pool.call("VGPU.create", vm.ref, group, "0", {})
        task = await pool.call("Async.VM.start", vm.ref, False, False)
        clone = await pool.call("Async.VM.clone", pool.one("VM", "debian-12").ref, "late")
        await asyncio.sleep(1)
        assert vm["current_operations"] == {task: "start"}
        assert vm["scheduled_to_be_resident_on"] != "OpaqueRef:NULL"
        devices = [*pool.db.rows("VBD", vm["VBDs"]), *pool.db.rows("VIF", vm["VIFs"])]
        assert all(device["currently_attached"] for device in devices)
        dump = dumped(pool)
        assert {task, clone} <= dump["task"].keys()

        load(pool, dump)

        assert_at_rest(pool.world)
        assert_whole(pool.db)
        gpu = pool.db.get("VGPU", vgpu)
        assert (gpu["resident_on"], gpu["currently_attached"]) == ("OpaqueRef:NULL", False)
        assert await pool.call("VM.get_allowed_operations", vm.ref)
        await pool.call("VM.start", vm.ref, False, False)
        assert pool.db.get("VM", vm.ref)["power_state"] == "Running"
        assert pool.one("host", "host-1").ref == host.ref

    pretend_at_length(scenario, plan=plans.load("gpus"))


def test_what_a_host_was_doing_is_not_done_to_the_pool_that_comes(
    pretend_at_length: Pretend,
) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.call("VM.start", vm.ref, False, False)
        dump = dumped(pool)
        await pool.call("Async.VM.hard_shutdown", vm.ref)
        await asyncio.sleep(0.1)
        assert pool.world.domain_jobs

        load(pool, dump)
        await asyncio.sleep(60)

        vm = pool.db.get("VM", vm.ref)
        assert (vm["power_state"], len(vm["consoles"])) == ("Running", 1)
        devices = [*pool.db.rows("VBD", vm["VBDs"]), *pool.db.rows("VIF", vm["VIFs"])]
        assert all(device["currently_attached"] for device in devices)
        assert_at_rest(pool.world)
        assert_whole(pool.db)

    pretend_at_length(scenario)


def test_an_operation_that_a_new_pool_cuts_short_undoes_nothing(
    pretend_at_length: Pretend,
) -> None:
    """What it had made may be part of the dump."""

    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.call("VM.start", vm.ref, False, False)
        await asyncio.sleep(60)  # its guest can suspend

        async def at_phase(_call: Any, phase: str) -> None:
            if phase == "image":  # the host is asked to suspend it, and has not begun
                asyncio.get_running_loop().call_soon(load, pool, dumped(pool))

        pool.world.faults.at_phase = at_phase
        await pool.call("Async.VM.suspend", vm.ref)
        await asyncio.sleep(60)

        assert pool.world.restarts
        assert [row["type"] for row in pool.db.all("VDI")].count("suspend") == 1
        assert pool.db.get("VM", vm.ref)["power_state"] == "Running"

    pretend_at_length(scenario)
