"""What sizes an SR's disks have: a VHD is made of blocks, and is no larger than it can describe.

Nothing is made. XAPI's drivers round a size up, and refuse one that is too large, when the clone
is there already.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from tasks import lookup
from xenlaunch.disks import NewDisk, TemplatesDisk
from xenlaunch.errors import Refused
from xenlaunch.model import LaunchRequest, TemplateDisk
from xenlaunch.xapi.pool import NULL

Sized = tuple[str, int]
"""An SR, and the size of one disk there, in bytes."""

GIB: Final = 1 << 30
BLOCK: Final = 2 << 20
LARGEST: Final = 2040 * GIB

VHD: Final = frozenset({"vhd"})
OF_VHDS: Final = frozenset(
    {
        *("ext", "file", "nfs", "smb", "lvm", "lvmoiscsi", "lvmohba", "lvmofcoe"),
        *("xfs", "zfs", "cephfs", "glusterfs", "moosefs", "largeblock", "linstor"),
    }
)
"""The types of SRs that have VHDs where their drivers do not say what they have."""


def formats(records: lookup.Cache, sr: str) -> frozenset[str]:
    """The image formats that an SR's disks may have; none where nobody can tell."""
    row = records.get("sr", sr)
    kind = row["type"] if row else ""
    drivers = (driver for driver in records.all("sm").values() if driver["type"] == kind)
    said = (driver.get("supported_image_formats", ()) for driver in drivers)
    return frozenset(one for all_of_it in said for one in all_of_it) or (
        VHD if kind in OF_VHDS else frozenset()
    )


def as_made(records: lookup.Cache, sr: str, size: int) -> int:
    """The size that an SR makes of the one that is asked for: of VHDs, whole blocks."""
    return -(-size // BLOCK) * BLOCK if "vhd" in formats(records, sr) else size


def as_adapted(
    records: lookup.Cache, asked: TemplatesDisk, disk: TemplateDisk, moved_to: str
) -> int:
    """The size that one of the template's disks ends up with; ``moved_to``: or the null ref."""
    size = max(asked.size or 0, disk.size)
    if moved_to != NULL:
        return as_made(records, moved_to, size)
    return disk.size if size == disk.size else as_made(records, disk.sr, size)


def sized(
    request: LaunchRequest,
    disks: dict[str, TemplateDisk],
    sources: tuple[str, ...],
    moved: tuple[str, ...],
) -> Iterator[Sized]:
    """The disks that are made or grown; ``disks``: as the clone has them."""
    for new, sr in zip(request.disks, sources, strict=True):
        if isinstance(new, NewDisk):
            yield sr, new.new
    if request.sr is not None:
        yield from ((disk.sr, disk.size) for disk in disks.values())
    for asked, sr in zip(request.template_disks, moved, strict=True):
        disk = disks[str(asked.device)]
        size = max(asked.size or 0, disk.size)
        if sr != NULL:
            yield sr, size
        elif size > disk.size:
            yield disk.sr, size


def check_sizes(wanted: Iterable[Sized], records: lookup.Cache) -> None:
    """Raise `Refused` for a disk that is larger than any that its SR can make."""
    for sr, size in wanted:
        if size > LARGEST and formats(records, sr) == VHD:
            row = records.get("sr", sr)
            name = row["name_label"] if row else sr
            raise Refused(
                "DISK_TOO_LARGE",
                [str(size), str(LARGEST)],
                f"The storage repository {name!r} makes disks of {LARGEST // GIB} GiB at most, "
                f"and one of {-(-size // GIB)} GiB is asked for.",
            )
