"""The drives that a planned VM would have: its template's, as they become, and the others."""

from collections.abc import Iterator
from typing import Any

from tasks import lookup, storage
from tasks.setup import DRIVE, drive_of, planned_removal
from tasks.sizes import as_adapted, as_made
from tasks.vbds import assign_devices
from xenlaunch.disks import Cd, Disk, Iso, NewDisk
from xenlaunch.model import Launch

Drive = dict[str, Any]


def planned_drives(launch: Launch, template: lookup.Row, pool: lookup.Reader) -> list[Drive]:
    """Each drive of the VM: its device, type, size in bytes, SR by name, and whether it stays.

    A CD drive has neither size nor SR. The drive that tells the guest what it is to be may go
    before the launch succeeds: then it does not stay.
    """
    request = launch.request
    found = dict(_cloned(launch, template, pool))
    devices = assign_devices((*request.disks, DRIVE), set(found))
    for device, disk, source in zip(devices, request.disks, launch.sources, strict=False):
        found[device] = _asked(disk, source, pool)
    if drive_of(request):
        stays = not planned_removal(request)
        found[devices[-1]] = _disk(DRIVE.new, launch.setup_sr, pool, stays=stays)
    return [{"device": str(device), **found[device]} for device in sorted(found)]


def _cloned(
    launch: Launch, template: lookup.Row, pool: lookup.Reader
) -> Iterator[tuple[int, Drive]]:
    """What comes with the clone, and what the request makes of it."""
    request = launch.request
    disks, _ = storage.copied(request, lookup.disks_of(pool, template), pool)
    homes = storage.homes(launch, disks)
    pairs = zip(request.template_disks, launch.moves, strict=True)
    adapted = {str(asked.device): (asked, sr) for asked, sr in pairs}
    for drive in lookup.drives_of(pool, template):
        device = str(lookup.device_of(drive))
        if drive["type"] == "CD":
            yield int(device), _cd()
        elif device not in adapted:
            yield int(device), _disk(disks[device].size, homes[device], pool)
        elif adapted[device][0].keep:
            asked, sr = adapted[device]
            size = as_adapted(pool.records, asked, disks[device], sr)
            yield int(device), _disk(size, homes[device], pool)


def _asked(disk: Disk, source: str, pool: lookup.Reader) -> Drive:
    match disk:
        case NewDisk(new=size):
            return _disk(as_made(pool.records, source, size), source, pool)
        case Iso() | Cd():
            return _cd()
        case _:
            there = pool.template_disk(source)
            return _disk(there.size, there.sr, pool)


def _disk(size: int, sr: str, pool: lookup.Reader, *, stays: bool = True) -> Drive:
    return {"type": "Disk", "size": size, "sr": storage.name_of(pool, sr), "stays": stays}


def _cd() -> Drive:
    return {"type": "CD", "size": None, "sr": None, "stays": True}
