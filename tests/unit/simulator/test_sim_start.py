"""Starting and stopping: the checks in their order, memory, queues, and the guest."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

from simulator.faults import Rule
from simulator.memory import MIB, overhead
from simulator.values import NULL

Pretend = Callable[..., None]
GIB = 1024 * MIB


async def start_error(pool: Any, vm: Any, host: Any = None) -> list[str]:
    host = host or pool.one("host", "host-1")
    return list(await pool.refused("VM.start_on", vm.ref, host.ref, False, True))


def test_a_start_makes_the_vm_run_and_the_guest_speak(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-2")
        pool.world.latency.set({"guest.address": 0.02})
        await pool.done("VM.start_on", vm.ref, host.ref, False, True)

        assert (vm["power_state"], vm["resident_on"]) == ("Running", host.ref)
        assert vm["domid"] > 0
        assert vm["scheduled_to_be_resident_on"] == "OpaqueRef:NULL"
        assert (vm["current_operations"], host["current_operations"]) == ({}, {})
        assert vm.ref in host["resident_VMs"]
        (vbd,), (vif,) = pool.db.rows("VBD", vm["VBDs"]), pool.db.rows("VIF", vm["VIFs"])
        assert (vbd["currently_attached"], vbd["device"]) == (True, "xvda")
        assert vif["currently_attached"] is True
        (console,) = pool.db.rows("console", vm["consoles"])
        assert console["location"].endswith(f"/console?uuid={console.uuid}")

        def guest() -> Any:
            return pool.db.find("VM_guest_metrics", vm["guest_metrics"])

        metrics = await pool.until(guest, "the guest boots")
        await pool.until(lambda: metrics["networks"], "the guest has an address")
        assert set(metrics["networks"]) == {"0/ip", "0/ipv4/0"}
        assert metrics["networks"]["0/ip"].startswith("10.")

        await pool.done("VM.clean_shutdown", vm.ref)
        assert (vm["power_state"], vm["resident_on"], vm["domid"]) == (
            "Halted",
            "OpaqueRef:NULL",
            -1,
        )
        assert (vm["consoles"], vbd["currently_attached"]) == ([], False)
        assert vm.ref not in host["resident_VMs"]

    pretend(scenario)


def test_every_guest_has_an_address_of_its_own(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vms = [await pool.vm(f"web-{n}") for n in range(20)]
        for vm in vms:
            await pool.call("VM.start", vm.ref, False, False)

        def addresses() -> set[str]:
            refs = [vm["guest_metrics"] for vm in vms]
            guests = pool.db.rows("VM_guest_metrics", refs)
            return {g["networks"]["0/ip"] for g in guests if g["networks"]}

        await pool.until(lambda: len(addresses()) == 20, "20 different addresses")

    pretend(scenario)


def trouble(pool: Any, vm: Any, host: Any) -> list[tuple[list[str], Callable[[], None]]]:
    """Trouble the VM and the host in every way; each error, and what takes it away."""
    db = pool.db
    (vbd,), (vif,) = db.rows("VBD", vm["VBDs"]), db.rows("VIF", vm["VIFs"])
    vdi, metrics = db.get("VDI", vbd["VDI"]), db.get("host_metrics", host["metrics"])
    private = db.create("network", name_label="elsewhere", bridge="br9")
    db.create("PIF", network=private.ref, host=pool.one("host", "host-2").ref, device="eth9")
    storage = [pbd for pbd in db.rows("PBD", host["PBDs"]) if pbd["SR"] == vdi["SR"]]
    huge, small = 4096 * GIB, 1 * GIB
    wrongs: list[tuple[list[str], Any, dict[str, Any]]] = [
        (["OPERATION_BLOCKED", vm.ref, "MINE"], vm, {"blocked_operations": {"start_on": "MINE"}}),
        (["VM_BAD_POWER_STATE", vm.ref, "halted", "paused"], vm, {"power_state": "Paused"}),
        (["VM_IS_TEMPLATE", vm.ref, "start_on"], vm, {"is_a_template": True}),
        (["VDI_READONLY", vdi.ref], vdi, {"read_only": True}),
        (["INVALID_VALUE"], vm, {"VCPUs_at_startup": 99}),
        (
            ["VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE", "33", "2"],
            vm,
            {"platform": {"cores-per-socket": "2"}},
        ),
        (["HOST_NOT_LIVE"], metrics, {"live": False}),
        (["HOST_DISABLED", host.ref], host, {"enabled": False}),
        (["VM_REQUIRES_SR", vm.ref, vdi["SR"]], storage[0], {"currently_attached": False}),
        (["VM_REQUIRES_NETWORK", vm.ref, private.ref], vif, {"network": private.ref}),
        (["VM_HVM_REQUIRED", vm.ref], host, {"capabilities": ["xen-3.0-x86_64"]}),
        (["HOST_NOT_ENOUGH_FREE_MEMORY"], vm, {"memory_dynamic_min": huge}),
        (["HOST_NOT_ENOUGH_PCPUS", "33", "32"], vm, {"VCPUs_max": 33}),
    ]
    before = [{field: row[field] for field in wrong} for _, row, wrong in wrongs]
    db.update(vm, memory_dynamic_max=huge)
    for _, row, wrong in wrongs:
        db.update(row, **wrong)
    right = [
        {**old, "memory_dynamic_min": small} if "memory" in str(old) else old for old in before
    ]
    return [
        (error, functools.partial(db.update, row, **old))
        for (error, row, _), old in zip(wrongs, right, strict=True)
    ]


def test_the_checks_of_the_vm_come_in_their_order(pretend: Pretend) -> None:
    """Each trouble hides the ones after it; they are taken away one by one."""

    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-1")
        troubles = trouble(pool, vm, host)
        for error, take_away in troubles:
            found = await start_error(pool, vm)
            assert found[: len(error)] == error
            take_away()
        await pool.done("VM.start_on", vm.ref, host.ref, False, True)

    pretend(scenario)


@pytest.mark.parametrize("cores", ["0", "x", "-1", "\u0662", "1" * 5000])
def test_sockets_have_a_number_of_cores(pretend: Pretend, cores: str) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.call("VM.set_platform", vm.ref, {"cores-per-socket": cores})

        refused = await pool.refused("VM.start", vm.ref, False, False)
        assert refused == ["NO_HOSTS_AVAILABLE"]
        host = pool.one("host", "host-1").ref
        refused = await pool.refused("VM.start_on", vm.ref, host, False, False)
        assert refused == ["INVALID_VALUE", "platform:cores-per-socket", cores]
        assert await pool.call("VM.get_possible_hosts", vm.ref) == []

    pretend(scenario)


def test_start_without_a_host_says_only_that_there_is_none(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        for host in pool.db.all("host"):
            await pool.call("host.disable", host.ref)
        assert await pool.refused("VM.start", vm.ref, False, False) == ["NO_HOSTS_AVAILABLE"]

    pretend(scenario)


def test_start_where_no_host_has_room_fails_on_one_of_them(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.call("VM.set_memory_limits", vm.ref, 0, 300 * GIB, 300 * GIB, 300 * GIB)
        refused = await pool.refused("VM.start", vm.ref, False, False)
        assert refused[0] == "HOST_NOT_ENOUGH_FREE_MEMORY"
        assert int(refused[1]) > 300 * GIB > int(refused[2])
        assert (vm["power_state"], vm["scheduled_to_be_resident_on"]) == ("Halted", NULL)
        assert await pool.call("VM.get_possible_hosts", vm.ref) == []
        error = await pool.refused(
            "VM.assert_can_boot_here", vm.ref, pool.one("host", "host-1").ref
        )
        needed, free = map(int, error[1:])
        assert error[0] == "HOST_NOT_ENOUGH_FREE_MEMORY"
        assert needed == 300 * GIB + overhead(2, 300 * GIB, 1.0, is_hvm=True)
        assert free == await pool.call("host.compute_free_memory", pool.one("host", "host-1").ref)

    pretend(scenario)


def test_memory_counts_what_runs_and_what_is_on_its_way(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        host = pool.one("host", "host-1")
        free = await pool.call("host.compute_free_memory", host.ref)
        assert free == 128 * GIB - 4 * GIB - 512 * MIB
        vm = await pool.vm()
        needed = 2 * GIB + overhead(2, 2 * GIB, 1.0, is_hvm=True)
        pool.world.latency.set({"VM.start": 0.05})
        task = await pool.call("Async.VM.start_on", vm.ref, host.ref, False, True)
        await pool.until(lambda: vm["scheduled_to_be_resident_on"] == host.ref, "it is scheduled")

        assert await pool.call("host.compute_free_memory", host.ref) == free - needed
        await pool.ended(task)
        assert await pool.call("host.compute_free_memory", host.ref) == free - needed
        await pool.done("VM.hard_shutdown", vm.ref)
        assert await pool.call("host.compute_free_memory", host.ref) == free

    pretend(scenario)


def test_concurrent_starts_never_oversell_a_host(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        host = pool.one("host", "host-1")
        vms = [await pool.vm(f"web-{n}") for n in range(8)]
        for vm in vms:
            await pool.call("VM.set_memory_limits", vm.ref, 0, *[30 * GIB] * 3)
        tasks = [await pool.call("Async.VM.start_on", vm.ref, host.ref, False, True) for vm in vms]
        ended = [await pool.ended(task) for task in tasks]
        assert sorted(row["status"] for row in ended) == ["failure"] * 4 + ["success"] * 4
        assert {tuple(row["error_info"][:1]) for row in ended} == {
            (),
            ("HOST_NOT_ENOUGH_FREE_MEMORY",),
        }

    pretend(scenario)


@pytest.mark.parametrize("workers", [2, 8])
def test_a_host_runs_so_many_starts_at_once_and_the_rest_pend(
    pretend: Pretend, workers: int
) -> None:
    async def scenario(pool: Any) -> None:
        vms = [await pool.vm(f"web-{n}") for n in range(10)]
        pool.world.latency.set({"VM.start": 0.05})
        host, most = pool.one("host", "host-1"), 0
        tasks = [await pool.call("Async.VM.start_on", vm.ref, host.ref, False, True) for vm in vms]

        def count() -> bool:
            nonlocal most
            attached = sum(
                vbd["currently_attached"] and vbd["device"] == ""
                for vm in vms
                for vbd in pool.db.rows("VBD", vm["VBDs"])
            )
            most = max(most, attached)
            return all(pool.db.get("task", task)["status"] != "pending" for task in tasks)

        await pool.until(count, "all run")
        assert most == workers

    pretend(scenario, host_workers=workers)


def test_two_hundred_starts_pend_at_once(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vms = []
        for number in range(200):
            vms.append(await pool.vm(f"web-{number}"))
            for row in pool.db.all("task"):
                pool.world.tasks.remove(row)
        pool.world.latency.set({"VM.start": 20})
        for vm in vms:
            await pool.call("Async.VM.start", vm.ref, False, True)
        await pool.until(
            lambda: (
                sum(bool(h["current_operations"]) for h in pool.db.all("host")) == 4
                and sum(len(h["current_operations"]) for h in pool.db.all("host")) == 200
            ),
            "200 starts are placed",
        )
        assert [row["status"] for row in pool.db.all("task")] == ["pending"] * 200

    pretend(scenario, host_workers=64)


def test_a_disk_in_use_is_refused_at_the_start_not_before(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        one, two = await pool.vm("one"), await pool.vm("two")
        (vbd,) = pool.db.rows("VBD", one["VBDs"])
        record = {"VM": two.ref, "VDI": vbd["VDI"], "userdevice": "1", "bootable": False}
        record |= {"mode": "RW", "type": "Disk", "empty": False, "other_config": {}}
        record |= {"qos_algorithm_type": "", "qos_algorithm_params": {}}
        await pool.call("VBD.create", record)
        await pool.done("VM.start", one.ref, False, False)

        assert (await start_error(pool, two)) == ["VDI_IN_USE", vbd["VDI"]]
        assert two["current_operations"] == {}

    pretend(scenario)


def test_a_failing_start_leaves_the_vm_halted_and_nothing_promised(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-1")
        free = await pool.call("host.compute_free_memory", host.ref)
        fault = {"method": "VM.start_on", "phase": "started", "error": ["INTERNAL_ERROR", "qemu"]}
        pool.world.faults.rules.append(Rule.read(fault))
        row = await pool.ended(await pool.call("Async.VM.start_on", vm.ref, host.ref, False, True))
        assert (row["status"], row["error_info"]) == ("failure", ["INTERNAL_ERROR", "qemu"])
        assert vm["power_state"] == "Halted"
        assert not any(v["currently_attached"] for v in pool.db.rows("VBD", vm["VBDs"]))
        assert await pool.call("host.compute_free_memory", host.ref) == free

    pretend(scenario)


def test_a_dead_host_leaves_its_start_unknown(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-3")
        pool.world.latency.set({"VM.start": 60})
        task = await pool.call("Async.VM.start_on", vm.ref, host.ref, False, True)
        await pool.until(lambda: host["current_operations"], "the host is at work")
        await asyncio.sleep(0)
        pool.world.kill_host(host)
        assert (await pool.ended(task))["error_info"] == ["CANNOT_CONTACT_HOST", host.ref]
        assert (await start_error(pool, vm, host))[0] == "HOST_NOT_LIVE"

    pretend(scenario)


def test_a_start_outlives_a_restart_of_xapi(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-1")
        pool.world.latency.set({"VM.start": 0.05})
        await pool.call("Async.VM.start_on", vm.ref, host.ref, False, True)
        await pool.until(
            lambda: pool.db.rows("VBD", vm["VBDs"])[0]["currently_attached"], "the host works"
        )
        pool.world.restart()
        assert (vm["power_state"], vm["current_operations"]) == ("Halted", {})
        await pool.until(lambda: vm["power_state"] == "Running", "the host finishes the start")

    pretend(scenario)


def test_stopping_asks_for_the_right_state(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.done("VM.start", vm.ref, True, False)
        assert vm["power_state"] == "Paused"
        assert (await pool.refused("VM.destroy", vm.ref))[:3] == [
            "VM_BAD_POWER_STATE",
            vm.ref,
            "halted, suspended",
        ]
        pool.world.latency.set({"guest.boot": 60})
        await pool.call("VM.unpause", vm.ref)
        assert await pool.refused("VM.clean_shutdown", vm.ref) == ["VM_LACKS_FEATURE", vm.ref]
        await pool.call("VM.shutdown", vm.ref)
        assert vm["power_state"] == "Halted"
        disks = [vbd["VDI"] for vbd in pool.db.rows("VBD", vm["VBDs"])]
        await pool.call("VM.destroy", vm.ref)
        assert len(pool.db.rows("VDI", disks)) == 1  # disks stay

    pretend(scenario)
