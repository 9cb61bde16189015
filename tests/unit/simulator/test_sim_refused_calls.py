"""One call for each error that a pool answers to a call which does not suit its state.

Each case makes a state, and names the call, its code and all its parameters.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from simulator import plans
from tests.support.devices import disk, vbd, vif

Pretend = Callable[..., None]
Refusal = tuple[list[Any], list[str]]  # method and arguments; code and parameters
Case = Callable[[Any], Awaitable[Refusal]]


async def _running(pool: Any, template: str = "debian-12") -> Any:
    vm = await pool.vm(template=template)
    await pool.done("VM.start", vm.ref, False, False)
    return vm


async def _network(pool: Any, **more: Any) -> str:
    return str(await pool.call("network.create", {"other_config": {}, **more}))


def _start(pool: Any, vm: Any) -> list[Any]:
    return ["VM.start_on", vm.ref, pool.one("host", "host-1").ref, False, True]


# -- what a VM cannot start with


async def dynamic_memory_upside_down(pool: Any) -> Refusal:
    vm = await pool.vm()
    pool.db.update(vm, memory_dynamic_min=vm["memory_static_max"], memory_dynamic_max=2**20)
    return _start(pool, vm), ["MEMORY_CONSTRAINT_VIOLATION"]


async def static_memory_upside_down(pool: Any) -> Refusal:
    vm = await pool.vm()
    pool.db.set(vm, "memory_static_min", vm["memory_static_max"] + 1)
    return _start(pool, vm), ["MEMORY_CONSTRAINT_VIOLATION"]


async def too_little_shadow(pool: Any) -> Refusal:
    vm = await pool.vm()
    pool.db.set(vm, "HVM_shadow_multiplier", 0.5)
    return _start(pool, vm), ["INVALID_VALUE", "HVM_shadow_multiplier", "0.5"]


async def a_crash_that_renames(pool: Any) -> Refusal:
    vm = await pool.vm(template="centos-6-pv")
    pool.db.set(vm, "actions_after_crash", "rename_restart")
    why = "the domain would be left behind"
    said = ["VALUE_NOT_SUPPORTED", "VM.actions_after_crash", "rename_restart", why]
    return _start(pool, vm), said


async def a_crash_that_dumps_hvm(pool: Any) -> Refusal:
    vm = await pool.vm()
    pool.db.set(vm, "actions_after_crash", "coredump_and_destroy")
    why = "only a PV guest's memory can be dumped"
    said = ["VALUE_NOT_SUPPORTED", "VM.actions_after_crash", "coredump_and_destroy", why]
    return _start(pool, vm), said


async def hardware_that_the_host_has_not(pool: Any) -> Refusal:
    vm, host = await pool.vm(), pool.one("host", "host-1")
    pool.db.set(vm, "hardware_platform_version", 3)
    code = "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION"
    return _start(pool, vm), [code, host.ref, "[ 0; 1; 2 ]", vm.ref, "3"]


async def _gpu_vm(pool: Any, kind: str) -> tuple[Any, str, str]:
    """A VM with a GPU, in a pool whose host-1 has none."""
    vm, group = await pool.vm(), pool.db.all("GPU_group")[0].ref
    (type_,) = (row.ref for row in pool.db.all("VGPU_type") if row["model_name"] == kind)
    await pool.call("VGPU.create", vm.ref, group, "0", {}, type_)
    return vm, group, type_


async def no_whole_gpu(pool: Any) -> Refusal:
    vm, group, _ = await _gpu_vm(pool, "passthrough")
    return _start(pool, vm), ["VM_REQUIRES_GPU", vm.ref, group]


async def no_part_of_a_gpu(pool: Any) -> Refusal:
    vm, group, kind = await _gpu_vm(pool, "Pretended GPU quarter")
    return _start(pool, vm), ["VM_REQUIRES_VGPU", vm.ref, group, kind]


async def a_disk_that_is_nobodys(pool: Any) -> Refusal:
    vm = await pool.vm()
    (device,) = pool.db.rows("VBD", vm["VBDs"])
    pool.db.set(pool.db.get("VDI", device["VDI"]), "managed", False)
    return _start(pool, vm), ["VDI_NOT_MANAGED", device.ref]


async def a_memory_that_is_gone(pool: Any) -> Refusal:
    vm = await pool.vm()
    pool.db.set(vm, "power_state", "Suspended")
    return ["VM.resume", vm.ref, False, False], ["VM_HAS_NO_SUSPEND_VDI", vm.ref]


# -- drives and disks


async def a_read_only_disk_for_hvm(pool: Any) -> Refusal:
    vm = await _running(pool)
    device = await pool.call("VBD.create", vbd(vm, await disk(pool), mode="RO"))
    return ["VBD.plug", device], ["DISK_VBD_MUST_BE_READWRITE_FOR_HVM", device]


async def a_disk_that_stays(pool: Any) -> Refusal:
    """It is looked at first: the VM does not even run."""
    vm = await pool.vm()
    device = await pool.call("VBD.create", vbd(vm, await disk(pool), unpluggable=False))
    return ["VBD.unplug", device], ["VBD_NOT_UNPLUGGABLE", device]


async def _without_tools(pool: Any) -> tuple[Any, str]:
    """A VM that runs, and a disk that it was started with and does not need."""
    vm = await pool.vm()
    await pool.call("VM.add_to_other_config", vm.ref, "pretended-guest", "no-tools")
    device = await pool.call("VBD.create", vbd(vm, await disk(pool)))
    await pool.done("VM.start", vm.ref, False, False)
    return vm, device


async def an_unplug_without_tools(pool: Any) -> Refusal:
    vm, device = await _without_tools(pool)
    return ["VBD.unplug", device], ["VM_MISSING_PV_DRIVERS", vm.ref]


async def a_plug_without_tools(pool: Any) -> Refusal:
    vm, _ = await _without_tools(pool)
    device = await pool.call("VBD.create", vbd(vm, await disk(pool)))
    return ["VBD.plug", device], ["VM_MISSING_PV_DRIVERS", vm.ref]


async def a_drive_of_hvm_is_not_plugged(pool: Any) -> Refusal:
    vm = await _running(pool)
    device = await pool.call("VBD.create", vbd(vm, type="CD", mode="RO", empty=True))
    said = "HVM CDROMs cannot be hotplugged/unplugged, only inserted or ejected"
    return ["VBD.plug", device], ["OPERATION_NOT_ALLOWED", said]


async def a_disk_of_xapis_own(pool: Any) -> Refusal:
    own = await disk(pool, type="redo_log")
    return ["VBD.create", vbd(await pool.vm(), own)], ["VDI_INCOMPATIBLE_TYPE", own, "Redo log"]


async def a_disk_in_a_drive(pool: Any) -> Refusal:
    data = await disk(pool)
    record = vbd(await pool.vm(), data, type="CD", mode="RO")
    return ["VBD.create", record], ["VDI_IS_NOT_ISO", data, "user"]


async def a_disk_put_into_a_drive(pool: Any) -> Refusal:
    data = await disk(pool)
    record = vbd(await pool.vm(), type="CD", mode="RO", empty=True)
    device = await pool.call("VBD.create", record)
    return ["VBD.insert", device, data], ["VDI_IS_NOT_ISO", data, "user"]


async def a_floppy_of_pv(pool: Any) -> Refusal:
    record = vbd(await pool.vm(template="centos-6-pv"), await disk(pool), type="Floppy")
    return ["VBD.create", record], ["NOT_IMPLEMENTED", "VBD.create: floppy of a PV guest"]


async def a_disk_in_a_library(pool: Any) -> Refusal:
    isos = pool.one("SR", "ISOs").ref
    record = {"SR": isos, "virtual_size": 2**20, "type": "user", "sharable": False}
    record |= {"read_only": False, "other_config": {}}
    return ["VDI.create", record], ["SR_OPERATION_NOT_SUPPORTED", isos]


async def a_clone_in_a_library(pool: Any) -> Refusal:
    tools = pool.one("VDI", "tools.iso")
    return ["VDI.clone", tools.ref], ["SR_OPERATION_NOT_SUPPORTED", tools["SR"]]


async def a_copy_to_a_library(pool: Any) -> Refusal:
    isos = pool.one("SR", "ISOs").ref
    return ["VDI.copy", await disk(pool), isos], ["SR_OPERATION_NOT_SUPPORTED", isos]


# -- connections to storage


def _pbd(pool: Any, sr: Any, **more: Any) -> dict[str, Any]:
    host = pool.one("host", "host-1").ref
    return {"host": host, "SR": sr.ref, "device_config": {}, "other_config": {}, **more}


async def a_second_connection(pool: Any) -> Refusal:
    sr, host = pool.one("SR", "sr-1"), pool.one("host", "host-1")
    (there,) = (pbd.ref for pbd in pool.db.rows("PBD", host["PBDs"]) if pbd["SR"] == sr.ref)
    return ["PBD.create", _pbd(pool, sr)], ["PBD_EXISTS", sr.ref, host.ref, there]


async def a_connection_with_a_key_of_xapis_own(pool: Any) -> Refusal:
    record = _pbd(pool, pool.db.create("SR"), device_config={"SRmaster": "true"})
    why = "This key is for internal use only"
    return ["PBD.create", record], ["VALUE_NOT_SUPPORTED", "SRmaster", "true", why]


async def a_connection_that_is_up(pool: Any) -> Refusal:
    pbd = pool.one("SR", "sr-1")["PBDs"][0]
    return ["PBD.destroy", pbd], ["OPERATION_NOT_ALLOWED", "PBD is currently attached"]


async def a_connection_that_is_used(pool: Any) -> Refusal:
    vm = await _running(pool)
    (device,) = pool.db.rows("VBD", vm["VBDs"])
    sr = pool.db.get("VDI", device["VDI"])["SR"]
    pbds = pool.db.rows("PBD", pool.db.get("host", vm["resident_on"])["PBDs"])
    (pbd,) = (pbd.ref for pbd in pbds if pbd["SR"] == sr)
    return ["PBD.unplug", pbd], ["VDI_IN_USE", device["VDI"]]


async def a_second_host_of_a_local_disk(pool: Any) -> Refusal:
    sr, first = pool.db.create("SR", shared=False), pool.one("host", "host-2").ref
    made = [await pool.call("PBD.create", _pbd(pool, sr, **more)) for more in ({"host": first}, {})]
    await pool.call("PBD.plug", made[0])
    return ["PBD.plug", made[1]], ["SR_NOT_SHARABLE", sr.ref, first]


# -- networks and interfaces


def _guest_pifs(pool: Any) -> list[Any]:
    return list(pool.db.rows("PIF", pool.one("network", "guest")["PIFs"]))


async def a_network_in_use(pool: Any) -> Refusal:
    vm, net = await _running(pool), await _network(pool)
    device = await pool.call("VIF.create", vif(vm, net))
    await pool.call("VIF.plug", device)
    return ["network.destroy", net], ["NETWORK_CONTAINS_VIF", device]


async def trunks_on_a_vlan(pool: Any) -> Refusal:
    vm, net = await pool.vm(), await _network(pool)
    await pool.call("VLAN.create", _guest_pifs(pool)[0].ref, 7, net)
    record = vif(vm, net, trunks=[8])
    return ["VIF.create", record], ["NETWORK_INCOMPATIBLE_WITH_TRUNKS", net]


async def an_address_without_its_length(pool: Any) -> Refusal:
    device = (await pool.vm())["VIFs"][0]
    call = ["VIF.configure_ipv4", device, "Static", "192.0.2.9"]
    return call, ["INVALID_CIDR_ADDRESS_SPECIFIED", "address"]


async def a_gateway_of_the_other_kind(pool: Any) -> Refusal:
    device = (await pool.vm())["VIFs"][0]
    call = ["VIF.configure_ipv6", device, "Static", "2001:db8::9/64", "192.0.2.1"]
    return call, ["INVALID_IP_ADDRESS_SPECIFIED", "gateway"]


async def an_interface_without_a_netmask(pool: Any) -> Refusal:
    call = ["PIF.reconfigure_ip", _guest_pifs(pool)[0].ref, "Static", "192.0.2.7", "", "", ""]
    return call, ["INVALID_IP_ADDRESS_SPECIFIED", "netmask"]


async def a_name_server_that_is_none(pool: Any) -> Refusal:
    said = ["192.0.2.7", "255.255.255.0", "", "192.0.2.1,dns"]
    call = ["PIF.reconfigure_ip", _guest_pifs(pool)[0].ref, "Static", *said]
    return call, ["INVALID_IP_ADDRESS_SPECIFIED", "DNS"]


async def a_vlan_on_what_is_not_xapis(pool: Any) -> Refusal:
    pif = _guest_pifs(pool)[0]
    pool.db.set(pif, "managed", False)
    return ["VLAN.create", pif.ref, 7, await _network(pool)], ["PIF_UNMANAGED", pif.ref]


async def a_bond_of_what_is_not_xapis(pool: Any) -> Refusal:
    members = pool.one("host", "host-1")["PIFs"]
    pool.db.set(pool.db.get("PIF", members[1]), "managed", False)
    return ["Bond.create", await _network(pool), members, ""], ["PIF_UNMANAGED", members[1]]


async def a_bond_of_two_hosts(pool: Any) -> Refusal:
    members = [pif.ref for pif in _guest_pifs(pool)[:2]]
    return ["Bond.create", await _network(pool), members, ""], ["PIF_CANNOT_BOND_CROSS_HOST"]


async def a_bond_with_two_addresses(pool: Any) -> Refusal:
    members = pool.one("host", "host-1")["PIFs"]
    pool.db.set(pool.db.get("PIF", members[1]), "ip_configuration_mode", "DHCP")
    return ["Bond.create", await _network(pool), members, ""], ["PIF_BOND_MORE_THAN_ONE_IP"]


async def a_vlan_under_a_tunnel(pool: Any) -> Refusal:
    pif = _guest_pifs(pool)[0]
    vlan = await pool.call("VLAN.create", pif.ref, 7, await _network(pool))
    over = pool.db.get("PIF", pool.db.get("VLAN", vlan)["untagged_PIF"])
    pool.db.set(over, "ip_configuration_mode", "DHCP")
    await pool.call("tunnel.create", over.ref, await _network(pool))
    return ["VLAN.destroy", vlan], ["PIF_TUNNEL_STILL_EXISTS", over.ref]


# -- all else


async def a_type_of_gpu_that_it_is_not(pool: Any) -> Refusal:
    pgpu, other = pool.db.all("PGPU")[0], pool.db.create("VGPU_type", model_name="other").ref
    call = ["PGPU.set_enabled_VGPU_types", pgpu.ref, [other]]
    return call, ["VGPU_TYPE_NOT_SUPPORTED", other, *pgpu["supported_VGPU_types"]]


async def a_gpu_in_use(pool: Any) -> Refusal:
    vm, group = await pool.vm(), pool.db.all("GPU_group")[0].ref
    await pool.call("VGPU.create", vm.ref, group, "0", {})
    await pool.done("VM.start", vm.ref, False, False)
    (vgpu,) = pool.db.rows("VGPU", vm["VGPUs"])
    return ["PGPU.set_GPU_group", vgpu["resident_on"], group], ["PGPU_IN_USE_BY_VM", vm.ref]


async def a_template_in_an_appliance(pool: Any) -> Refusal:
    vm, shop = await pool.vm(), await pool.call("VM_appliance.create", {"name_label": "shop"})
    pool.db.set(vm, "appliance", shop)
    call = ["VM.set_is_a_template", vm.ref, True]
    return call, ["VM_IS_PART_OF_AN_APPLIANCE", vm.ref, shop]


async def a_checkpoint_that_finds_no_room(pool: Any) -> Refusal:
    vm = await _running(pool)
    await pool.until(lambda: pool.db.find("VM_guest_metrics", vm["guest_metrics"]), "it has tools")
    pool.db.set(pool.db.only("pool"), "suspend_image_SR", "OpaqueRef:NULL")
    return ["VM.checkpoint", vm.ref, "then"], ["VM_CHECKPOINT_SUSPEND_FAILED", vm.ref]


async def a_console_made_by_hand(pool: Any) -> Refusal:
    record = {"VM": pool.db.all("VM")[0].ref, "other_config": {}}
    return ["console.create", record], ["NOT_IMPLEMENTED", "console.create"]


ON_GPUS = (no_whole_gpu, no_part_of_a_gpu, a_type_of_gpu_that_it_is_not, a_gpu_in_use)
CASES = (
    *(dynamic_memory_upside_down, static_memory_upside_down, too_little_shadow),
    *(a_crash_that_renames, a_crash_that_dumps_hvm, hardware_that_the_host_has_not),
    *(a_disk_that_is_nobodys, a_memory_that_is_gone, a_read_only_disk_for_hvm),
    *(a_disk_that_stays, a_plug_without_tools, an_unplug_without_tools),
    *(a_drive_of_hvm_is_not_plugged, a_disk_of_xapis_own, a_disk_in_a_drive),
    *(a_disk_put_into_a_drive, a_floppy_of_pv, a_disk_in_a_library, a_clone_in_a_library),
    *(a_second_connection, a_connection_with_a_key_of_xapis_own, a_connection_that_is_up),
    *(a_connection_that_is_used, a_second_host_of_a_local_disk),
    *(a_copy_to_a_library, a_network_in_use, trunks_on_a_vlan, an_address_without_its_length),
    *(a_gateway_of_the_other_kind, an_interface_without_a_netmask, a_name_server_that_is_none),
    *(a_vlan_on_what_is_not_xapis, a_bond_of_what_is_not_xapis, a_bond_of_two_hosts),
    *(a_bond_with_two_addresses, a_vlan_under_a_tunnel, a_template_in_an_appliance),
    *(a_checkpoint_that_finds_no_room, a_console_made_by_hand),
)


def _refused(pretend: Pretend, case: Case, **options: Any) -> None:
    async def scenario(pool: Any) -> None:
        (method, *args), expected = await case(pool)

        assert await pool.refused(method, *args) == expected

    pretend(scenario, **options)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_call_that_does_not_suit_is_refused(pretend: Pretend, case: Case) -> None:
    _refused(pretend, case)


@pytest.mark.parametrize("case", ON_GPUS, ids=lambda case: case.__name__)
def test_a_call_about_a_gpu_that_does_not_suit_is_refused(pretend: Pretend, case: Case) -> None:
    _refused(pretend, case, plan=plans.load("gpus"))


def test_the_old_generation_has_no_trusted_platform_modules(pretend: Pretend) -> None:
    async def case(pool: Any) -> Refusal:
        vm = await pool.vm()
        return ["VTPM.create", vm.ref, False], ["NOT_IMPLEMENTED", "VTPM.create"]

    _refused(pretend, case, profile="8.2")
