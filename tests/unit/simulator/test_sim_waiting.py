"""Who waits for whom: on the SR, on the disk, on the VM; and who does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

Pretend = Callable[..., None]

_LONG: Final = 60.0


async def held(pool: Any, row: Any, operation: str) -> None:
    await pool.until(
        lambda: operation in row["current_operations"].values(), f"{operation} is under way"
    )


def waiting(pool: Any, task: str) -> bool:
    return bool(pool.db.get("task", task)["status"] == "pending" and pool.world.locks.waiting)


async def finish(pool: Any, *tasks: str) -> None:
    for task in tasks:
        await pool.call("task.cancel", task)
        await pool.ended(task)


def test_an_sr_does_one_thing_at_a_time(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        template, sr = pool.one("VM", "debian-12"), pool.one("SR", "sr-1")
        (vbd,) = pool.db.rows("VBD", template["VBDs"])
        pool.world.latency.set({"VDI.clone": _LONG, "retry.least": _LONG, "retry.most": _LONG})
        clone = await pool.call("Async.VM.clone", template.ref, "web")
        await held(pool, sr, "vdi_clone")

        record = {"SR": sr.ref, "virtual_size": 1, "type": "user", "sharable": False}
        record |= {"read_only": False, "other_config": {}}
        create = await pool.call("Async.VDI.create", record)
        await pool.until(lambda: waiting(pool, create), "VDI.create waits for the SR")
        scan = await pool.call("Async.SR.scan", sr.ref)
        await pool.until(lambda: pool.world.locks.waiting == 2, "SR.scan waits too")
        await pool.done("VDI.create", {**record, "SR": pool.one("SR", "sr-2").ref})
        await pool.done("PBD.plug", sr["PBDs"][0])  # plugging goes beside
        assert pool.db.get("VDI", vbd["VDI"])["current_operations"]
        await finish(pool, clone)
        for task in (create, scan):
            assert (await pool.ended(task))["status"] == "success"

    pretend(scenario)


def test_a_start_does_not_wait_for_the_sr_but_for_its_own_disk(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        first, second = await pool.vm("a"), await pool.vm("b")
        disks = [pool.db.rows("VBD", vm["VBDs"])[0]["VDI"] for vm in (first, second)]
        pool.world.latency.set({"VDI.snapshot": _LONG, "retry.quick": _LONG})
        task = await pool.call("Async.VDI.snapshot", disks[0])
        await held(pool, pool.db.get("VDI", disks[0]), "snapshot")

        await pool.done("VM.start", second.ref, False, False)
        start = await pool.call("Async.VM.start", first.ref, False, False)
        await pool.until(lambda: waiting(pool, start), "the start waits for its disk")
        await finish(pool, task)
        assert (await pool.ended(start))["status"] == "success"

    pretend(scenario)


def test_a_vm_is_cloned_beside_a_clone_and_destroyed_after_it(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        template = pool.one("VM", "debian-12")
        pool.world.latency.set({"VDI.clone": _LONG})
        clones = [await pool.call("Async.VM.clone", template.ref, f"web-{n}") for n in range(2)]
        await pool.until(lambda: len(template["current_operations"]) == 2, "both hold the template")
        destroy = await pool.call("Async.VM.destroy", template.ref)
        await pool.until(lambda: pool.world.locks.waiting == 2, "the destroy waits")
        await finish(pool, *clones)
        assert (await pool.ended(destroy))["status"] == "success"

    pretend(scenario)


def test_who_waits_can_be_cancelled(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        sr = pool.one("SR", "sr-1")
        pool.world.latency.set({"SR.scan": _LONG, "retry.least": _LONG, "retry.most": _LONG})
        first = await pool.call("Async.SR.scan", sr.ref)
        await held(pool, sr, "scan")
        second = await pool.call("Async.SR.scan", sr.ref)
        await pool.until(lambda: waiting(pool, second), "the second waits")
        await finish(pool, second)
        assert pool.db.get("task", second)["status"] == "cancelled"
        assert pool.world.locks.waiting == 0
        await finish(pool, first)

    pretend(scenario)


def test_a_copy_holds_its_disk_and_no_sr(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        template, sr = pool.one("VM", "debian-12"), pool.one("SR", "sr-1")
        (vbd,) = pool.db.rows("VBD", template["VBDs"])
        disk = pool.db.get("VDI", vbd["VDI"])
        pool.world.latency.set({"VDI.copy per GiB": _LONG})
        copies = [await pool.call("Async.VDI.copy", disk.ref, sr.ref) for _ in range(2)]
        await pool.until(lambda: len(disk["current_operations"]) == 2, "two copies run")
        assert sr["current_operations"] == {}
        await pool.done("SR.scan", sr.ref)
        await finish(pool, *copies)

    pretend(scenario)


def test_a_pbd_is_not_unplugged_under_a_vm(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-2")
        await pool.done("VM.start_on", vm.ref, host.ref, False, False)
        (vbd,) = pool.db.rows("VBD", vm["VBDs"])
        sr = pool.db.get("SR", pool.db.get("VDI", vbd["VDI"])["SR"])
        pbds = pool.db.rows("PBD", sr["PBDs"])
        here = next(p for p in pbds if p["host"] == host.ref)
        assert await pool.refused("PBD.unplug", here.ref) == ["VDI_IN_USE", vbd["VDI"]]
        assert await pool.refused("SR.forget", sr.ref) == ["SR_HAS_PBD", sr.ref]
        await pool.done("VM.hard_shutdown", vm.ref)
        await pool.done("PBD.unplug", here.ref)
        refused = await pool.refused("VM.start_on", vm.ref, host.ref, False, False)
        assert refused == ["VM_REQUIRES_SR", vm.ref, sr.ref]
        for pbd in pbds:
            await pool.done("PBD.unplug", pbd.ref)
        assert await pool.refused("SR.scan", sr.ref) == ["SR_HAS_NO_PBDS", sr.ref]
        await pool.done("SR.forget", sr.ref)
        assert not pool.db.find("VDI", vbd["VDI"])

    pretend(scenario)


def test_an_sr_is_made_for_one_host_or_for_all(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        host = pool.one("host", "host-2")
        rest: tuple[Any, ...] = ({}, 0, "local", "", "lvm", "user")
        refused = await pool.refused("SR.create", host.ref, *rest, False)
        assert refused == ["SR_UNKNOWN_DRIVER", "lvm"]
        rest = ({}, 0, "new", "", "nfs", "user")
        local = pool.db.get("SR", await pool.done("SR.create", host.ref, *rest, False))
        shared = pool.db.get("SR", await pool.done("SR.create", host.ref, *rest, True))

        assert [p["host"] for p in pool.db.rows("PBD", local["PBDs"])] == [host.ref]
        assert len(shared["PBDs"]) == len(pool.db.all("host"))
        refused = await pool.refused("SR.destroy", shared.ref)
        assert refused == ["SR_HAS_MULTIPLE_PBDS", shared.ref]
        record = {"SR": local.ref, "virtual_size": 1, "type": "user", "sharable": False}
        record |= {"read_only": False, "other_config": {}}
        disk = await pool.done("VDI.create", record)
        assert await pool.refused("SR.destroy", local.ref) == ["SR_NOT_EMPTY"]
        await pool.done("VDI.destroy", disk)
        await pool.done("SR.destroy", local.ref)
        assert not pool.db.find("SR", local.ref)

    pretend(scenario)


def test_a_host_is_declared_dead_when_it_is(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-3")
        await pool.done("VM.start_on", vm.ref, host.ref, False, True)
        assert await pool.refused("host.declare_dead", host.ref) == ["HOST_IS_LIVE", host.ref]
        pool.world.kill_host(host)
        await pool.done("host.declare_dead", host.ref)
        assert vm["power_state"] == "Halted"
        assert await pool.refused("host.enable", host.ref) == ["HOST_OFFLINE", host.ref]

    pretend(scenario)


def test_an_operation_can_be_asked_about(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.call("VM.assert_operation_valid", vm.ref, "start")
        refused = await pool.refused("VM.assert_operation_valid", vm.ref, "pause")
        assert refused[0] == "OPERATION_NOT_ALLOWED"
        await pool.call("VM.add_to_blocked_operations", vm.ref, "start", "MINE")
        refused = await pool.refused("VM.assert_operation_valid", vm.ref, "start")
        assert refused == ["OPERATION_BLOCKED", vm.ref, "MINE"]
        refused = await pool.refused("VM.start", vm.ref, False, False)
        assert refused == ["OPERATION_BLOCKED", vm.ref, "MINE"]
        await pool.call("VM.set_is_default_template", vm.ref, True)
        assert await pool.refused("VM.destroy", vm.ref) == [
            "VM_CANNOT_DELETE_DEFAULT_TEMPLATE",
            vm.ref,
        ]

    pretend(scenario)
