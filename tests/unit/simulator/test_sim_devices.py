"""Disks, interfaces, networks and settings of a VM: what is refused, and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.behaviour.vif import mac_for
from simulator.memory import MIB
from tests.support.devices import NULL, disk, vbd, vif

Pretend = Callable[..., None]
GIB = 2**30


@pytest.mark.parametrize(("device", "mac"), [(0, "aa:05:50:d3:48:0d"), (1, "6a:15:cf:07:f5:e7")])
def test_macs_follow_from_the_seed(device: int, mac: str) -> None:
    assert mac_for("c8d2e1f0-1111-2222-3333-444455556666", device) == mac


def test_a_vbd_is_checked_when_it_is_made(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, vdi = await pool.vm(), await disk(pool)
        readonly = await disk(pool, read_only=True)

        async def error(record: dict[str, Any]) -> list[str]:
            return list(await pool.refused("VBD.create", record))

        without = vbd(vm, vdi)
        del without["userdevice"]
        missing = 'Server_helpers.Dispatcher_FieldNotFound("userdevice")'
        assert await error(without) == ["INTERNAL_ERROR", missing]
        assert await error(vbd(vm, vdi, type="CD")) == ["VBD_CDS_MUST_BE_READONLY"]
        assert await error(vbd(vm, empty=True)) == ["VBD_NOT_REMOVABLE_MEDIA", "in constructor"]
        assert await error(vbd(vm, readonly)) == ["VDI_READONLY", readonly]
        assert await error(vbd(vm, vdi, userdevice="x")) == ["INVALID_DEVICE", "x"]
        assert await error(vbd(vm, vdi, userdevice="xvda")) == ["DEVICE_ALREADY_EXISTS", "xvda"]
        assert await error(vbd(vm, "OpaqueRef:gone")) == ["HANDLE_INVALID", "VDI", "OpaqueRef:gone"]
        made = pool.db.get("VBD", await pool.call("VBD.create", vbd(vm, vdi)))
        assert (made["userdevice"], made["currently_attached"]) == ("1", False)
        assert await pool.call("VM.get_allowed_VBD_devices", vm.ref) == [
            str(n) for n in range(2, 255)
        ]
        # Neither sharing nor the power state is asked about before the disk is attached.
        await pool.call("VBD.create", vbd(vm, vdi))

    pretend(scenario)


def test_plugging_and_drives(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, vdi = await pool.vm(), await disk(pool)
        plugged = await pool.call("VBD.create", vbd(vm, vdi))
        assert (await pool.refused("VBD.plug", plugged))[0] == "VM_BAD_POWER_STATE"
        record = vbd(vm, type="CD", mode="RO", empty=True, userdevice="3")
        drive = await pool.call("VBD.create", record)
        await pool.done("VM.start", vm.ref, False, False)
        assert await pool.refused("VBD.plug", plugged) == ["DEVICE_ALREADY_ATTACHED", plugged]
        await pool.call("VBD.unplug", plugged)
        assert await pool.refused("VBD.unplug", plugged) == ["DEVICE_ALREADY_DETACHED", plugged]
        assert (await pool.refused("VDI.resize", vm_disk(pool, vm), 20 * 2**30))[0] == "VDI_IN_USE"

        tools = pool.one("VDI", "tools.iso").ref
        assert await pool.refused("VBD.eject", drive) == ["VBD_IS_EMPTY", drive]
        await pool.call("VBD.insert", drive, tools)
        assert await pool.refused("VBD.insert", drive, tools) == ["VBD_NOT_EMPTY", drive]
        await pool.call("VBD.eject", drive)
        error = await pool.refused("VBD.destroy", drive)
        assert error[0] == "OPERATION_NOT_ALLOWED"
        assert vm.uuid in error[1]

    pretend(scenario)


def vm_disk(pool: Any, vm: Any) -> str:
    return str(pool.db.rows("VBD", vm["VBDs"])[0]["VDI"])


def _invalid_size(why: str) -> list[str]:
    return ["SR_BACKEND_FAILURE_79", "", f"VDI Invalid size [opterr={why}]", ""]


def test_disks_are_rounded_counted_and_refused_when_there_is_no_space(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        sr = pool.one("SR", "sr-1")
        before, promised = sr["physical_utilisation"], sr["virtual_allocation"]
        vdi = pool.db.get("VDI", await disk(pool, 1))
        assert vdi["virtual_size"] == 2 * MIB
        assert sr["physical_utilisation"] > before
        await pool.call("VDI.resize", vdi.ref, 5 * MIB)
        assert vdi["virtual_size"] == 6 * MIB
        smaller = await pool.refused("VDI.resize", vdi.ref, 4 * MIB)
        assert smaller == _invalid_size("shrinking not allowed")
        larger = await pool.refused("VDI.resize", vdi.ref, 2**41)
        assert larger == _invalid_size("VDI size must be between 1 MB and 2088960 MB")
        clone = await pool.call("VDI.clone", vdi.ref)
        assert sr["virtual_allocation"] == promised + 12 * MIB
        for ref in (clone, vdi.ref):
            await pool.call("VDI.destroy", ref)
        assert (sr["physical_utilisation"], sr["virtual_allocation"]) == (before, promised)

        pool.db.set(sr, "physical_utilisation", sr["physical_size"])
        full = ["SR_BACKEND_FAILURE_44", "", "There is insufficient space", ""]
        template = pool.one("VM", "debian-12").ref
        assert await pool.refused("VM.clone", template, "web") == full
        for pbd in pool.db.rows("PBD", sr["PBDs"]):
            await pool.call("PBD.unplug", pbd.ref)
        assert await pool.refused("VM.clone", template, "web") == ["SR_HAS_NO_PBDS", sr.ref]

    pretend(scenario)


def test_a_vif_is_checked_when_it_is_made(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, network = await pool.vm(template="windows-2022"), pool.one("network", "guest").ref

        async def error(**more: Any) -> list[str]:
            return list(await pool.refused("VIF.create", {**vif(vm, network), **more}))

        assert await error(device="eth1") == ["INVALID_DEVICE", "eth1"]
        assert await error(MAC="no") == ["MAC_INVALID", "no"]
        assert await error(MAC="no", network=NULL) == ["MAC_INVALID", "no"]
        assert await error(device="2", network=NULL) == ["HANDLE_INVALID", "network", NULL]
        assert await error(device="0") == ["DEVICE_ALREADY_EXISTS", "0"]
        made = pool.db.get("VIF", await pool.call("VIF.create", vif(vm, network)))
        assert made["MAC"] == mac_for(vm["other_config"]["mac_seed"], 1)
        assert (made["locking_mode"], made["MAC_autogenerated"]) == ("network_default", True)
        await pool.call("VM.remove_from_other_config", vm.ref, "mac_seed")
        assert await error(device="2") == ["MAC_INVALID", ""]
        assert await pool.call("VM.get_allowed_VIF_devices", vm.ref) == [
            str(n) for n in range(2, 16)
        ]

        await pool.call("VIF.configure_ipv4", made.ref, "Static", "192.0.2.9/24", "192.0.2.1")
        await pool.done("VM.start", vm.ref, False, False)

        def guest() -> Any:
            row = pool.db.find("VM_guest_metrics", vm["guest_metrics"])
            return row and row["networks"]

        networks = await pool.until(guest, "the guest has addresses")
        assert networks["1/ip"] == "192.0.2.9"
        assert (await pool.refused("VIF.destroy", made.ref))[0] == "OPERATION_NOT_ALLOWED"
        await pool.call("VIF.unplug", made.ref)
        await pool.call("VIF.destroy", made.ref)

    pretend(scenario)


async def _refused_bridge(pool: Any, bridge: str) -> list[str]:
    return list(await pool.refused("network.create", {"other_config": {}, "bridge": bridge}))


def test_networks(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        made = [
            pool.db.get(
                "network", await pool.call("network.create", {"other_config": {}, "MTU": 0})
            )
            for _ in range(2)
        ]
        assert [(n["bridge"], n["MTU"], n["managed"]) for n in made] == [
            ("xapi0", 1500, True),
            ("xapi1", 1500, True),
        ]
        await pool.call("network.create", {"other_config": {}, "bridge": "br7"})
        assert await _refused_bridge(pool, "br7") == ["BRIDGE_NAME_EXISTS", "br7"]
        for reserved in ("xapi1", "eth7", "b" * 16):
            assert await _refused_bridge(pool, reserved) == ["INVALID_VALUE", "bridge", reserved]
        vm = await pool.vm()
        dropped = await pool.call("VIF.create", vif(vm, made[0].ref))
        await pool.call("network.destroy", made[0].ref)
        assert pool.db.find("VIF", dropped) is None
        guest = pool.one("network", "guest")
        assert (await pool.refused("network.destroy", guest.ref))[0] == "NETWORK_CONTAINS_PIF"
        internal = pool.one("network", "Host internal management network").ref
        assert await pool.refused("network.destroy", internal) == [
            "CANNOT_DESTROY_SYSTEM_NETWORK",
            internal,
        ]
        await pool.call("network.attach", guest.ref, pool.one("host", "host-1").ref)

    pretend(scenario)


@pytest.mark.parametrize("profile", ["current", "8.2"])
def test_dom0_takes_interfaces_only_in_the_old_generation(pretend: Pretend, profile: str) -> None:
    async def scenario(pool: Any) -> None:
        dom0 = pool.one("VM", "Control domain on host: host-1")
        record = vif(dom0, pool.one("network", "guest").ref, MAC="FE:FF:FF:FF:FF:FF")
        made = await pool.call("VIF.create", record)
        if profile == "8.2":
            await pool.call("VIF.plug", made)
        else:
            assert await pool.refused("VIF.plug", made) == [
                "OPERATION_NOT_ALLOWED",
                "Control domain does not support hotplug",
            ]

    pretend(scenario, profile=profile)


def test_memory_that_may_not_vary_is_pinned(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.call("VM.add_to_platform", vm.ref, "nested-virt", "true")
        loose, pinned = (0, GIB, GIB // 2, GIB), (0, GIB, GIB, GIB)
        assert await pool.refused("VM.set_memory_limits", vm.ref, *loose) == [
            "MEMORY_CONSTRAINT_VIOLATION_MAXPIN",
            "nested virt",
        ]
        await pool.call("VM.set_memory_limits", vm.ref, *pinned)

        before = vm["memory_overhead"]
        wrong = await pool.refused("VM.set_HVM_shadow_multiplier", vm.ref, 0.5)
        assert wrong == ["INVALID_VALUE", "multiplier", "0.5"]
        await pool.call("VM.set_HVM_shadow_multiplier", vm.ref, 4.0)
        assert vm["memory_overhead"] > before

    pretend(scenario)


@pytest.mark.parametrize("on", [False, True])
def test_a_vm_whose_memory_may_vary_where_it_may_not_starts_by_force_alone(
    pretend: Pretend, *, on: bool
) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.call("VM.set_memory_limits", vm.ref, 0, GIB, GIB // 2, GIB)
        await pool.call("VM.add_to_platform", vm.ref, "nested-virt", "true")
        start = (
            ("VM.start_on", vm.ref, pool.one("host", "host-1").ref) if on else ("VM.start", vm.ref)
        )

        said = await pool.refused(*start, False, False)
        assert said == ["MEMORY_CONSTRAINT_VIOLATION_MAXPIN", "nested virt"]
        await pool.done(*start, False, True)
        assert vm["power_state"] == "Running"

    pretend(scenario)


def test_memory_and_processors_keep_their_order(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        wrong = await pool.refused("VM.set_memory_limits", vm.ref, 2, 4, 3, 1)
        assert wrong == ["MEMORY_CONSTRAINT_VIOLATION_ORDER"]
        before = vm["memory_overhead"]
        await pool.done("VM.set_memory_limits", vm.ref, 2**30, 2**34, 2**33, 2**34)
        assert (vm["memory_target"], vm["memory_overhead"] > before) == (2**33, True)
        assert await pool.refused("VM.set_memory", vm.ref, 2**29) == [
            "MEMORY_CONSTRAINT_VIOLATION_ORDER"
        ]
        await pool.done("VM.set_memory", vm.ref, 2**31)
        assert (vm["memory_static_min"], vm["memory_static_max"]) == (2**30, 2**31)

        rule = "VCPU values must satisfy: 0 < VCPUs_at_startup ≤ VCPUs_max"
        assert await pool.refused("VM.set_VCPUs_at_startup", vm.ref, 4) == [
            "INVALID_VALUE",
            rule,
            "4",
        ]
        await pool.call("VM.set_VCPUs_max", vm.ref, 4)
        await pool.call("VM.set_VCPUs_at_startup", vm.ref, 4)
        assert await pool.refused("VM.set_VCPUs_max", vm.ref, 2) == ["INVALID_VALUE", rule, "2"]
        await pool.done("VM.start", vm.ref, False, False)
        assert (await pool.refused("VM.set_VCPUs_max", vm.ref, 8))[0] == "VM_BAD_POWER_STATE"

    pretend(scenario)
