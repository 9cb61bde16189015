"""Allowed operations follow what happens, and blocked ones are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Pretend = Callable[..., None]


async def allowed(pool: Any, row: Any) -> set[str]:
    await asyncio.sleep(0)  # they are worked out at the loop's next turn
    await asyncio.sleep(0)
    return set(row["allowed_operations"])


def test_a_vm_allows_what_its_state_does(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        template = pool.one("VM", "debian-12")
        assert {"clone", "provision"} <= await allowed(pool, template)
        assert not {"start", "start_on"} & await allowed(pool, template)
        vm = await pool.vm()
        assert {"start", "start_on", "destroy", "snapshot"} <= await allowed(pool, vm)
        await pool.call("VM.add_to_blocked_operations", vm.ref, "destroy", "MINE")
        assert "destroy" not in await allowed(pool, vm)
        assert await pool.refused("VM.destroy", vm.ref) == ["OPERATION_BLOCKED", vm.ref, "MINE"]
        await pool.done("VM.start", vm.ref, False, False)
        assert {"hard_shutdown", "pause"} <= await allowed(pool, vm)
        assert "start" not in await allowed(pool, vm)
        await pool.until(lambda: "suspend" in vm["allowed_operations"], "the guest can suspend")
        await pool.done("VM.pause", vm.ref)
        assert {"unpause", "hard_shutdown"} <= await allowed(pool, vm)
        assert "pause" not in await allowed(pool, vm)

    pretend(scenario)


def test_devices_disks_and_srs_follow_their_vm(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        (vbd,), (vif,) = pool.db.rows("VBD", vm["VBDs"]), pool.db.rows("VIF", vm["VIFs"])
        vdi = pool.db.get("VDI", vbd["VDI"])
        assert await allowed(pool, vbd) == await allowed(pool, vif) == {"attach"}
        assert "destroy" in await allowed(pool, vdi)
        assert {"scan", "vdi_create"} <= await allowed(pool, pool.db.get("SR", vdi["SR"]))
        await pool.done("VM.start", vm.ref, False, False)
        assert "unplug" in await allowed(pool, vbd)
        assert await allowed(pool, vif) == {"unplug"}
        assert "destroy" not in await allowed(pool, vdi)
        assert {"clone", "snapshot"} <= await allowed(pool, vdi)

    pretend(scenario)


def test_what_runs_leaves_room_for_little_else(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        template = pool.one("VM", "debian-12")
        (vbd,) = pool.db.rows("VBD", template["VBDs"])
        vdi = pool.db.get("VDI", vbd["VDI"])
        pool.world.latency.set({"VDI.clone": 30})
        task = await pool.call("Async.VM.clone", template.ref, "web")
        await pool.until(lambda: vdi["current_operations"], "the disk is being cloned")

        assert await allowed(pool, template) == {"clone", "copy", "export"}
        assert await allowed(pool, vdi) == set()
        assert await allowed(pool, pool.db.get("SR", vdi["SR"])) == {"plug"}
        await pool.call("task.cancel", task)
        await pool.ended(task)
        assert "provision" in await allowed(pool, template)
        assert "clone" in await allowed(pool, vdi)

    pretend(scenario)


def test_a_host_that_takes_no_vms_says_so(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        host = pool.one("host", "host-2")
        assert {"vm_start", "evacuate"} <= await allowed(pool, host)
        await pool.call("host.disable", host.ref)
        assert "vm_start" not in await allowed(pool, host)
        assert "enable" in await allowed(pool, host)

    pretend(scenario)


def test_advice_gives_an_event_and_then_rest(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await allowed(pool, vm)
        before = pool.db.generation
        await pool.call("VM.set_tags", vm.ref, ["x"])
        await allowed(pool, vm)

        assert pool.db.generation == before + 1

    pretend(scenario)
