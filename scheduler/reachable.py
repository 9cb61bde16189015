"""Which hosts cannot reach the storage that a VM's disks will lie on.

A host reaches a storage repository by a PBD of its own. One without will never run the VM; one
whose PBD is unplugged may have it plugged again, as after a restart.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tasks import lookup, storage
from tasks.setup import sr_of_drive
from xenlaunch.disks import Cd, ExistingDisk, Iso, NewDisk
from xenlaunch.model import LaunchRequest


class Disks(lookup.Reader, Protocol):
    """A look-up that knows where a disk lies which is there already."""

    def sr_of(self, disk: ExistingDisk | Iso) -> str: ...


Reasons = dict[str, str]
"""By a host's ref, why it cannot run the VM."""


@dataclass(frozen=True)
class OutOfReach:
    """The hosts that have no PBD for one of the VM's SRs, and those whose PBD is unplugged."""

    ever: Reasons = field(default_factory=dict)
    now: Reasons = field(default_factory=dict)


def out_of_reach(records: lookup.Cache, srs: Iterable[str]) -> OutOfReach:
    """The hosts that cannot reach all of these SRs. An SR that is not there keeps nobody away."""
    found = OutOfReach()
    rows = records.all("sr")
    plugged = {
        (row["SR"], row["host"]): bool(row["currently_attached"])
        for row in records.all("pbd").values()
    }
    for sr in sorted(set(srs) & set(rows), key=lambda sr: str(rows[sr]["name_label"])):
        for host in records.all("host"):
            is_plugged = plugged.get((sr, host))
            name = rows[sr]["name_label"]
            if is_plugged is None:
                found.ever.setdefault(host, f"cannot reach the storage {name!r}")
            elif not is_plugged:
                found.now.setdefault(host, f"has its PBD of the storage {name!r} unplugged")
    return found


def by_any(found: Sequence[OutOfReach]) -> OutOfReach:
    """The hosts that reach none of several copies: one copy that is reached will do.

    >>> by_any([OutOfReach({"h1": "has no a"}), OutOfReach({"h1": "has no b"}, {"h2": "no c"})])
    OutOfReach(ever={'h1': 'reaches no copy of the template: has no a, has no b'}, now={})
    """
    if len(found) < 2:
        return found[0] if found else OutOfReach()
    both = OutOfReach()
    for host in {host for one in found for host in (*one.ever, *one.now)}:
        reasons = [one.ever.get(host) or one.now.get(host) for one in found]
        if all(reasons):
            first, *others = dict.fromkeys(str(reason) for reason in reasons)
            listed = ", ".join((first, *others))
            sentence = f"reaches no copy of the template: {listed}" if others else first
            waiting = any(host not in one.ever for one in found)
            (both.now if waiting else both.ever)[host] = sentence
    return both


def srs_of(request: LaunchRequest, template: lookup.Row, disks: Disks) -> Iterator[str]:
    """The SRs that the drives of a VM of this template will lie on."""
    for drive in lookup.drives_of(disks, template):
        if drive["type"] == "CD" and not drive["empty"]:
            yield disks.template_disk(drive["VDI"]).sr
    copies, _ = storage.copied(request, lookup.disks_of(disks, template), disks)
    asked = {str(disk.device): disk for disk in request.template_disks}
    for device, disk in copies.items():
        change = asked.get(device)
        if change is None or change.keep:
            moved = change.sr if change else None
            yield disk.sr if moved is None else lookup.storage(disks.records, moved)[0]
    for one in request.disks:
        if isinstance(one, NewDisk):
            yield lookup.storage(disks.records, one.sr)[0]
        elif not isinstance(one, Cd):
            yield disks.sr_of(one)
    yield from sr_of_drive(request, [disk.sr for disk in copies.values()], disks)
