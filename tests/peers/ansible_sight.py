"""What Ansible's `xenserver_guest_info` says of a VM, held against what its case says.

Ansible shows a part of the records, under names of its own. Its answer is put back into XAPI's
names and form, and of the case only what it can show is wanted.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.support.cases import Case, Row, Sight

MIB: Final = 2**20
ALL: Final[Row] = {}
"""Of a field whose whole value is shown."""

VM: Final[Row] = {
    **dict.fromkeys(("name_label", "name_description", "power_state", "is_a_template"), ALL),
    **dict.fromkeys(("VCPUs_max", "memory_dynamic_max", "xenstore_data"), ALL),
    **dict.fromkeys(("platform", "other_config"), ALL),
    "affinity": {"name_label": ALL},
}
DISK: Final[Row] = {
    "userdevice": ALL,
    "VDI": {
        **dict.fromkeys(("name_label", "name_description", "virtual_size"), ALL),
        "SR": {"name_label": ALL},
    },
}
CD: Final[Row] = {"empty": ALL, "VDI": {"name_label": ALL}}
VIF: Final[Row] = {**dict.fromkeys(("device", "MAC", "MTU"), ALL), "network": {"name_label": ALL}}
"""The addresses that a VIF is to have it shows only where the guest says that it heeds them."""


def what_differs(sight: Sight, case: Case, name: str, told: Row) -> Iterator[str]:
    """What Ansible tells of a case's VM otherwise than the case says."""
    found, drives = vm(told), case.vbds or []
    wanted = {"name_label": name, "power_state": "Running", "is_a_template": False}
    wanted |= part(case.vm or {}, VM)
    for field, value in wanted.items():
        if not sight.says(found[field], value, name):
            yield f"{field} is {found[field]!r}"
    disks = [part(drive, DISK) for drive in drives if drive.get("type") != "CD"]
    if case.vbds is not None and not sight.says([disk(one) for one in told["disks"]], disks, name):
        yield f"disks are {told['disks']}"
    cds = [part(drive, CD) for drive in drives if drive.get("type") == "CD"]
    if case.vbds is not None and not is_one_of(sight, cds, cd(told["cdrom"])):
        yield f"cdrom is {told['cdrom']}"
    nics = [part(nic, VIF) for nic in case.vifs or []]
    if case.vifs is not None and not sight.says([vif(one) for one in told["networks"]], nics, name):
        yield f"networks are {told['networks']}"


def is_one_of(sight: Sight, wanted: list[Any], found: Row) -> bool:
    """Of several CD drives Ansible shows the last alone."""
    return any(sight.says(found, one) for one in wanted) if wanted else not found


def part(wanted: Any, shown: Row) -> Any:
    """What is wanted, without the fields that are not shown."""
    if not shown or not isinstance(wanted, Mapping):
        return wanted
    return {key: part(value, shown[key]) for key, value in wanted.items() if key in shown}


def vm(told: Row) -> Row:
    hardware, home = told["hardware"], told["home_server"]
    cores = str(hardware["num_cpu_cores_per_socket"])
    assert told["platform"].get("cores-per-socket", "1") == cores
    assert told["other_config"].get("folder", "") == told["folder"]
    return {
        "name_label": told["name"],
        "name_description": told["name_desc"],
        "power_state": {"poweredon": "Running"}.get(told["state"], told["state"]),
        "is_a_template": told["is_template"],
        "VCPUs_max": str(hardware["num_cpus"]),
        "memory_dynamic_max": str(hardware["memory_mb"] * MIB),
        "affinity": {"name_label": home} if home else "OpaqueRef:NULL",
        **{field: told[field] for field in ("platform", "other_config", "xenstore_data")},
    }


def disk(told: Row) -> Row:
    return {
        "userdevice": told["vbd_userdevice"],
        "VDI": {
            "name_label": told["name"],
            "name_description": told["name_desc"],
            "virtual_size": str(told["size"]),
            "SR": {"name_label": told["sr"]},
        },
    }


def cd(told: Row) -> Row:
    """The drive that was looked at last; beside `none` stands the name of another's disk."""
    if not told:
        return {}
    empty = told["type"] == "none"
    return {"empty": empty, "VDI": {} if empty else {"name_label": told["iso_name"]}}


def vif(told: Row) -> Row:
    return {
        "device": told["vif_device"],
        "MAC": told["mac"],
        "MTU": told["mtu"],
        "network": {"name_label": told["name"]},
    }
