"""What several of the VM's acts ask and do: power states, marks, and placement checks."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from simulator.behaviour import gpu
from simulator.errors import ApiError
from simulator.locks import exclude
from simulator.memory import is_hvm, needed_by
from simulator.values import NULL, digits

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.db import Row

#: operations on one VM that may run beside each other
COPYING: Final = frozenset({"clone", "copy", "export", "create_template"})
#: the key of the platform that lets a VM run VMs itself
NESTS: Final = "nested-virt"


def assert_power(vm: Row, *allowed: str) -> None:
    if vm["power_state"] not in allowed:
        wanted = ", ".join(state.lower() for state in allowed)
        raise ApiError("VM_BAD_POWER_STATE", vm.ref, wanted, vm["power_state"].lower())


def assert_may(
    call: Call, vm: Row, operation: str, *power: str, beside: Collection[str] = ()
) -> None:
    """The checks that every operation on a VM begins with, in XAPI's order."""
    call.db.get("VM", vm.ref)
    if operation in vm["blocked_operations"]:
        raise ApiError("OPERATION_BLOCKED", vm.ref, vm["blocked_operations"][operation])
    if power:
        assert_power(vm, *power)
    exclude(vm, beside=beside)


def assert_no_template(vm: Row, operation: str) -> None:
    if vm["is_a_snapshot"]:  # which is a template as well
        raise ApiError("VM_IS_SNAPSHOT", vm.ref, operation)
    if vm["is_a_template"]:
        raise ApiError("VM_IS_TEMPLATE", vm.ref, operation)
    if vm["is_control_domain"]:
        raise ApiError("OPERATION_NOT_ALLOWED", "Operation not allowed on a control domain")


# -- where a VM can run


def assert_can_boot_here(call: Call, vm: Row, host: Row, *, memory: bool = True) -> None:
    """The checks of placement, in XAPI's order; the first that fails is the reason."""
    _assert_settings(vm)
    if not is_live(call, host):
        raise ApiError("HOST_NOT_LIVE")
    if not host["enabled"]:
        raise ApiError("HOST_DISABLED", host.ref)
    if vm["hardware_platform_version"] not in host["virtual_hardware_platform_versions"]:
        code = "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION"
        versions = "; ".join(map(str, host["virtual_hardware_platform_versions"]))
        raise ApiError(
            code, host.ref, f"[ {versions} ]", vm.ref, str(vm["hardware_platform_version"])
        )
    _assert_storage(call, vm, host)
    _assert_networks(call, vm, host)
    gpu.assert_gpus(call, vm, host)
    if is_hvm(vm) and not any("hvm" in one for one in host["capabilities"]):
        raise ApiError("VM_HVM_REQUIRED", vm.ref)
    if memory:
        _assert_memory(call, vm, host)
    _assert_processors(vm, host)


def is_live(call: Call, host: Row) -> bool:
    metrics = call.db.find("host_metrics", host["metrics"])
    return metrics is not None and metrics["live"] is True


_RESTRICTIONS: Final = {
    "DMC": "restrict_dmc",
    "GPU": "restrict_gpu",
    "Guest_ip_setting": "restrict_guest_ip_setting",
    "Nested_virt": "restrict_nested_virt",
    "VIF_locking": "restrict_vif_locking",
}


def is_licensed(call: Call, feature: str) -> bool:
    return bool(call.db.only("pool")["restrictions"].get(_RESTRICTIONS[feature]) != "true")


def assert_licensed(call: Call, feature: str) -> None:
    if not is_licensed(call, feature):
        raise ApiError("LICENCE_RESTRICTION", feature)


def assert_feature(call: Call, vm: Row, feature: str) -> None:
    """What the guest's tools have said that they can do."""
    guest = call.db.find("VM_guest_metrics", vm["guest_metrics"])
    if guest is None or guest["other"].get(feature) != "1":
        raise ApiError("VM_LACKS_FEATURE", vm.ref)


def assert_nesting(call: Call, vm: Row) -> None:
    """A VM that is to run VMs itself says so clearly, and the licence allows it."""
    said = vm["platform"].get(NESTS, "false")
    if said.lower() not in {"true", "1", "false", "0"}:
        raise ApiError("INVALID_VALUE", f"platform:{NESTS}", said)
    if is_on(vm, NESTS):
        assert_licensed(call, "Nested_virt")


def is_on(vm: Row, key: str) -> bool:
    """Whether a key of the platform counts as true."""
    return vm["platform"].get(key, "").lower() in {"true", "1"}


def assert_live(call: Call, host: Row) -> None:
    """Whatever a host is to do itself is forwarded to it."""
    if not is_live(call, host):
        raise ApiError("HOST_OFFLINE", host.ref)


