"""What XAPI looks at first, where two things are in the way at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from simulator.dispatch import serve
from tests.unit.simulator.test_sim_snapshot import running

Pretend = Callable[..., None]
GIB = 2**30


def test_a_vm_that_is_shut_down_is_not_waited_for_to_be_destroyed(
    pretend: Pretend,
) -> None:
    async def scenario(pool: Any) -> None:
        vm = await running(pool)
        await pool.call("Async.VM.clean_shutdown", vm.ref)
        await pool.until(lambda: vm["current_operations"], "it is being shut down")

        assert await pool.refused("VM.destroy", vm.ref) == [
            *("VM_BAD_POWER_STATE", vm.ref, "halted, suspended", "running")
        ]

    pretend(scenario, time_scale=0.02)


def test_a_reboot_asks_for_the_state_before_the_guest(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()

        refused = await pool.refused("VM.clean_reboot", vm.ref)
        assert refused == ["VM_BAD_POWER_STATE", vm.ref, "running", "halted"]

    pretend(scenario)


def test_a_vm_that_runs_may_balloon(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.call("VM.set_memory_limits", vm.ref, 0, 2 * GIB, GIB, GIB)
        await pool.done("VM.start", vm.ref, False, False)
        await pool.call("VM.set_memory_dynamic_max", vm.ref, 2 * GIB)
        await pool.call("VM.set_memory_dynamic_min", vm.ref, GIB // 2)

        assert (vm["memory_dynamic_min"], vm["memory_dynamic_max"]) == (GIB // 2, 2 * GIB)
        refused = await pool.refused("VM.set_memory_static_max", vm.ref, 4 * GIB)
        assert refused[0] == "VM_BAD_POWER_STATE"

    pretend(scenario)


@pytest.mark.parametrize("cls", ["VBD", "VIF"])
def test_of_two_who_unplug_or_plug_at_once_one_is_too_late(pretend: Pretend, cls: str) -> None:
    async def scenario(pool: Any) -> None:
        vm = await running(pool)
        [ref] = vm[f"{cls}s"]
        if cls == "VBD":
            pool.db.set(pool.db.get(cls, ref), "unpluggable", True)
        for verb, late in (
            ("unplug", "DEVICE_ALREADY_DETACHED"),
            ("plug", "DEVICE_ALREADY_ATTACHED"),
        ):
            tasks = [await pool.call(f"Async.{cls}.{verb}", ref) for _ in range(2)]
            rows = await asyncio.gather(*(pool.ended(task) for task in tasks))
            assert [row["error_info"] for row in rows] == [[], [late, ref]]

    pretend(scenario, time_scale=0.02)


def test_a_start_leaves_the_master_alone_where_the_pool_is_biased(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        master = pool.world.master()
        vms = [await pool.vm(f"web-{number}") for number in range(4)]
        for vm in vms:
            await pool.done("VM.start", vm.ref, False, False)
        assert master.ref not in {vm["resident_on"] for vm in vms}

        await pool.call("pool.set_coordinator_bias", pool.db.only("pool").ref, False)
        last = await pool.vm("last")
        await pool.done("VM.start", last.ref, False, False)
        assert last["resident_on"] == master.ref

    pretend(scenario)


def test_a_dead_host_attaches_no_network_and_plugs_nothing(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        host = pool.one("host", "host-3")
        [pif] = [row for row in pool.db.rows("PIF", host["PIFs"]) if not row["management"]][:1]
        pool.world.kill_host(host)
        offline = ["HOST_OFFLINE", host.ref]

        assert await pool.refused("network.attach", pif["network"], host.ref) == offline
        assert await pool.refused("PIF.plug", pif.ref) == offline
        assert await pool.refused("PIF.unplug", pif.ref) == offline

    pretend(scenario)


def test_a_pool_that_is_alive_says_again_what_it_was_told(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        assert serve(pool.world, "system.isAlive:a", ["b"], {}) == "b"
        assert serve(pool.world, "system.isAlive:a", [], {}) == "a"

    pretend(scenario)
