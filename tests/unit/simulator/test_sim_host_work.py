"""What a host was doing goes on when xapi restarts, and ends when the host dies; then it looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from simulator import plans
from simulator.behaviour.vm_state import is_live
from tests.support.devices import disk, vbd, vif
from tests.support.pretended import assert_whole

Pretend = Callable[..., None]
GIB = 2**30


async def restart(pool: Any) -> None:
    """Xapi restarts while a host works, and a client comes back."""
    await asyncio.sleep(1)
    pool.world.restart()
    await asyncio.sleep(0)
    pool.session = pool.world.sessions.open("root", "test").ref


async def large_vm(pool: Any, name: str) -> Any:
    """A VM of which a host has room for one only."""
    vm = await pool.vm(name)
    await pool.call("VM.set_memory", vm.ref, 80 * GIB)
    return vm


async def begin_start(pool: Any, vm: Any, host: Any) -> str:
    return str(await pool.call("Async.VM.start_on", vm.ref, host.ref, False, True))


def test_a_vm_that_a_host_starts_is_started_nowhere_else(pretend_at_length: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, here, there = await pool.vm(), pool.one("host", "host-1"), pool.one("host", "host-2")
        await begin_start(pool, vm, here)
        await restart(pool)
        assert vm["power_state"] == "Halted"

        refused = await pool.refused("VM.start_on", vm.ref, there.ref, False, True)

        assert refused == ["VM_BAD_POWER_STATE", vm.ref, "halted", "running"]
        assert vm["resident_on"] == here.ref
        assert_whole(pool.db)

    pretend_at_length(scenario)


def test_a_host_that_starts_a_vm_has_given_it_memory(pretend_at_length: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        here = pool.one("host", "host-1")
        first, second = await large_vm(pool, "first"), await large_vm(pool, "second")
        await begin_start(pool, first, here)
        await restart(pool)

        refused = await pool.refused("VM.start_on", second.ref, here.ref, False, True)
        assert refused[0] == "HOST_NOT_ENOUGH_FREE_MEMORY"
        await pool.call("VM.set_memory", first.ref, 2 * GIB)  # nothing is marked any more
        await asyncio.sleep(60)
        assert (first["power_state"], first["memory_target"]) == ("Running", 80 * GIB)
        assert_whole(pool.db)

    pretend_at_length(scenario)


def test_what_comes_after_a_restart_waits_for_the_host(pretend_at_length: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-2")
        await pool.call("VM.start", vm.ref, False, False)
        await asyncio.sleep(60)  # its guest can suspend
        await pool.call("Async.VM.suspend", vm.ref)
        await asyncio.sleep(3)  # the disk for its memory is there
        await restart(pool)
        assert (await pool.refused("VM.pause", vm.ref))[0] == "VM_BAD_POWER_STATE"
        assert vm["power_state"] == "Suspended"
        await pool.call("VM.resume", vm.ref, False, False)
        await pool.call("Async.VM.pool_migrate", vm.ref, host.ref, {})
        await restart(pool)
        await pool.call("VM.hard_shutdown", vm.ref)
        assert vm["power_state"] == "Halted"
        await asyncio.sleep(60)
        assert vm["resident_on"] == "OpaqueRef:NULL"
        assert_whole(pool.db)

    pretend_at_length(scenario)


def test_a_start_that_finds_a_disk_taken_leaves_nothing_attached(
    pretend_at_length: Pretend,
) -> None:
    """It waited in its host's queue while xapi restarted, and its disk went to another."""

    async def scenario(pool: Any) -> None:
        here, there = pool.one("host", "host-1"), pool.one("host", "host-2")
        slow, late, other = [await pool.vm(name) for name in ("slow", "late", "other")]
        shared = await disk(pool)
        for vm in (late, other):
            await pool.call("VBD.create", vbd(vm, shared))
        pool.world.latency.set({"VM.start": 60})
        await begin_start(pool, slow, here)
        await asyncio.sleep(1)
        await begin_start(pool, late, here)
        await restart(pool)
        pool.world.latency.set({"VM.start": 1})
        await pool.call("VM.start_on", other.ref, there.ref, False, True)
        await asyncio.sleep(100)

        assert [vm["power_state"] for vm in (slow, late, other)] == ["Running", "Halted", "Running"]
        devices = [*pool.db.rows("VBD", late["VBDs"]), *pool.db.rows("VIF", late["VIFs"])]
        assert not any(device["currently_attached"] for device in devices)

    pretend_at_length(scenario, host_workers=1)


