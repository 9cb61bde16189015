"""Snapshots and going back to them; suspending, migrating; and the messages of all that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.faults import Rule

Pretend = Callable[..., None]


def disks(pool: Any, vm: Any) -> list[str]:
    return [v["VDI"] for v in pool.db.rows("VBD", vm["VBDs"]) if v["type"] == "Disk"]


async def running(pool: Any, name: str = "web", host: str = "host-2") -> Any:
    """A VM that runs, and whose guest has spoken."""
    vm = await pool.vm(name)
    await pool.done("VM.start_on", vm.ref, pool.one("host", host).ref, False, False)
    await pool.until(
        lambda: pool.db.find("VM_guest_metrics", vm["guest_metrics"]), "the guest speaks"
    )
    return vm


def names(pool: Any) -> list[str]:
    return [one["name"] for one in pool.world.messages.values()]


def test_a_snapshot_is_a_template_that_remembers_its_vm(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await running(pool)
        snapshot = pool.db.get("VM", await pool.done("VM.snapshot", vm.ref, "before"))

        assert (snapshot["is_a_snapshot"], snapshot["is_a_template"]) == (True, True)
        assert (snapshot["power_state"], snapshot["snapshot_of"]) == ("Halted", vm.ref)
        assert snapshot["snapshot_info"]["power-state-at-snapshot"] == "Running"
        assert vm["snapshots"] == [snapshot.ref]
        assert (vm["parent"], snapshot["children"]) == (snapshot.ref, [vm.ref])
        (old,), (new,) = disks(pool, vm), disks(pool, snapshot)
        vdi = pool.db.get("VDI", new)
        assert (vdi["is_a_snapshot"], vdi["snapshot_of"]) == (True, old)
        macs = [{v["MAC"] for v in pool.db.rows("VIF", one["VIFs"])} for one in (vm, snapshot)]
        assert macs[0] == macs[1]
        refused = await pool.refused("VM.start", snapshot.ref, False, False)
        assert refused == ["VM_IS_SNAPSHOT", snapshot.ref, "start"]
        clone = pool.db.get("VM", await pool.done("VM.clone", snapshot.ref, "again"))
        assert (clone["is_a_template"], clone["is_a_snapshot"]) == (True, False)

    pretend(scenario)


def test_a_snapshot_that_goes_leaves_its_children_to_its_parent(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        first = await pool.done("VM.snapshot", vm.ref, "first")
        second = await pool.done("VM.snapshot", vm.ref, "second")

        await pool.done("VM.destroy", second)

        assert vm["parent"] == first
        assert pool.db.get("VM", first)["children"] == [vm.ref]

    pretend(scenario)


def test_a_vm_without_a_seed_of_macs_has_snapshots_too(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.call("VM.set_other_config", vm.ref, {})

        made = pool.db.get("VM", await pool.done("VM.snapshot", vm.ref, "then"))

        macs = [[vif["MAC"] for vif in pool.db.rows("VIF", one["VIFs"])] for one in (vm, made)]
        assert macs[0] == macs[1]
        assert macs[0]

    pretend(scenario)


def test_a_snapshot_may_leave_disks_out(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        made = await pool.done("VM.snapshot", vm.ref, "bare", disks(pool, vm))

        assert disks(pool, pool.db.get("VM", made)) == []

    pretend(scenario)


def test_a_disk_that_is_reset_is_not_snapshotted(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        (disk,) = disks(pool, vm)
        pool.db.set(pool.db.get("VDI", disk), "on_boot", "reset")

        refused = await pool.refused("VM.snapshot", vm.ref, "no")
        assert refused == ["VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"]
        assert len(pool.db.by_name("VM", "no")) == 0

    pretend(scenario)


@pytest.mark.parametrize("how", ["snapshot", "checkpoint"])
def test_a_vm_goes_back_to_its_snapshot(pretend: Pretend, how: str) -> None:
    async def scenario(pool: Any) -> None:
        vm = await running(pool)
        snapshot = await pool.done(f"VM.{how}", vm.ref, "before")
        assert vm["power_state"] == "Running"
        before = disks(pool, vm)
        pool.db.put(vm, "other_config", "later", "yes")
        pool.db.set(vm, "name_description", "later")
        (mac,) = {vif["MAC"] for vif in pool.db.rows("VIF", vm["VIFs"])}

        await pool.done("VM.revert", snapshot)

        assert "later" not in {*vm["other_config"], vm["name_description"]}
        assert vm["name_label"] == "web"
        assert vm["power_state"] == ("Halted" if how == "snapshot" else "Suspended")
        assert {vif["MAC"] for vif in pool.db.rows("VIF", vm["VIFs"])} == {mac}
        assert not pool.db.rows("VDI", before)
        assert pool.db.rows("VDI", disks(pool, vm))
        if how == "checkpoint":
            await pool.done("VM.resume", vm.ref, False, False)
            assert vm["power_state"] == "Running"
            assert vm["suspend_VDI"] == "OpaqueRef:NULL"
            suspended = [v for v in pool.db.all("VDI") if v["type"] == "suspend"]
            assert [v.ref for v in suspended] == [pool.db.get("VM", snapshot)["suspend_VDI"]]

    pretend(scenario)


def test_only_a_snapshot_can_be_gone_back_to(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        snapshot = await pool.done("VM.snapshot", vm.ref, "before")

        assert await pool.refused("VM.revert", vm.ref) == ["REVERT_ONLY_ALLOWED_ON_SNAPSHOT"]
        pool.world.faults.rules.append(Rule.read({"method": "VDI.clone", "error": ["SR_FULL"]}))
        assert await pool.refused("VM.revert", snapshot) == ["VM_REVERT_FAILED", vm.ref, snapshot]

    pretend(scenario)


@pytest.mark.parametrize(
    ("phase", "disks_left", "vbds"), [("stop", 1, 1), ("old", 1, 1), ("disk", 0, 0), ("rows", 1, 0)]
)
def test_a_restart_in_a_revert_leaves_what_was_done(
    pretend: Pretend, phase: str, disks_left: int, vbds: int
) -> None:
    async def scenario(pool: Any) -> None:
        vm = await running(pool)
        snapshot = await pool.done("VM.snapshot", vm.ref, "before")
        count = len(pool.db.all("VDI"))
        rule = {"method": "VM.revert", "phase": phase, "action": "restart"}
        pool.world.faults.rules.append(Rule.read(rule))
        await pool.call("Async.VM.revert", snapshot)
        await pool.until(lambda: pool.world.restarts, "xapi restarts")

        assert len(pool.db.all("VDI")) == count - 1 + disks_left
        assert len(vm["VBDs"]) == vbds
        assert vm["power_state"] == ("Running" if phase == "stop" else "Halted")
        assert vm["current_operations"] == {}

    pretend(scenario)


def test_a_suspended_vm_is_a_disk_until_it_wakes(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await running(pool)
        await pool.done("VM.suspend", vm.ref)

        image = pool.db.get("VDI", vm["suspend_VDI"])
        assert (vm["power_state"], image["type"]) == ("Suspended", "suspend")
        assert (vm["domid"], vm["resident_on"]) == (-1, "OpaqueRef:NULL")
        refused = await pool.refused("VM.start", vm.ref, False, False)
        assert refused == ["VM_BAD_POWER_STATE", vm.ref, "halted", "suspended"]
        refused = await pool.refused("VM.clone", vm.ref, "no")
        assert refused == ["VM_BAD_POWER_STATE", vm.ref, "halted", "suspended"]
        there = pool.one("host", "host-3")
        await pool.done("VM.resume_on", vm.ref, there.ref, False, False)
        assert (vm["power_state"], vm["resident_on"]) == ("Running", there.ref)
        assert not pool.db.find("VDI", image.ref)
        await pool.done("VM.suspend", vm.ref)
        await pool.done("VM.hard_shutdown", vm.ref)
        assert vm["power_state"] == "Halted"
        assert not [v for v in pool.db.all("VDI") if v["type"] == "suspend"]

    pretend(scenario)


def test_suspending_needs_a_guest_that_can_and_a_place(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await running(pool)
        pool.db.update(pool.db.only("pool"), suspend_image_SR="OpaqueRef:NULL")
        assert await pool.refused("VM.suspend", vm.ref) == ["VM_NO_SUSPEND_SR", vm.ref]
        metrics = pool.db.get("VM_guest_metrics", vm["guest_metrics"])
        pool.db.set(metrics, "other", {})
        assert await pool.refused("VM.suspend", vm.ref) == ["VM_LACKS_FEATURE", vm.ref]

    pretend(scenario)


def test_a_host_is_emptied_and_takes_nothing_meanwhile(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vms = [await running(pool, name) for name in ("a", "b")]
        host = pool.one("host", "host-2")
        await pool.call("host.disable", host.ref)
        seen: list[list[str]] = []

        async def at_phase(call: Any, phase: str) -> None:
            if (call.name, phase) == ("host.evacuate", "vm"):
                args: tuple[Any, ...] = (vms[0].ref, host.ref, {})
                seen.append(await pool.refused("VM.pool_migrate", *args))

        pool.world.faults.at_phase = at_phase
        await pool.done("host.evacuate", host.ref)

        assert seen == [["HOST_EVACUATE_IN_PROGRESS", host.ref]] * 2
        assert all(vm["power_state"] == "Running" for vm in vms)
        assert host.ref not in {vm["resident_on"] for vm in vms}
        assert host["resident_VMs"] == [host["control_domain"]]

    pretend(scenario)


def test_a_host_is_not_emptied_where_vms_have_nowhere_to_go(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await running(pool, host="host-1")
        host = pool.one("host", "host-1")

        reasons = await pool.call("host.get_vms_which_prevent_evacuation", host.ref)
        assert reasons == {vm.ref: ["NO_HOSTS_AVAILABLE"]}
        refused = await pool.refused("host.evacuate", host.ref)
        assert refused == ["CANNOT_EVACUATE_HOST", "NO_HOSTS_AVAILABLE"]
        assert host["current_operations"] == {}

    pretend(scenario, hosts=1)


def test_messages_tell_what_happened(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await running(pool)
        await pool.done("VM.hard_shutdown", vm.ref)

        assert names(pool) == ["VM_CLONED", "VM_STARTED", "VM_SHUTDOWN"]
        records = await pool.call("message.get_all_records")
        ref, started = next((r, m) for r, m in records.items() if m["name"] == "VM_STARTED")
        assert (started["cls"], started["obj_uuid"]) == ("VM", vm.uuid)
        assert await pool.call("message.get_record", ref) == started
        assert await pool.call("message.get_by_uuid", started["uuid"]) == ref
        mine = await pool.call("message.get", "VM", vm.uuid, "19700101T00:00:00Z")
        assert [m["name"] for m in mine.values()] == ["VM_SHUTDOWN", "VM_STARTED"]
        found = await pool.call("message.get_all_records_where", 'field "name"="VM_STARTED"')
        assert list(found) == [ref]
        await pool.call("message.destroy", ref)
        assert await pool.refused("message.get_record", ref) == ["HANDLE_INVALID", "message", ref]
        made = await pool.call("message.create", "HELLO", 3, "VM", vm.uuid, "said")
        assert (await pool.call("message.get_since", "19700101T00:00:00Z"))[made]["body"] == "said"
        refused = await pool.refused("message.create", "HELLO", 3, "VM", "none", "said")
        assert refused == ["UUID_INVALID", "VM", "none"]

    pretend(scenario)


def test_a_drive_is_left_alone_while_its_vm_is_suspended(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await running(pool)
        drive = pool.db.create("VBD", VM=vm.ref, type="CD", mode="RO", userdevice="3", empty=True)
        iso = pool.one("VDI", "tools.iso").ref
        await pool.done("VBD.insert", drive.ref, iso)
        await pool.done("VBD.eject", drive.ref)
        await pool.done("VM.suspend", vm.ref)
        refused = await pool.refused("VBD.insert", drive.ref, iso)
        assert refused == ["VM_BAD_POWER_STATE", vm.ref, "halted, running, paused", "suspended"]

    pretend(scenario)


def test_only_what_sleeps_names_an_image_of_its_memory(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        other = await running(pool, "other")
        (disk,) = disks(pool, other)
        vm = await running(pool)
        refused = await pool.refused("VM.set_suspend_VDI", vm.ref, disk)
        assert refused == ["VM_BAD_POWER_STATE", vm.ref, "suspended", "running"]
        await pool.done("VM.suspend", vm.ref)
        refused = await pool.refused("VM.set_suspend_VDI", vm.ref, "none")
        assert refused == ["HANDLE_INVALID", "VDI", "none"]

        await pool.call("VM.set_suspend_VDI", vm.ref, disk)
        await pool.call("VM.destroy", vm.ref)

        assert pool.db.find("VM", vm.ref) is None
        assert disks(pool, other) == [disk]
        assert pool.db.find("VDI", disk)

    pretend(scenario)
