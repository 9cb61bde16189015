"""The third step: the disks and CD drives that were asked for, beside the template's own."""

from typing import Any, Final

from tasks.copied import adapt
from tasks.drives import came_with_clone, drives, is_marked, marked
from tasks.making import MadeDisk, make_disk
from xenlaunch import names
from xenlaunch.disks import Cd, Disk, ExistingDisk, Iso, NewDisk
from xenlaunch.model import Launch
from xenlaunch.xapi.pool import NULL, Pool

CD_DEVICE: Final = 3
"""Where a CD drive goes by custom: XAPI gives a guest without tools four devices, 0 to 3."""

_MOST_DEVICES: Final = 255


def vbds(launch: Launch, pool: Pool) -> Launch:
    """Adapt the disks that came with the clone, and give the VM one VBD for each other disk."""
    for row in drives(pool, launch.vm).values():
        if came_with_clone(row, pool.mark("")):
            pool.know("VDI", row["VDI"])
    adapt(launch, pool)
    taken = taken_devices(launch, pool)
    devices = assign_devices(launch.request.disks, taken)
    for index, disk in enumerate(launch.request.disks):
        attach(launch, pool, index, disk, devices[index])
    return launch


def taken_devices(launch: Launch, pool: Pool) -> set[int]:
    """The devices of the drives that the VM has of its template, wherever their disks lie now."""
    present = drives(pool, launch.vm).values()
    cloned = {int(row["userdevice"]) for row in present if not is_marked(row, pool.mark(""))}
    return cloned | {disk.device for disk in launch.request.template_disks if disk.keep}


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
        vdi = make_disk(pool, MadeDisk(str(index), vdi), new_disk(launch, index, disk))
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


def new_disk(launch: Launch, index: int, disk: NewDisk) -> dict[str, Any]:
    """What is special about a new disk."""
    name = f"{launch.request.name} {disk.role} {index}"
    return {"name_label": name, "virtual_size": disk.new}
