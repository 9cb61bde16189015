"""What a host does not reach: storage that it is not connected to, networks that end elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.devices import disk, vbd, vif
from tests.support.pretended import assert_whole

Pretend = Callable[..., None]


async def running(pool: Any) -> Any:
    """A VM that runs on host-2, from a disk on sr-1."""
    vm = await pool.vm()
    await pool.call("VM.start_on", vm.ref, pool.one("host", "host-2").ref, False, True)
    return vm


def pbd(pool: Any, sr: str, host: str) -> Any:
    wanted = pool.one("host", host).ref
    rows = pool.db.rows("PBD", pool.one("SR", sr)["PBDs"])
    return next(row for row in rows if row["host"] == wanted)


def test_a_disk_is_plugged_where_its_storage_is(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await running(pool)
        sr = pool.one("SR", "sr-2").ref
        far = await disk(pool, SR=sr)
        device = pool.db.get("VBD", await pool.call("VBD.create", vbd(vm, far)))
        there = pbd(pool, "sr-2", "host-2")
        await pool.call("PBD.unplug", there.ref)

        refused = await pool.refused("VBD.plug", device.ref)
        assert refused == ["SR_NOT_ATTACHED", sr]
        assert not device["currently_attached"]
        assert not device["current_operations"]

        await pool.call("PBD.plug", there.ref)
        await pool.call("VBD.plug", device.ref)
        assert device["currently_attached"]
        assert_whole(pool.db)

    pretend(scenario)


@pytest.mark.parametrize("dead", [1, 3, 4])
def test_a_disk_is_worked_on_by_a_host_that_lives(pretend: Pretend, dead: int) -> None:
    async def scenario(pool: Any) -> None:
        vdi, sr = await disk(pool), pool.one("SR", "sr-1")
        for number in range(4, 4 - dead, -1):
            pool.world.kill_host(pool.one("host", f"host-{number}"))

        if dead < len(pool.db.all("host")):
            await pool.call("VDI.snapshot", vdi, {})
            await pool.call("VDI.copy", vdi, sr.ref)
        else:
            offline = ["HOST_OFFLINE", pool.one("host", "host-1").ref]
            assert await pool.refused("VDI.snapshot", vdi, {}) == offline
            assert await pool.refused("VDI.copy", vdi, sr.ref) == offline
            assert await pool.refused("SR.scan", sr.ref) == offline

    pretend(scenario)


def test_storage_of_one_host_is_out_of_reach_when_that_dies(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        first, second, host = await disk(pool), await disk(pool), pool.one("host", "host-1")
        for number in (2, 3, 4):
            await pool.call("PBD.unplug", pbd(pool, "sr-1", f"host-{number}").ref)
        await pool.call("VDI.destroy", first)
        pool.world.kill_host(host)

        assert await pool.refused("VDI.destroy", second) == ["HOST_OFFLINE", host.ref]
        assert pool.db.find("VDI", second)

    pretend(scenario)


def test_where_a_network_has_no_interface_its_bridge_is_made_all_the_same(
    pretend: Pretend,
) -> None:
    """As XAPI does: only a start asks whether the host has an interface on the network."""

    async def scenario(pool: Any) -> None:
        vm = await running(pool)
        host = pool.one("host", "host-2")
        guest = pool.one("network", "guest")
        (here,) = (p for p in pool.db.rows("PIF", guest["PIFs"]) if p["host"] == host.ref)
        network = await pool.call("network.create", {"other_config": {}})
        elsewhere = next(p for p in pool.db.rows("PIF", guest["PIFs"]) if p is not here)
        await pool.call("VLAN.create", elsewhere.ref, 7, network)
        device = pool.db.get("VIF", await pool.call("VIF.create", vif(vm, network, device="3")))

        await pool.call("network.attach", network, host.ref)
        await pool.call("VIF.plug", device.ref)
        assert device["currently_attached"]
        await pool.call("VM.hard_shutdown", vm.ref)
        refused = await pool.refused("VM.start_on", vm.ref, host.ref, False, True)
        assert refused == ["VM_REQUIRES_NETWORK", vm.ref, network]

    pretend(scenario)
