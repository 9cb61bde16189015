"""Whether what a request says of the machine suits the template that it names. Nothing is sent."""

from collections.abc import Mapping
from typing import Any

from tasks import lookup
from tasks.shape import DEVICE_MODEL
from xenlaunch.errors import Refused
from xenlaunch.fields import show_size
from xenlaunch.machine import nested_key
from xenlaunch.model import LaunchRequest

ONLY_HVM = ("firmware", "secure_boot", "vtpm", "boot_order", "nested_virtualisation", "gpu")
ONLY_PV = ("pv_args", "pv_kernel", "pv_ramdisk", "pv_bootloader")
NO_BOOT = (("bios", "qemu-upstream-uefi"), ("uefi", "qemu-trad"))
"""Firmwares with device models that XAPI starts no VM with."""
NESTS = nested_key(is_8_2=False)
"""The key of ``platform`` at which XAPI looks when a VM starts; the other one it leaves to Xen."""
ON, OFF = frozenset({"true", "1"}), frozenset({"false", "0"})


def check_machine(
    request: LaunchRequest,
    template: Mapping[str, Any],
    *,
    is_8_2: bool = False,
    has_ha: bool = False,
) -> None:
    """Raise `Refused` with the field that the template, or a pool of this kind, cannot have."""
    check_kind(request, template)
    check_firmware(request, template)
    check_tpm(request, template, is_8_2=is_8_2, has_ha=has_ha)
    check_nesting(request, template, is_8_2=is_8_2)
    check_cpus(request, template)
    check_sockets(request, template)
    check_memory(request, template, is_8_2=is_8_2)
    check_crash(request, template)


def check_kind(request: LaunchRequest, template: Mapping[str, Any]) -> None:
    name, pv = template["name_label"], lookup.is_pv(template)
    code, fields = ("HVM_FIELD_ON_PV", ONLY_HVM) if pv else ("PV_ARGS_ON_HVM", ONLY_PV)
    for field in fields:
        if getattr(request, field):
            kind = "paravirtualised" if pv else "as HVM"
            sentence = f"The template {name!r} boots {kind}, where {field} has no meaning."
            raise Refused(code, [name, field], sentence)


def check_firmware(request: LaunchRequest, template: Mapping[str, Any]) -> None:
    firmware = request.firmware or template["HVM_boot_params"].get("firmware", "bios")
    model = request.platform.get(DEVICE_MODEL, "")
    if (firmware, model) in NO_BOOT:
        raise Refused(
            "VALUE_NOT_SUPPORTED",
            ["platform", model],
            f"The device model {model} does not boot with {firmware}, and a VM of the template "
            f"{template['name_label']!r} would have both: leave it out of platform, or say which "
            "firmware.",
        )
    if (request.secure_boot or request.vtpm) and firmware != "uefi":
        name = template["name_label"]
        raise Refused(
            "FIRMWARE_NOT_UEFI",
            [name],
            f"The template {name!r} boots with bios, and secure_boot and vtpm need uefi: "
            "ask for firmware: uefi.",
        )


def check_tpm(
    request: LaunchRequest, template: Mapping[str, Any], *, is_8_2: bool, has_ha: bool
) -> None:
    blocks = "create_vtpm" in request.blocked_operations
    if is_8_2 and (request.vtpm or blocks):
        field = "vtpm" if request.vtpm else "create_vtpm in blocked_operations"
        raise Refused(
            "VTPM_UNKNOWN",
            [template["name_label"]],
            f"This pool is of the 8.2 generation, which has no virtual TPMs: leave {field} out, "
            "or name another pool.",
        )
    if request.vtpm and has_ha:
        raise Refused(
            "VTPM_BESIDE_HA",
            [template["name_label"]],
            "This pool has high availability enabled, beside which XAPI makes no virtual TPM: "
            "leave vtpm out, or name another pool.",
        )


