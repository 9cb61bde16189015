"""The copies of a template: one name and one shape, on several storage repositories.

Whoever clones may take any of them, so they are alike in all that a VM inherits. Templates of one
name that are not, or that lie on the same storage, are told apart by their uuids alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tasks import lookup
from xenlaunch.model import TemplateDisk

SHAPE: Final = (
    *("memory_static_min", "memory_dynamic_min", "memory_dynamic_max", "memory_static_max"),
    *("VCPUs_max", "VCPUs_at_startup", "VCPUs_params"),
    *("domain_type", "HVM_boot_policy", "HVM_boot_params", "HVM_shadow_multiplier", "platform"),
    *("PV_bootloader", "PV_kernel", "PV_ramdisk", "PV_args"),
)
"""The fields of a template's record in which its copies agree."""


@dataclass(frozen=True)
class Copy:
    """One template; ``disks`` by device, in the order of the devices."""

    ref: str
    record: lookup.Row
    disks: Mapping[str, TemplateDisk]

    @property
    def srs(self) -> tuple[str, ...]:
        """The storage repositories that its disks lie on; none where it has no disks."""
        return tuple(sorted({disk.sr for disk in self.disks.values()}))


def copies(reader: lookup.Reader, wanted: str) -> tuple[Copy, ...]:
    """The copies of the template of that name, by uuid; the one alone if that is given.

    Where there is no such template: the VM or the snapshot. Raises `Refused`, with
    ``TEMPLATE_NOT_FOUND`` or ``TEMPLATE_AMBIGUOUS``.
    """
    found = lookup.templates(reader.records, wanted)
    listed = sorted((copy_of(reader, *one) for one in found), key=lambda copy: copy.record["uuid"])
    if len(listed) > 1 and not are_copies(reader, listed):
        raise lookup.ambiguous("template", wanted, (copy.record["uuid"] for copy in listed))
    return tuple(listed)


def are_copies(reader: lookup.Reader, listed: list[Copy]) -> bool:
    """Whether each lies elsewhere, and all are alike."""
    places = {copy.srs for copy in listed}
    return (
        len(places) == len(listed)
        and () not in places
        and all(shape(reader, copy) == shape(reader, listed[0]) for copy in listed[1:])
    )


def shape(reader: lookup.Reader, copy: Copy) -> tuple[Any, ...]:
    """What must be alike in copies: the machine, its drives and its interfaces."""
    drives = sorted(
        (lookup.device_of(row), row["type"]) for row in lookup.drives_of(reader, copy.record)
    )
    interfaces = sorted(
        (row["device"], row["network"]) for row in interfaces_of(reader, copy.record)
    )
    sizes = [(device, disk.size) for device, disk in copy.disks.items()]
    return (*(copy.record.get(field) for field in SHAPE), drives, sizes, interfaces)


def interfaces_of(reader: lookup.Reader, row: lookup.Row) -> list[lookup.Row]:
    return [
        reader.records.get("vif", vif) or reader.read("VIF.get_record", vif) for vif in row["VIFs"]
    ]


def copy_of(reader: lookup.Reader, ref: str, row: lookup.Row) -> Copy:
    return Copy(ref, row, lookup.disks_of(reader, row))


def reached_from(records: lookup.Cache, listed: tuple[Copy, ...], host: str) -> tuple[Copy, ...]:
    """The copies whose storage a host has plugged; all of them where it has that of none."""
    plugged = {
        row["SR"]
        for row in records.all("pbd").values()
        if row["host"] == host and row["currently_attached"]
    }
    return tuple(copy for copy in listed if plugged.issuperset(copy.srs)) or listed


def roomiest(records: lookup.Cache, listed: tuple[Copy, ...]) -> Copy:
    """The copy whose fullest storage has most room."""

    def free(copy: Copy) -> tuple[int, str]:
        least = min((lookup.room(records, sr) for sr in copy.srs), default=0)
        return least, str(copy.record["uuid"])

    return max(listed, key=free)
