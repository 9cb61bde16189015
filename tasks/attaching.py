"""Whether the disks and CDs that a request names can be attached. Nothing is sent.

XAPI looks at that when a VM starts, and not when it is given a disk: a launch would be half done.
"""

from collections.abc import Mapping
from typing import Any, Final

from tasks import lookup
from xenlaunch.disks import Cd, Disk, ExistingDisk, Iso, NewDisk
from xenlaunch.errors import Refused
from xenlaunch.model import LaunchRequest
from xenlaunch.xapi.pool import NULL

OF_THE_POOL: Final = frozenset({"ha_statefile", "redo_log", "rrd", "pvs_cache", "cbt_metadata"})
"""The types of the disks that XAPI attaches to no VM."""


def source(disk: Disk, pool: lookup.Reader) -> str:
    """The ref of the VDI to attach, or of the SR on which it is to be made."""
    match disk:
        case NewDisk(sr=sr):
            return lookup.storage(pool.records, sr)[0]
        case ExistingDisk():
            return existing(disk, pool)
        case Iso(iso=name):
            return lookup.iso(pool, name)
        case Cd():
            return NULL


def existing(disk: ExistingDisk, pool: lookup.Reader) -> str:
    """A disk that is there, that can be read or written as asked, and that nobody is in the way of.

    Who writes is in everybody's way, and everybody in a writer's, unless the disk is made for it.
    """
    ref, row = lookup.disk(pool, disk.vdi)
    lookup.check_present(row, disk.vdi)
    if row["type"] in OF_THE_POOL:
        said = f"The disk {disk.vdi} is one that the pool keeps for itself: its {row['type']}."
        raise Refused("VDI_INCOMPATIBLE_TYPE", [disk.vdi, row["type"]], said)
    if not row["managed"]:
        said = f"The disk {disk.vdi} is not managed by its storage repository: scan that first."
        raise Refused("VDI_NOT_MANAGED", [disk.vdi], said)
    if disk.mode == "RW" and row["read_only"]:
        said = f"The disk {disk.vdi} is read-only: attach it with mode RO."
        raise Refused("VDI_READONLY", [disk.vdi], said)
    for vbd in () if row["sharable"] else row["VBDs"]:
        drive = pool.records.get("vbd", vbd) or {}
        if drive.get("currently_attached") and "RW" in (drive["mode"], disk.mode):
            raise in_use(disk, drive, pool)
    return ref


def in_use(disk: ExistingDisk, drive: Mapping[str, Any], pool: lookup.Reader) -> Refused:
    holder = pool.records.get("vm", drive["VM"])
    name = str(holder["name_label"]) if holder else "a VM"
    how = "written" if drive["mode"] == "RW" else "read"
    return Refused(
        "VDI_IN_USE",
        [disk.vdi, name],
        f"The disk {disk.vdi} is attached to {name!r}, where it is {how}, and is not sharable: "
        f"it cannot be attached here with mode {disk.mode}.",
    )


def written_alone(
    request: LaunchRequest, sources: tuple[str, ...], pool: lookup.Reader
) -> dict[str, str]:
    """The disks that are there and that this VM alone may have, for it writes: uuids by ref."""
    return {
        ref: disk.vdi
        for disk, ref in zip(request.disks, sources, strict=True)
        if isinstance(disk, ExistingDisk)
        and disk.mode == "RW"
        and not pool.read("VDI.get_sharable", ref)
    }


def check_shared(request: LaunchRequest, sources: tuple[str, ...], pool: lookup.Reader) -> None:
    """A disk that this VM itself gets twice cannot be written to either, unless it is sharable."""
    asked = [
        (disk, ref)
        for disk, ref in zip(request.disks, sources, strict=True)
        if isinstance(disk, ExistingDisk)
    ]
    for disk, ref in asked:
        modes = [other.mode for other, its in asked if its == ref]
        if len(modes) > 1 and "RW" in modes and not pool.read("VDI.get_sharable", ref):
            raise Refused(
                "VDI_IN_USE",
                [disk.vdi],
                f"The disk {disk.vdi} is asked for twice, and is not sharable: "
                "once is enough, or twice with mode RO.",
            )
