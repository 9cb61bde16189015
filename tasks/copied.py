"""The disks that came with the clone, made what was asked for: left out, grown, renamed, moved.

Only the clone's disks are changed, never the template's. XAPI removes a disk's VBDs with the disk,
so there is no moment at which a disk that bears no mark hangs on nothing. What a drive was like is
kept before its disk goes: whoever does the step again finds it nowhere else.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from tasks import lookup
from tasks.drives import came_with_clone, drives, marked
from tasks.looking import look
from tasks.making import SECONDS, MadeDisk, make_disk, moved_key
from xenlaunch import names
from xenlaunch.disks import TemplatesDisk
from xenlaunch.model import Launch
from xenlaunch.slots import copy_slot, sr_slot
from xenlaunch.xapi.pool import NULL, Finder, Pool

COPY_SECONDS: Final = 21_600

_DRIVE: Final = (
    *("VDI", "userdevice", "bootable", "mode", "type", "unpluggable", "empty"),
    *("qos_algorithm_type", "qos_algorithm_params", "other_config"),
)
_DISK: Final = (
    "name_label",
    "name_description",
    "virtual_size",
    "type",
    "sharable",
    "allow_caching",
    "tags",
    "xenstore_data",
    "other_config",
    "SR",
)
CONTENT: Final = "content_id"
"""The key by which XAPI tells disks of one content: a new one is not, before it is filled."""


def adapt(launch: Launch, pool: Pool) -> None:
    """Make the disks that came with the clone what the request says of them."""
    for disk, sr in zip(launch.request.template_disks, launch.moves, strict=True):
        seen = seen_first(launch, pool, disk.device)
        if not disk.keep:
            remove(pool, f"leave-out:{disk.device}", seen)
        elif sr != NULL:
            move(launch, pool, disk, sr, seen)
        else:
            change(pool, disk, seen)


def adapting(launch: Launch, disks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The calls that `adapt` makes of a template with these disks, by device."""
    pairs = zip(launch.request.template_disks, launch.moves, strict=True)
    return [call for disk, sr in pairs for call in calls_for(disk, sr, disks[str(disk.device)])]


def calls_for(disk: TemplatesDisk, sr: str, was: Mapping[str, Any]) -> list[str]:
    if not disk.keep:
        return ["VDI.destroy"]
    if sr != NULL:
        caches = ["VDI.set_allow_caching"] if was["allow_caching"] else []
        made = ["VDI.create", "VDI.add_to_other_config", *caches]
        return [*made, "VDI.copy", "VDI.destroy", "VBD.create"]
    changed = {
        "VDI.resize": disk.size is not None and disk.size > int(was["virtual_size"]),
        "VDI.set_name_label": disk.name not in (None, was["name_label"]),
        "VDI.set_name_description": disk.description not in (None, was["name_description"]),
    }
    return [method for method, is_so in changed.items() if is_so]


def seen_first(launch: Launch, pool: Pool, device: int) -> dict[str, Any]:
    """The drive at a device as it was cloned, with its disk's record under ``disk``."""
    key = f"drive:{device}"
    kept = pool.recall(key)
    if kept is None:
        row = next(row for row in drives(pool, launch.vm).values() if is_at(row, device, pool))
        disk = pool.read("VDI.get_record", row["VDI"])
        seen = {field: row[field] for field in _DRIVE}
        kept = json.dumps({**seen, "disk": {field: disk[field] for field in _DISK}})
        pool.remember(key, kept)
    found: dict[str, Any] = json.loads(kept)
    return found


def is_at(row: Mapping[str, Any], device: int, pool: Pool) -> bool:
    return came_with_clone(row, pool.mark("")) and lookup.device_of(row) == device


def change(pool: Pool, disk: TemplatesDisk, seen: Mapping[str, Any]) -> None:
    """Grow and rename a disk where it lies."""
    vdi, was = seen["VDI"], seen["disk"]
    if disk.size is not None and disk.size > int(was["virtual_size"]):
        pool.run(
            f"resize:{disk.device}",
            *("VDI.resize", vdi, disk.size),
            what=f"the template's disk {disk.device} to grow",
            seconds=SECONDS,
            find=grown(pool, vdi, disk.size),
            on=[sr_slot(was["SR"])],
        )
    if disk.name is not None and disk.name != was["name_label"]:
        pool.do(f"rename:{disk.device}", "VDI.set_name_label", vdi, disk.name)
    if disk.description is not None and disk.description != was["name_description"]:
        pool.do(f"describe:{disk.device}", "VDI.set_name_description", vdi, disk.description)


def grown(pool: Pool, vdi: str, size: int) -> Finder:
    return lambda: "" if int(pool.read("VDI.get_virtual_size", vdi)) >= size else None


def move(launch: Launch, pool: Pool, disk: TemplatesDisk, sr: str, seen: Mapping[str, Any]) -> None:
    """Fill a new disk on the other SR, which may be larger, and have it take the old one's place.

    Filling it twice does no harm, as nothing has it yet.
    """
    made = MadeDisk(moved_key(disk.device), sr)
    was = dict(seen["disk"])
    caches = was.pop("allow_caching", False)
    size = max(disk.size or 0, int(was["virtual_size"]))
    name = was["name_label"] if disk.name is None else disk.name
    said = was["name_description"] if disk.description is None else disk.description
    wanted = {**was, "name_label": name, "name_description": said, "virtual_size": size}
    vdi = make_disk(pool, made, {**wanted, "other_config": carried(was)})
    if caches:
        pool.do(f"caching:{disk.device}", "VDI.set_allow_caching", vdi, True)
    pool.run(
        f"fill:{disk.device}",
        *("VDI.copy", seen["VDI"], NULL, NULL, vdi),
        what=f"the template's disk {disk.device} to be copied",
        seconds=COPY_SECONDS,
        on=[copy_slot(sr)],
    )
    remove(pool, f"moved:{disk.device}", seen)
    mark = pool.mark(f"vbd:{made.key}")
    drive = {field: seen[field] for field in _DRIVE}
    marks = {**carried(seen), names.OTHER_CONFIG_MARK: mark, "owner": ""}
    pool.do(
        f"vbd:{made.key}",
        *("VBD.create", {**drive, "VM": launch.vm, "VDI": vdi, "other_config": marks}),
        makes="VBD",
        find=lambda: marked(drives(pool, launch.vm), mark),
    )


def carried(row: Mapping[str, Any]) -> dict[str, str]:
    """What goes with a disk, or its drive, to where it is moved: all but what we have written.

    An older worker has kept nothing of it.
    """
    said = row.get("other_config", {}).items()
    ours = names.OTHER_CONFIG_MARK
    return {key: value for key, value in said if key != CONTENT and not key.startswith(ours)}


def remove(pool: Pool, key: str, seen: Mapping[str, Any]) -> None:
    """Destroy a disk of the clone, and its VBD with it."""
    pool.run(
        *(key, "VDI.destroy", seen["VDI"]),
        what="a disk of the template's to go",
        seconds=SECONDS,
        find=lambda: None if look(pool, "VDI", seen["VDI"]) else "",
        on=[sr_slot(seen["disk"]["SR"])],
    )
