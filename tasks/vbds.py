"""The third step: the disks and CD drives that were asked for, beside the template's own."""

from typing import Any, Final

from tasks import lookup
from tasks.copied import adapt
from tasks.drives import came_with_clone, drives, is_marked, marked
from tasks.making import MadeDisk, make_disk
from tasks.setup import DRIVE, set_up
from xenlaunch import names
from xenlaunch.disks import Cd, Disk, ExistingDisk, Iso, NewDisk, Qos
from xenlaunch.model import Launch
from xenlaunch.xapi.pool import NULL, Pool

CD_DEVICE: Final = 3
"""Where a CD drive goes by custom: XAPI gives a guest without tools four devices, 0 to 3."""

_MOST_DEVICES: Final = 255


def vbds(launch: Launch, pool: Pool) -> Launch:
    """Adapt the disks that came with the clone, add the others, and what tells the guest."""
    for row in drives(pool, launch.vm).values():
        if came_with_clone(row, pool.mark("")):
            pool.know("VDI", row["VDI"])
    adapt(launch, pool)
    taken = taken_devices(launch, pool)
    devices = assign_devices((*launch.request.disks, DRIVE), taken)
    for index, disk in enumerate(launch.request.disks):
        attach(launch, pool, index, disk, devices[index])
    set_up(launch, pool, devices[-1])
    return launch


def taken_devices(launch: Launch, pool: Pool) -> set[int]:
    """The devices of the drives that the VM has of its template, wherever their disks lie now."""
    present = drives(pool, launch.vm).values()
    cloned = {lookup.device_of(row) for row in present if not is_marked(row, pool.mark(""))}
    return cloned | {disk.device for disk in launch.request.template_disks if disk.keep}


def assign_devices(disks: tuple[Disk, ...], taken: set[int]) -> list[int]:
    """The device of each disk: as given, else the first that is free; 3 is the CD's.

    A root disk is seen to first, so that it gets 0 if that is free.

    >>> assign_devices((NewDisk(new=1 << 30), Cd(cd="empty"), NewDisk(new=1 << 30)), {0, 1})
    [2, 3, 4]
    >>> assign_devices((NewDisk(new=1 << 30), NewDisk(new=1 << 30, role="root")), set())
    [1, 0]
    """
    devices = [disk.device for disk in disks]
    used = taken | {device for device in devices if device is not None}
    roots_first = sorted(range(len(disks)), key=lambda index: not is_root(disks[index]))
    for index in roots_first:
        if devices[index] is None:
            is_cd = isinstance(disks[index], Iso | Cd)
            free = next(device for device in order(is_cd=is_cd) if device not in used)
            devices[index] = free
            used.add(free)
    return [device for device in devices if device is not None]


def is_root(disk: Disk) -> bool:
    return isinstance(disk, NewDisk | ExistingDisk) and disk.role == "root"


def order(*, is_cd: bool) -> list[int]:
    """The devices in the order in which they are offered: 3 to CDs first, and to disks last."""
    others = [device for device in range(_MOST_DEVICES) if device != CD_DEVICE]
    return [CD_DEVICE, *others] if is_cd else [*others, CD_DEVICE]


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
            return {
                "type": "Disk",
                "mode": mode,
                "bootable": root if disk.bootable is None else disk.bootable,
                "unpluggable": not root if disk.unpluggable is None else disk.unpluggable,
                **quality(disk.qos),
            }
        case Iso(bootable=bootable) | Cd(bootable=bootable):
            drive = {"type": "CD", "mode": "RO", "bootable": bootable, "unpluggable": True}
            return {**drive, **quality(None)}


def quality(qos: Qos | None) -> dict[str, Any]:
    """XAPI's words for it: of real time it says ``rt``, of priority ``class``."""
    if qos is None:
        return {"qos_algorithm_type": "", "qos_algorithm_params": {}}
    params: dict[str, str] = {"sched": "rt" if qos.sched == "real-time" else qos.sched}
    if qos.sched != "idle":
        params["class"] = qos.priority or "normal"
    return {"qos_algorithm_type": "ionice", "qos_algorithm_params": params}


def new_disk(launch: Launch, index: int, disk: NewDisk) -> dict[str, Any]:
    """What is special about a new disk."""
    name = disk.name or f"{launch.request.name} {disk.role} {index}"
    said = {} if disk.description is None else {"name_description": disk.description}
    return {"name_label": name, "virtual_size": disk.new, **said}