async def plug_amid(pool: Any, cls: str, method: str) -> tuple[Any, Any, str]:
    """The VM, its device and the ended task of a plug, amid which a call befell the VM."""
    vm, device = await running_vm_with(pool, cls)
    pool.world.latency.set({f"{cls}.plug": 60})
    task = await pool.call(f"Async.{cls}.plug", device.ref)
    await asyncio.sleep(1)
    await pool.call(method, vm.ref)
    await asyncio.sleep(60)
    return vm, device, task


@pytest.mark.parametrize("cls", ["VBD", "VIF"])
def test_a_plug_that_meets_a_shutdown_plugs_nothing(pretend_at_length: Pretend, cls: str) -> None:
    async def scenario(pool: Any) -> None:
        vm, device, task = await plug_amid(pool, cls, "VM.hard_shutdown")

        error = pool.db.get("task", task)["error_info"]
        assert error == ["VM_BAD_POWER_STATE", vm.ref, "running", "halted"]
        assert not device["currently_attached"]

    pretend_at_length(scenario)


@pytest.mark.parametrize("cls", ["VBD", "VIF"])
def test_a_plug_does_not_go_over_to_another_domain(pretend_at_length: Pretend, cls: str) -> None:
    async def scenario(pool: Any) -> None:
        _, device, task = await plug_amid(pool, cls, "VM.hard_reboot")

        assert pool.db.get("task", task)["status"] == "failure"
        assert not device["currently_attached"]

    pretend_at_length(scenario)


async def running_vm_with(pool: Any, cls: str) -> tuple[Any, Any]:
    """A VM that runs, and a device of the class that is not plugged."""
    vm = await pool.vm()
    await pool.call("VM.start_on", vm.ref, pool.one("host", "host-2").ref, False, True)
    network = pool.one("network", "guest").ref
    record = vbd(vm, await disk(pool)) if cls == "VBD" else vif(vm, network)
    return vm, pool.db.get(cls, await pool.call(f"{cls}.create", record))


@pytest.mark.parametrize("cls", ["VBD", "VIF"])
def test_a_dead_host_plugs_and_pauses_nothing(pretend_at_length: Pretend, cls: str) -> None:
    async def scenario(pool: Any) -> None:
        vm, device = await running_vm_with(pool, cls)
        host = pool.db.get("host", vm["resident_on"])
        pool.world.latency.set({f"{cls}.plug": 60, "VM.pause": 60})
        tasks = [
            await pool.call(f"Async.{cls}.plug", device.ref),
            await pool.call("Async.VM.pause", vm.ref),
        ]
        await asyncio.sleep(1)
        pool.world.kill_host(host)
        await asyncio.sleep(100)

        errors = [pool.db.get("task", task)["error_info"] for task in tasks]
        assert errors == [["CANNOT_CONTACT_HOST", host.ref]] * 2
        assert await pool.refused(f"{cls}.plug", device.ref) == ["HOST_OFFLINE", host.ref]
        assert await pool.refused("VM.pause", vm.ref) == ["HOST_OFFLINE", host.ref]
        assert (vm["power_state"], device["currently_attached"]) == ("Running", False)

    pretend_at_length(scenario)


def test_a_vm_does_not_move_to_a_host_that_died_meanwhile(pretend_at_length: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, target = await pool.vm(), pool.one("host", "host-3")
        await pool.call("VM.start_on", vm.ref, pool.one("host", "host-2").ref, False, True)
        source = vm["resident_on"]
        task = await pool.call("Async.VM.pool_migrate", vm.ref, target.ref, {})
        await asyncio.sleep(1)
        pool.world.kill_host(target)
        await asyncio.sleep(100)

        assert not is_live(pool, target)
        assert pool.db.get("task", task)["error_info"] == ["CANNOT_CONTACT_HOST", target.ref]
        assert vm["resident_on"] == source

    pretend_at_length(scenario)


def test_a_gpu_stays_with_the_vm_that_a_host_starts(pretend_at_length: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        group = pool.db.all("GPU_group")[0].ref
        vgpu = pool.db.get("VGPU", await pool.call("VGPU.create", vm.ref, group, "0", {}))
        await pool.call("Async.VM.start", vm.ref, False, False)
        await restart(pool)
        await asyncio.sleep(60)

        assert vm["power_state"] == "Running"
        pgpu = pool.db.get("PGPU", vgpu["resident_on"])
        assert pgpu["host"] == vm["resident_on"]

    pretend_at_length(scenario, plan=plans.load("gpus"))
