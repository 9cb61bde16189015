"""What may happen to a VM, its disks and networks while a device is made or attached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from simulator.behaviour.vif import mac_for
from tests.support.devices import disk, vbd, vif

Pretend = Callable[..., None]


def test_a_vm_may_have_every_device_and_no_more(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, vdi = await pool.vm(), await disk(pool)
        for _ in range(254):
            await pool.call("VBD.create", vbd(vm, vdi))
        assert await pool.refused("VBD.create", vbd(vm, vdi)) == ["INVALID_DEVICE", "autodetect"]

    pretend(scenario)


def test_a_device_beyond_the_last_mac_has_that(pretend: Pretend) -> None:
    """An interface may have any number, and a clone of it is made as fast as of any other."""

    async def scenario(pool: Any) -> None:
        vm, network = await pool.vm(), pool.one("network", "guest").ref
        made = await pool.call("VIF.create", vif(vm, network, device="999999"))
        ref = await pool.done("VM.clone", vm.ref, "copy")
        copy = pool.db.get("VM", ref)
        for row, owner in ((pool.db.get("VIF", made), vm), (_last_vif(pool, copy), copy)):
            assert row["MAC"] == mac_for(owner["other_config"]["mac_seed"], 255)

    pretend(scenario)


def _last_vif(pool: Any, vm: Any) -> Any:
    return pool.db.rows("VIF", vm["VIFs"])[-1]


def test_what_goes_while_a_device_is_made_is_missed(pretend_at_length: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, vdi = await pool.vm(), await disk(pool)
        network = await pool.call("network.create", {"other_config": {}})
        pool.world.latency.set({"VBD.create": 60, "VIF.create": 60})
        calls = [
            await pool.call("Async.VBD.create", vbd(vm, vdi)),
            await pool.call("Async.VIF.create", vif(vm, network)),
        ]
        await asyncio.sleep(1)
        await pool.call("VDI.destroy", vdi)
        await pool.call("network.destroy", network)
        await asyncio.sleep(60)

        errors = [pool.db.get("task", task)["error_info"] for task in calls]
        assert errors == [["HANDLE_INVALID", "VDI", vdi], ["HANDLE_INVALID", "network", network]]

    pretend_at_length(scenario)


@pytest.mark.parametrize(
    ("device", "code"), [("0", "DEVICE_ALREADY_EXISTS"), ("nowhere", "INVALID_DEVICE")]
)
def test_the_disks_of_a_template_are_checked_as_all_are(
    pretend: Pretend, device: str, code: str
) -> None:
    async def scenario(pool: Any) -> None:
        vm = pool.db.get("VM", await pool.done("VM.clone", pool.one("VM", "debian-12").ref, "web"))
        sr = pool.one("SR", "sr-1").uuid
        xml = f'<provision><disk device="{device}" size="1073741824" sr="{sr}"/></provision>'
        await pool.call("VM.add_to_other_config", vm.ref, "disks", xml)
        assert await pool.refused("VM.provision", vm.ref) == [code, device]

    pretend(scenario)
