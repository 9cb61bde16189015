"""Destroy: what a launch has brought up goes, once its owner says so.

It is the undo of a launch that has ended. What makes it more than that: the VM has been somebody's
since. It gets its working name back first, so that from then on it is what an undo may find half
done at any moment, and no `adopt` takes it for a success. A disk that its owner has taken off the
VM stays, and is named; so is all that is no longer what the launch had made.
"""

import json
from typing import Any

from tasks.binding import CLONE
from tasks.drives import came_with_clone, drives
from tasks.looking import look
from tasks.remains import new_disks
from tasks.undo import undo
from tasks.unused import check_unused, is_copy, know_copied_disks
from xenlaunch import names
from xenlaunch.marks import launch_of_vm, marks_of_vm
from xenlaunch.model import Launch, Leftover
from xenlaunch.xapi.pool import Pool

KEPT_ASIDE = f"{names.UNDO}:kept-aside"


def destroy(launch: Launch, pool: Pool) -> tuple[Leftover, ...]:
    """Remove the VM of a launch and the disks that were made for it; what is left of them."""
    record = look(pool, "VM", launch.vm) if launch.vm else None
    if record is not None and not is_still_ours(launch, record):
        return (of_others("VM", record["uuid"], "It is not what the launch has made any more"),)
    read_back = record is not None and launch.vm not in pool.made("VM")
    settled = pool.recall(KEPT_ASIDE) is not None
    aside = kept_aside(launch, pool, record) if pool.came_up or read_back or settled else []
    if record is not None:
        know(launch, pool, record)
    if record is not None:
        name = names.working_name(launch.deployment, launch.id, pool.attempts(CLONE) or 1)
        key = f"{names.UNDO}:name:{launch.vm}"
        pool.do(key, "VM.set_name_label", launch.vm, name)
        if is_copy(record):
            check_unused(launch, pool, key)
    left = undo(launch, pool, frozenset(aside))
    rows = ((ref, look(pool, "VDI", ref)) for ref in aside)
    said = "It was taken off the VM, or nobody knows whether the launch has made it"
    return (*left, *(of_others("VDI", row["uuid"], said) for _, row in rows if row is not None))


def is_still_ours(launch: Launch, record: dict[str, Any]) -> bool:
    changed = record["is_a_template"] and not is_copy(record)
    return launch_of_vm(record, launch.deployment) == launch.id and not changed


def know(launch: Launch, pool: Pool, record: dict[str, Any]) -> None:
    """What a ledger that was read back from the pool may not know of: a VM, and its new disks."""
    pool.know("VM", launch.vm, record["uuid"])
    for vdi, _ in new_disks(pool, launch.deployment, launch.id, launch.vm):
        pool.know("VDI", vdi)
    if is_copy(record):
        know_copied_disks(launch, pool)


def kept_aside(launch: Launch, pool: Pool, record: dict[str, Any] | None) -> list[str]:
    """The disks of the launch that its VM did not have any more when its end was asked for.

    They are settled before anything is changed: afterwards no disk is on the VM. Of a launch that
    was read back from the pool nobody knows which disks came with the template: they stay too.
    """
    known = pool.recall(KEPT_ASIDE)
    if known is None:
        on_it = list(drives(pool, launch.vm).values()) if record else []
        aside = set(pool.made("VDI")) - {row["VDI"] for row in on_it}
        if record and not (launch.vm in pool.made("VM") or is_copy(record)):
            whose = marks_of_vm(record)
            aside |= {row["VDI"] for row in on_it if came_with_clone(row, whose)}
        known = json.dumps(sorted(aside))
        pool.remember(KEPT_ASIDE, known)
    found: list[str] = json.loads(known)
    return found


def of_others(cls: str, uuid: str, said: str) -> Leftover:
    return Leftover(cls=cls, uuid=uuid, advice=f"{said}: remove it by hand if nobody wants it.")
