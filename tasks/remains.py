"""What an earlier life of a launch has left, of which this ledger knows nothing.

A Redis that has lost its data makes the same launch of the same token again; what that launch had
half made may be there still, and even run, with the very MACs that it is about to use. So before
anything is made what bears the launch's working name goes.
"""

from collections.abc import Iterator
from typing import Any, Final

from tasks import lookup
from tasks.binding import CLONE
from tasks.drives import drives
from tasks.hands import Asked, Hands
from tasks.looking import look
from tasks.once import Failed, all_or_none, attempt
from tasks.undo import remove_disk, remove_vm, stop
from xenlaunch import names
from xenlaunch.errors import Busy
from xenlaunch.marks import (
    is_settled,
    launch_of_disk,
    launch_of_name,
    launch_of_vm,
    mark_of_source,
)
from xenlaunch.model import Launch
from xenlaunch.xapi.pool import Pool

MAKING: Final = frozenset({"clone", "copy"})
"""The operations that run on a VM while it is being made."""


def clear(launch: Launch, pool: Pool) -> None:
    """Remove what bears this launch's working name, if the launch has not begun to clone."""
    if pool.attempts(CLONE):
        return
    vms = pool.records.all("vm")
    sources = {mark_on(row) for _, row in lookup.named(vms, launch.request.template)}
    for ref, row in vms.items():
        if launch.id not in row["name_label"]:
            continue  # whatever it is, its name is not this launch's: thousands may be there
        source = mark_of_source(row, launch.deployment)
        named = launch_of_name(row["name_label"], launch.deployment)
        cloned = named if source and source in sources else ""
        if launch.id in (half_made_by(row, launch.deployment), cloned):
            pool.know("VM", ref, row["uuid"])
            all_or_none(pool, remove_half_made(pool, launch.deployment, launch.id, ref))


def mark_on(row: Any) -> str:
    return str(row["other_config"].get(names.OTHER_CONFIG_MARK, ""))


def half_made_by(row: Any, deployment: str) -> str:
    """The launch of a VM that still has its working name and is not its owner's, or ''.

    Who gives such a VM a name of their own has taken it.
    """
    launch = launch_of_vm(row, deployment)
    named = launch_of_name(row["name_label"], deployment)
    return launch if launch == named and not is_settled(row) else ""


def remove_half_made(hands: Hands, deployment: str, launch: str, vm: str) -> list[Failed]:
    """Remove a VM that no fact tells of, its new disks before it: it is what tells of them.

    One that is still being cloned has not all of its disks yet, and who destroys it only waits for
    the clone: its disks would be nobody's then.
    """
    record = look(hands, "VM", vm)
    if record is not None and MAKING & set(record["current_operations"].values()):
        running = Busy("CLONE_RUNNING", [vm], "The pool still works on an earlier clone.")
        return [("VM", vm, running)]
    failed = attempt("VM", stop, hands, vm)
    for disk, _ in () if failed else new_disks(hands, deployment, launch, vm):
        hands.know("VDI", disk)
        failed += attempt("VDI", remove_disk, hands, disk)
    return failed or remove_vm(hands, vm)


def new_disks(
    pool: Asked, deployment: str, launch: str, vm: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The disks of a VM that were made anew for its launch: ref and record."""
    for row in drives(pool, vm).values():
        disk = look(pool, "VDI", row["VDI"]) if row["type"] == "Disk" else None
        if disk is not None and launch_of_disk(row["VDI"], disk, deployment) == launch:
            yield row["VDI"], disk
