"""What of a pool is to be swept. Pure: the pool was listed first, then the ledger was read.

The order is what makes it safe. A launch's record is there before anything that is made for it,
and an object that was listed before its launch was seen to have ended is not one that it makes now.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tasks.remains import half_made_by
from xenlaunch import states
from xenlaunch.marks import (
    is_settled,
    launch_of_bridge,
    launch_of_disk,
    launch_of_name,
    mark_of_source,
)
from xenlaunch.record import Record

Row = Mapping[str, Any]

LEAVE: Final = "leave"
NOW: Final = "now"
AFTER_GRACE: Final = "after grace"


@dataclass(frozen=True)
class Trace:
    """Something that a launch has left in a pool, or is making there.

    ``source`` is the mark that a VM has from what it was cloned from, if its own is not there yet.
    """

    cls: str
    ref: str
    uuid: str
    launch: str
    source: str = ""


def traces(
    deployment: str, vms: Mapping[str, Row], disks: Mapping[str, Row], bridges: Mapping[str, Row]
) -> list[Trace]:
    """What this deployment's launches have in a pool and its owners have not.

    Foreign are: other deployments' objects, snapshots, copies (they bear the name of what they were
    copied from), and what somebody gave a name of their own.
    """
    found = [trace_of_vm(deployment, ref, row) for ref, row in vms.items()]
    found += [trace_of_disk(deployment, ref, row) for ref, row in disks.items()]
    found += [trace_of_bridge(deployment, ref, row) for ref, row in bridges.items()]
    return [trace for trace in found if trace is not None]


def trace_of_vm(deployment: str, ref: str, row: Row) -> Trace | None:
    """A VM that is half made: it has its working name still, and is not marked as anybody's."""
    source = mark_of_source(row, deployment)
    named = launch_of_name(row["name_label"], deployment)
    launch = named if source else half_made_by(row, deployment)
    return Trace("VM", ref, row["uuid"], launch, source) if launch else None


def trace_of_disk(deployment: str, ref: str, row: Row) -> Trace | None:
    """A disk that was made anew and that no VM has; one that a VM has goes with its VM."""
    launch = launch_of_disk(ref, row, deployment)
    if not launch or row["VBDs"] or is_settled(row):
        return None
    return Trace("VDI", ref, row["uuid"], launch)


def trace_of_bridge(deployment: str, ref: str, row: Row) -> Trace | None:
    """A control domain's VIF by which a launch had a bridge made."""
    launch = launch_of_bridge(row, deployment)
    return Trace("VIF", ref, row["uuid"], launch) if launch else None


TRACE_OF: Final = {"VM": trace_of_vm, "VDI": trace_of_disk, "VIF": trace_of_bridge}


def verdict(trace: Trace, record: Record | None) -> str:
    """What is to be done about a trace of a launch with this record, if there is one.

    ``now``: its launch has ended, so nobody else will. ``after grace``: nobody remembers it.
    A clone that bears the mark of its source is a launch's only if that has cloned such a source.
    """
    if trace.source and (record is None or trace.source not in sources_of(record)):
        return LEAVE
    if record is None:
        return AFTER_GRACE
    came_up = record.state == states.SUCCEEDED and record.learnt.get("vm_uuid")
    return NOW if record.ended and trace.uuid != came_up else LEAVE


def sources_of(record: Record) -> set[str]:
    """The marks of what a launch clones, or may clone."""
    template = record.learnt.get("template", {})
    return {str(one.get("mark", "")) for one in (template, *template.get("copies", ()))}


def schedule(
    found: Iterable[tuple[Trace, str]], before: Mapping[str, int], now: int, grace: int
) -> dict[str, int]:
    """From which moment on (ms) each object may be removed, by ref; what is left is not in it.

    The grace runs from this ledger's own first sight of an object.
    """
    first = {NOW: now, AFTER_GRACE: now + grace}
    return {
        trace.ref: before.get(trace.ref, first[verdict])
        for trace, verdict in found
        if verdict != LEAVE
    }