def check_nesting(request: LaunchRequest, template: Mapping[str, Any], *, is_8_2: bool) -> None:
    """XAPI looks when the VM starts, and takes no other word than these."""
    said = platform_of(request, template, is_8_2=is_8_2).get(NESTS)
    if said is not None and said.lower() not in ON | OFF:
        raise Refused(
            "INVALID_VALUE",
            [f"platform:{NESTS}", said],
            f"The platform of a VM of the template {template['name_label']!r} would have "
            f"{NESTS}: {said}, with which it does not start: say true or false.",
        )


def check_cpus(request: LaunchRequest, template: Mapping[str, Any]) -> None:
    name, most = template["name_label"], most_cpus(request, template)
    now = request.vcpus or int(template["VCPUs_at_startup"])
    if now > most:
        raise Refused(
            "VCPUS_ABOVE_MAX",
            [str(now), str(most)],
            f"The template {name!r} starts with {now} vCPUs, and vcpus_max is {most}: "
            "give vcpus as well.",
        )


def most_cpus(request: LaunchRequest, template: Mapping[str, Any]) -> int:
    return request.vcpus_max or request.vcpus or int(template["VCPUs_max"])


def check_sockets(request: LaunchRequest, template: Mapping[str, Any]) -> None:
    """What the request says of sockets, or else the template: XAPI looks when the VM starts."""
    cores = platform_of(request, template).get("cores-per-socket")
    most = most_cpus(request, template)
    if cores is not None and (int_of(cores) < 1 or most % int_of(cores)):
        raise Refused(
            "CORES_DO_NOT_DIVIDE",
            [cores, str(most)],
            f"{most} vCPUs of a VM of the template {template['name_label']!r} do not make whole "
            f"sockets of {cores} cores: choose another number, or give cores_per_socket.",
        )


def platform_of(
    request: LaunchRequest, template: Mapping[str, Any], *, is_8_2: bool = False
) -> dict[str, str]:
    """What the VM's ``platform`` will say; a template that is missing says nothing."""
    return {**template.get("platform", {}), **request.platform_wanted(is_8_2=is_8_2)}


def is_on(platform: Mapping[str, str], key: str) -> bool:
    """Whether XAPI takes a key of ``platform`` for true."""
    return platform.get(key, "").lower() in ON


def int_of(text: str) -> int:
    """A number of the platform, or 0 where it is none."""
    return int(text) if text.isascii() and text.isdigit() else 0


def check_memory(request: LaunchRequest, template: Mapping[str, Any], *, is_8_2: bool) -> None:
    """XAPI keeps a VM from ballooning that nests others: so neither is made of the other's VM.

    What the template has of both is left to the pool, as nothing is changed in it.
    """
    nests = request.platform_wanted(is_8_2=is_8_2).get(nested_key(is_8_2=is_8_2))
    if nests is None and request.memory is None:
        return
    platform = platform_of(request, template, is_8_2=is_8_2)
    least = request.least_memory or int(template["memory_dynamic_min"])
    most = request.most_memory or int(template["memory_static_max"])
    if is_on(platform, nested_key(is_8_2=is_8_2)) and least < most:
        name = template["name_label"]
        raise Refused(
            "MEMORY_NOT_FIXED",
            [name, str(least), str(most)],
            f"A VM of the template {name!r} would run virtual machines itself, for which its "
            f"memory must be fixed: between {show_size(least)} and {show_size(most)} is a range. "
            "Give memory as one size.",
        )


def check_crash(request: LaunchRequest, template: Mapping[str, Any]) -> None:
    """XAPI takes these values, and then does not start the VM."""
    wanted, dumps = request.after_crash, request.after_crash.startswith("coredump")
    if wanted == "rename_restart" or (dumps and not lookup.is_pv(template)):
        raise Refused(
            "VALUE_NOT_SUPPORTED",
            ["actions_after_crash", wanted],
            f"A VM of the template {template['name_label']!r} does not start with after_crash: "
            f"{wanted}.",
        )
