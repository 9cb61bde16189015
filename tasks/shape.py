"""What a clone still has to become: the calls that make the machine what was asked for.

Pure: from the request and the record of the clone (or, for `plan`, of the template) to the calls,
in an order that XAPI accepts. A call that would change nothing is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tasks import lookup
from tasks.cpu import vcpu_params
from xenlaunch import names
from xenlaunch.model import LaunchRequest

DEVICE_MODEL: Final = "device-model"
DEVICE_MODELS: Final = {"bios": "qemu-upstream-compat", "uefi": "qemu-upstream-uefi"}
"""What XAPI chooses for a firmware."""


@dataclass(frozen=True)
class Change:
    """One call on the VM, by its key within the launch; ``args`` come after the VM's ref."""

    key: str
    method: str
    args: tuple[Any, ...]


def changes(
    request: LaunchRequest, record: lookup.Row, speed: int, *, is_8_2: bool = False
) -> Iterator[Change]:
    """The calls for all that the record does not say yet; ``speed`` is the host's, in MHz."""
    set_fields = list(fields(request, record, is_8_2=is_8_2))
    # A VM that nests others may have a range of memory once it does so no more.
    first = set_fields if request.nested_virtualisation is False else []
    yield from first
    yield from memory(request)
    yield from cpus(request, record, speed)
    yield from (change for change in set_fields if change not in first)
    yield from other_config(request, record)
    if request.vtpm and not record.get("VTPMs"):
        yield Change("vtpm", "VTPM.create", (False,))


def memory(request: LaunchRequest) -> Iterator[Change]:
    """One call, not four: each of four would be checked against the other three."""
    least, most = request.least_memory, request.most_memory
    if least is not None:
        yield Change("memory", "VM.set_memory_limits", (least, most, least, most))


def cpus(request: LaunchRequest, record: lookup.Row, speed: int) -> Iterator[Change]:
    for field, count in cpu_changes(request.vcpus, request.vcpus_max, record):
        yield Change(field, f"VM.set_{field}", (count,))
    params = cpu_params(request, record, speed)
    if params:
        yield Change("VCPUs_params", "VM.set_VCPUs_params", ({**record["VCPUs_params"], **params},))


def cpu_params(request: LaunchRequest, record: lookup.Row, speed: int) -> dict[str, str]:
    """The share of the processors, given plainly or reckoned from a speed."""
    if request.cpu_speed is not None:
        count = request.vcpus or int(record["VCPUs_at_startup"])
        limited, formula = request.limit_cpu_use, request.cpu_formula
        return vcpu_params(request.cpu_speed, speed, count, limited=limited, formula=formula)
    plain = {"weight": request.cpu_weight, "cap": request.cpu_cap}
    return {key: str(value) for key, value in plain.items() if value is not None}


def cpu_changes(
    wanted: int | None, most: int | None, record: lookup.Row
) -> Iterator[tuple[str, int]]:
    """The fields to set for so many CPUs, in an order that XAPI accepts.

    It wants 1 <= at start-up <= max after every call: growing, the maximum goes first.
    """
    most = most or wanted or int(record["VCPUs_max"])
    asked = {"VCPUs_max": most, "VCPUs_at_startup": wanted or int(record["VCPUs_at_startup"])}
    order = sorted(asked, reverse=most >= int(record["VCPUs_max"]))
    for field in order:
        if int(record[field]) != asked[field]:
            yield field, asked[field]


def fields(request: LaunchRequest, record: lookup.Row, *, is_8_2: bool) -> Iterator[Change]:
    """The fields that are set whole, where the record says something else."""
    for field, wanted in wished(request, record, is_8_2=is_8_2).items():
        if record[field] != wanted:
            yield Change(field, f"VM.set_{field}", (wanted,))


def wished(request: LaunchRequest, record: lookup.Row, *, is_8_2: bool) -> dict[str, Any]:
    """What the fields of the VM's record are to say, as far as the request has a word in it."""
    no_ha = request.ha_restart_priority == "none"
    asked: dict[str, Any] = {
        "name_description": request.description,
        "actions_after_crash": request.after_crash,
        "actions_after_shutdown": request.after_shutdown,
        "actions_after_reboot": request.after_reboot,
        "order": number(request.order),
        "start_delay": number(request.start_delay),
        "shutdown_delay": number(request.shutdown_delay),
        "ha_restart_priority": "" if no_ha else request.ha_restart_priority,
        "platform": merged(record, "platform", platform(request, record, is_8_2=is_8_2)),
        **(paravirtualised(request, record) if lookup.is_pv(record) else hvm(request, record)),
    }
    if request.tags:
        asked["tags"] = sorted({*record["tags"], *request.tags})
    return {field: wanted for field, wanted in asked.items() if wanted is not None}


def platform(request: LaunchRequest, record: lookup.Row, *, is_8_2: bool) -> dict[str, str]:
    """What is asked for, with the device model of another firmware than the template's.

    XAPI starts no VM whose model is for the other one. Where a template has none, XAPI chooses.
    """
    wanted, firmware = request.platform_wanted(is_8_2=is_8_2), request.firmware
    has = record["platform"].get(DEVICE_MODEL)
    if firmware is None or has is None or (has == DEVICE_MODELS["uefi"]) == (firmware == "uefi"):
        return wanted
    return {DEVICE_MODEL: DEVICE_MODELS[firmware], **wanted}


def number(value: int | None) -> str | None:
    """XAPI's records say numbers as text."""
    return None if value is None else str(value)


def merged(record: lookup.Row, field: str, wanted: dict[str, str]) -> dict[str, str] | None:
    return {**record[field], **wanted} if wanted else None


def hvm(request: LaunchRequest, record: lookup.Row) -> dict[str, Any]:
    asked = {"order": request.boot_order, "firmware": request.firmware}
    wanted = {key: value for key, value in asked.items() if value is not None}
    return {"HVM_boot_params": merged(record, "HVM_boot_params", wanted)}


def paravirtualised(request: LaunchRequest, record: lookup.Row) -> dict[str, Any]:
    """A PV guest boots what its boot loader finds on its disk, or a kernel where it has none."""
    bootloader = request.pv_bootloader
    if bootloader is None and request.pv_kernel:
        bootloader = ""
    if bootloader is None and not has_way_to_boot(record):
        bootloader = "pygrub"
    return {
        "PV_args": request.pv_args,
        "PV_kernel": request.pv_kernel,
        "PV_ramdisk": request.pv_ramdisk,
        "PV_bootloader": bootloader,
    }


def has_way_to_boot(record: lookup.Row) -> bool:
    return bool(record["PV_bootloader"] or record["PV_kernel"])


def other_config(request: LaunchRequest, record: lookup.Row) -> Iterator[Change]:
    """Key by key: the others are XAPI's, the template's and ours."""
    present = record["other_config"]
    group = {names.OTHER_CONFIG_GROUP: request.group.mark} if request.group else {}
    for key, value in sorted({**request.other_config, **group}.items()):
        if present.get(key) == value:
            continue
        if key in present:
            yield Change(f"other_config:-{key}", "VM.remove_from_other_config", (key,))
        yield Change(f"other_config:{key}", "VM.add_to_other_config", (key, value))