def _assert_settings(vm: Row) -> None:
    at_startup, most = vm["VCPUs_at_startup"], vm["VCPUs_max"]
    if not 0 < at_startup <= most:
        rule = "VCPU values must satisfy: 0 < VCPUs_at_startup ≤ VCPUs_max"
        raise ApiError("INVALID_VALUE", rule, str(at_startup))
    _assert_sockets(vm)
    if any(vm[f"memory_{kind}_min"] > vm[f"memory_{kind}_max"] for kind in ("static", "dynamic")):
        raise ApiError("MEMORY_CONSTRAINT_VIOLATION")
    assert_multiplier(vm["HVM_shadow_multiplier"], "HVM_shadow_multiplier")
    crash = vm["actions_after_crash"]
    if crash == "rename_restart":
        raise _unsupported(crash, "the domain would be left behind")
    if is_hvm(vm) and crash.startswith("coredump_"):
        raise _unsupported(crash, "only a PV guest's memory can be dumped")


def _unsupported(crash: str, why: str) -> ApiError:
    return ApiError("VALUE_NOT_SUPPORTED", "VM.actions_after_crash", crash, why)


def _assert_sockets(vm: Row) -> None:
    cores = vm["platform"].get("cores-per-socket", "1")
    number = digits(cores)
    if not number:
        raise ApiError("INVALID_VALUE", "platform:cores-per-socket", cores)
    if vm["VCPUs_max"] % number:
        raise ApiError("VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE", str(vm["VCPUs_max"]), cores)


def assert_multiplier(value: float, named: str = "multiplier") -> None:
    if not value >= 1:
        raise ApiError("INVALID_VALUE", named, str(value))


def _assert_storage(call: Call, vm: Row, host: Row) -> None:
    seen = {pbd["SR"] for pbd in call.db.rows("PBD", host["PBDs"]) if pbd["currently_attached"]}
    vdis = [vbd["VDI"] for vbd in call.db.rows("VBD", vm["VBDs"]) if not vbd["empty"]]
    for vdi in call.db.rows("VDI", vdis):
        if vdi["SR"] not in seen:
            raise ApiError("VM_REQUIRES_SR", vm.ref, vdi["SR"])


def _assert_networks(call: Call, vm: Row, host: Row) -> None:
    for vif in call.db.rows("VIF", vm["VIFs"]):
        network = call.db.find("network", vif["network"])
        if network is None:
            continue
        pifs = call.db.rows("PIF", network["PIFs"])
        here = [pif for pif in pifs if pif["host"] == host.ref]
        if (pifs and not here) or (not pifs and not _is_free_to_go(call, vm, network, host)):
            raise ApiError("VM_REQUIRES_NETWORK", vm.ref, network.ref)
        if any(pif["bond_slave_of"] != NULL for pif in here):
            raise ApiError("HOST_CANNOT_ATTACH_NETWORK", host.ref, network.ref)


def _is_free_to_go(call: Call, vm: Row, network: Row, host: Row) -> bool:
    """A network without PIFs lies within one host, once a VM that runs has pinned it there."""
    if network["other_config"].get("assume_network_is_shared") == "true":
        return True
    if network["other_config"].get("is_host_internal_management_network") == "true":
        return True
    pinned = {NULL}
    for vif in call.db.rows("VIF", network["VIFs"]):
        user = call.db.get("VM", vif["VM"])
        if user is not vm:
            pinned.add(user["scheduled_to_be_resident_on"])
            if vif["currently_attached"]:
                pinned.add(user["resident_on"])
    return pinned <= {NULL, host.ref}


def _assert_memory(call: Call, vm: Row, host: Row) -> None:
    needed, free = needed_by(vm), call.world.memory.free(host, besides=vm.ref)
    if needed > free:
        raise ApiError("HOST_NOT_ENOUGH_FREE_MEMORY", str(needed), str(free))


def _assert_processors(vm: Row, host: Row) -> None:
    processors = int(host["cpu_info"].get("cpu_count", "0")) or len(host["host_CPUs"])
    if vm["VCPUs_max"] > processors and not is_on(vm, "vcpu-unrestricted"):
        raise ApiError("HOST_NOT_ENOUGH_PCPUS", str(vm["VCPUs_max"]), str(processors))


def possible_hosts(call: Call, vm: Row, *, memory: bool = True) -> list[Row]:
    hosts = []
    for host in call.db.all("host"):
        try:
            assert_can_boot_here(call, vm, host, memory=memory)
        except ApiError:
            continue
        hosts.append(host)
    return hosts
