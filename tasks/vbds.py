"""The third step: the disks and CD drives that were asked for, beside the template's own."""

from collections.abc import Mapping
from typing import Any, Final

from tasks.hands import Asked
from xenlaunch import names
from xenlaunch.disks import Cd, Disk, ExistingDisk, Iso, NewDisk
from xenlaunch.model import Launch
from xenlaunch.xapi.pool import NULL, Pool

SECONDS = 3600
CD_DEVICE: Final = 3
"""Where a CD drive goes by custom: XAPI gives a guest without tools four devices, 0 to 3."""

_MOST_DEVICES: Final = 255


def vbds(launch: Launch, pool: Pool) -> Launch:
    """Give the VM one VBD for each disk that was asked for."""
    present = drives(pool, launch.vm)
    for row in present.values():
        if came_with_clone(row):
            pool.know("VDI", row["VDI"])
    taken = {int(row["userdevice"]) for row in present.values() if not is_marked(row)}
    devices = assign_devices(launch.request.disks, taken)
    for index, disk in enumerate(launch.request.disks):
        attach(launch, pool, index, disk, devices[index])
    return launch


def drives(pool: Asked, vm: str) -> dict[str, Any]:
    """The VBDs of a VM, by ref."""
    rows: dict[str, Any] = pool.read("VBD.get_all_records_where", f'field "VM"="{vm}"')
    return rows


def came_with_clone(row: Mapping[str, Any]) -> bool:
    """XAPI writes ``owner`` on the VBD of each disk that it clones; a VBD of ours has our mark."""
    is_disk = row["type"] == "Disk" and row["VDI"] != NULL
    return is_disk and "owner" in row["other_config"] and not is_marked(row)


def is_marked(row: Mapping[str, Any]) -> bool:
    return names.OTHER_CONFIG_MARK in row["other_config"]


def assign_devices(disks: tuple[Disk, ...], taken: set[int]) -> list[int]:
    """The device of each disk: as given, else the first that is free; 3 is the CD's.

    >>> assign_devices((NewDisk(new=1 << 30), Cd(cd="empty"), NewDisk(new=1 << 30)), {0, 1})
    [2, 3, 4]
    """
    used = taken | {disk.device for disk in disks if disk.device is not None}
    devices = []
    for disk in disks:
        device = disk.device
        if device is None:
            free = [number for number in range(_MOST_DEVICES) if number not in used]
            is_cd = isinstance(disk, Iso | Cd)
            preferred = [number for number in free if (number == CD_DEVICE) == is_cd]
            device = (preferred or free)[0]
            used.add(device)
        devices.append(device)
    return devices


def attach(launch: Launch, pool: Pool, index: int, disk: Disk, device: int) -> None:
    vdi = launch.sources[index]
    if isinstance(disk, NewDisk):
        vdi = make_disk(launch, pool, index, disk)
    mark = pool.mark(f"vbd:{index}")
    record = {
        "VM": launch.vm,
        "VDI": vdi,
        "userdevice": str(device),
        "other_config": {names.OTHER_CONFIG_MARK: mark},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
        "empty": vdi == NULL,
        **drive_of(disk),
    }
    pool.do(
        f"vbd:{index}",
        "VBD.create",
        record,
        makes="VBD",
        find=lambda: marked(drives(pool, launch.vm), mark),
    )


def drive_of(disk: Disk) -> dict[str, Any]:
    """What kind of drive it is: a root disk boots and stays, all else can be unplugged."""
    match disk:
        case NewDisk(role=role, mode=mode) | ExistingDisk(role=role, mode=mode):
            root = role == "root"
            return {"type": "Disk", "mode": mode, "bootable": root, "unpluggable": not root}
        case Iso() | Cd():
            return {"type": "CD", "mode": "RO", "bootable": False, "unpluggable": True}


def make_disk(launch: Launch, pool: Pool, index: int, disk: NewDisk) -> str:
    mark = pool.mark(f"vdi:{index}")
    sr = launch.sources[index]
    record = {
        "name_label": f"{launch.request.name} {disk.role} {index}",
        "name_description": names.MADE_BY_US,
        "SR": sr,
        "virtual_size": disk.new,
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {names.OTHER_CONFIG_MARK: mark},
    }
    vdi = pool.run(
        f"vdi:{index}",
        "VDI.create",
        record,
        what=f"disk {index}",
        seconds=SECONDS,
        makes="VDI",
        find=lambda: find_disk(pool, index, sr),
    )
    sign(pool, index, vdi)
    return vdi


def sign(pool: Pool, index: int, vdi: str) -> None:
    """Write a new disk's own ref on it, which tells it from all copies that are made of it."""
    key = names.OTHER_CONFIG_DISK
    pool.do(
        f"sign:{index}",
        *("VDI.add_to_other_config", vdi, key, vdi),
        find=lambda: "" if key in pool.read("VDI.get_other_config", vdi) else None,
    )


def find_disk(pool: Pool, index: int, sr: str) -> str | None:
    """The disk that was made for this launch on this SR, though nobody heard of it."""
    rows = pool.read("VDI.get_all_records_where", f'field "SR"="{sr}"')
    mine = {ref: row for ref, row in rows.items() if not is_copy(ref, row)}
    return marked(mine, pool.mark(f"vdi:{index}"))


def is_copy(ref: str, row: Mapping[str, Any]) -> bool:
    """A disk that somebody has made of one of ours: it bears our mark, and another's ref."""
    signed = row["other_config"].get(names.OTHER_CONFIG_DISK, ref)
    return bool(signed != ref or row["is_a_snapshot"])


def marked(rows: Mapping[str, Any], mark: str) -> str | None:
    """The object that bears this mark, if there is one."""
    wanted = (
        ref for ref, row in rows.items() if row["other_config"].get(names.OTHER_CONFIG_MARK) == mark
    )
    return next(wanted, None)
