"""Which storage repositories a launch's disks go to, and whether those have room. Nothing is made.

Room is what is not yet used physically. A thin repository may promise more than it has, and a new
disk takes little of it at first; but one whose size is not there at all would fill it up one day,
and XAPI's drivers refuse it too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from tasks import lookup
from tasks.sizes import as_adapted, as_made
from xenlaunch.disks import NewDisk, TemplatesDisk
from xenlaunch.errors import Refused
from xenlaunch.fields import show_size
from xenlaunch.model import Launch, LaunchRequest, TemplateDisk
from xenlaunch.xapi.pool import NULL

Wish = tuple[str, int]
"""An SR, and the bytes of it that are wanted."""


def copied(
    request: LaunchRequest, disks: Mapping[str, TemplateDisk], pool: lookup.Reader
) -> tuple[dict[str, TemplateDisk], str]:
    """The template's disks as its clone has them, and the SR to which they are copied, if any."""
    if request.sr is None:
        return dict(disks), ""
    sr, _ = lookup.storage(pool.records, request.sr)
    return {device: disk.but(sr=sr) for device, disk in disks.items()}, sr


def moves(
    request: LaunchRequest, disks: dict[str, TemplateDisk], pool: lookup.Reader
) -> tuple[str, ...]:
    """The SR that each of ``template_disks`` is to be moved to, or the null ref where it stays."""
    return tuple(
        move(asked, there(request, asked, disks), pool) for asked in request.template_disks
    )


def homes(launch: Launch, disks: dict[str, TemplateDisk]) -> dict[str, str]:
    """The SR on which each of the template's disks ends up, by device."""
    moved = zip(launch.request.template_disks, launch.moves, strict=True)
    went = {str(disk.device): sr for disk, sr in moved if sr != NULL}
    return {device: went.get(device, disk.sr) for device, disk in disks.items()}


def there(
    request: LaunchRequest, asked: TemplatesDisk, disks: dict[str, TemplateDisk]
) -> TemplateDisk:
    """The disk of the template that is spoken of."""
    device = str(asked.device)
    if device not in disks:
        has = ", ".join(sorted(disks, key=int)) or "none at all"
        raise Refused(
            "TEMPLATE_DISK_NOT_FOUND",
            [device, *sorted(disks)],
            f"The template {request.template!r} has no disk at device {device}; "
            f"it has disks at: {has}.",
        )
    return disks[device]


def move(asked: TemplatesDisk, disk: TemplateDisk, pool: lookup.Reader) -> str:
    if asked.size is not None and asked.size < disk.size:
        raise Refused(
            "DISK_SHRINKS",
            [str(asked.device), str(disk.size), str(asked.size)],
            f"The template's disk at device {asked.device} has {show_size(disk.size)}, and cannot "
            f"be made smaller: {show_size(asked.size)} are asked for.",
        )
    if asked.sr is None:
        return NULL
    sr, _ = lookup.storage(pool.records, asked.sr)
    return NULL if sr == disk.sr else sr


def wishes(
    request: LaunchRequest,
    disks: dict[str, TemplateDisk],
    sources: tuple[str, ...],
    moved: tuple[str, ...],
    pool: lookup.Reader,
) -> Iterator[Wish]:
    """What the launch takes of each SR as far as can be known; ``disks``: as the clone has them."""
    for disk in disks.values():
        if request.clone == "full" or is_thick(pool.records.get("sr", disk.sr)):
            yield disk.sr, disk.size
    yield from new_disks(request, sources, pool)
    yield from template_disks(request, disks, moved, pool)


def is_thick(sr: lookup.Row | None) -> bool:
    """Whether a fast clone takes all of its disk's size there: LVM that is not said to be thin."""
    if sr is None or not str(sr["type"]).startswith("lvm"):
        return False
    return sr["sm_config"].get("allocation") not in ("thin", "xlvhd")


def check_room(wanted: Iterable[Wish], pool: lookup.Reader) -> None:
    """Raise `Refused` with the figures of an SR that has no room for all that is wanted of it."""
    sums: Counter[str] = Counter()
    for place, size in wanted:
        sums[place] += size
    for sr, size in sums.items():
        free, name = lookup.room(pool.records, sr), name_of(pool, sr)
        if free < size:
            raise Refused(
                "SR_FULL",
                [str(size), str(free)],
                f"The storage repository {name!r} has {show_size(free)} free, and this launch "
                f"wants {show_size(size)} of it.",
            )


def new_disks(
    request: LaunchRequest, sources: tuple[str, ...], pool: lookup.Reader
) -> Iterator[Wish]:
    for disk, sr in zip(request.disks, sources, strict=True):
        if isinstance(disk, NewDisk):
            yield sr, as_made(pool.records, sr, disk.new)


def template_disks(
    request: LaunchRequest,
    disks: dict[str, TemplateDisk],
    moved: tuple[str, ...],
    pool: lookup.Reader,
) -> Iterator[Wish]:
    """What the template's disks take: all of it where they are moved, else what they grow by."""
    for asked, sr in zip(request.template_disks, moved, strict=True):
        disk = disks[str(asked.device)]
        size = as_adapted(pool.records, asked, disk, sr)
        yield (disk.sr, size - disk.size) if sr == NULL else (sr, size)


def check_copied(
    request: LaunchRequest, template: lookup.Row, moved: tuple[str, ...], pool: lookup.Reader
) -> None:
    """Raise `Refused` for a disk that XAPI would not copy whole when the clone is there already."""
    pairs = zip(request.template_disks, moved, strict=True)
    devices = {asked.device for asked, sr in pairs if sr != NULL}
    for drive in lookup.drives_of(pool, template):
        is_disk, device = drive["type"] == "Disk", lookup.device_of(drive)
        if is_disk and (request.clone == "full" or device in devices):
            check_persists(device, drive["VDI"], template["name_label"], pool)


def check_persists(device: int, vdi: str, template: str, pool: lookup.Reader) -> None:
    if pool.read("VDI.get_on_boot", vdi) == "reset":
        raise Refused(
            "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION",
            [],
            f"The disk at device {device} of the template {template!r} forgets its changes at "
            "each boot, and such a disk is not copied: it stays on its SR, and is cloned fast.",
        )


def name_of(pool: lookup.Reader, sr: str) -> str:
    row = pool.records.get("sr", sr)
    return str(row["name_label"]) if row else sr
