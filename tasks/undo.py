"""Undo: everything that exists because of a launch goes, and nothing else does.

It begins when no worker carries out a step of the launch and nothing of it runs in the pool. It
reads what was made from the ledger's facts, and looks for what nobody could write down: VMs under
the launch's working names. It goes on past what it cannot remove, tries again what may pass by
itself, and names the rest. Each object is looked at before it is destroyed: what somebody else has
come to use meanwhile stays.
"""

import itertools
from collections.abc import Iterator
from typing import Any, Final

from tasks.binding import CLONE
from tasks.bridge import left_in_dom0, take_out
from tasks.drives import came_with_clone, drives
from tasks.hands import Asked, Hands
from tasks.hunt import hunt, named
from tasks.looking import look
from tasks.making import know_lost_disks
from tasks.once import Failed, attempt, end_round
from tasks.owning import own, strange
from xenlaunch import names
from xenlaunch.errors import PASSING, PoolError, Refused
from xenlaunch.marks import marks_of_vm
from xenlaunch.model import Launch, Leftover
from xenlaunch.slots import host_slot, sr_slot
from xenlaunch.xapi.pool import Pool

SECONDS = 600
PATIENCE = 8
"""How often undo tries again what may pass by itself, before it names it as left over."""

OWN_DISKS_KNOWN: Final = frozenset(names.STEPS[names.STEPS.index(names.VIFS) :])
"""The steps in which all disks that came with the clone have been written down."""


def undo(launch: Launch, pool: Pool, aside: frozenset[str] = frozenset()) -> tuple[Leftover, ...]:
    """Remove what the launch has made, but for the disks aside; what is left, with what to do."""
    if not pool.touched:
        return ()
    pool.quiesce({CLONE: lambda: hunt(launch, pool)})
    know_lost_disks(launch, pool)
    left = [attempt("VIF", take_out, pool, vif) for vif in left_in_dom0(pool)]
    vms = dict(own_vms(launch, pool))
    for vm, record in vms.items():
        take_back(pool, vm, record)
    if launch.request.on_failure == "keep" and pool.outcome == "failed" and vms:
        return tuple(keep(launch, pool, vm, record) for vm, record in vms.items())
    failed = [one for found in left for one in found]
    for vm in vms:
        failed += remove_vm(pool, vm)
    for vdi in pool.made("VDI"):
        if vdi not in aside and vdi not in {ref for _, ref, _ in failed}:
            failed += attempt("VDI", remove_disk, pool, vdi)
    end_round(pool)
    passing = [error for _, _, error in failed if isinstance(error, PASSING)]
    if passing and pool.in_a_row(passing[0].code) < PATIENCE:
        raise passing[0]
    return (*named(pool), *(leftover(pool, cls, ref, error) for cls, ref, error in failed))


def take_back(pool: Pool, vm: str, record: dict[str, Any]) -> None:
    """A VM that was its owner's already, but for its name, is not any more."""
    if names.OTHER_CONFIG_FINISHED in record["other_config"]:
        key = names.OTHER_CONFIG_FINISHED
        pool.do(f"{names.UNDO}:take-back:{vm}", "VM.remove_from_other_config", vm, key)


def own_vms(launch: Launch, pool: Pool) -> Iterator[tuple[str, dict[str, Any]]]:
    """The VMs of this launch that are still there, each looked at before it is touched."""
    refs = set(pool.made("VM"))
    for number in range(1, pool.attempts(CLONE) + 1):
        name = names.working_name(launch.deployment, launch.id, number)
        refs |= set(pool.read("VM.get_by_name_label", name))
    for ref in sorted(refs):
        record = look(pool, "VM", ref)
        if record is not None and is_ours(launch, pool, record):
            pool.know("VM", ref, record["uuid"])
            yield ref, record


def is_ours(launch: Launch, pool: Pool, record: dict[str, Any]) -> bool:
    """A mark with another uuid in it was copied with the VM by somebody: that VM is theirs.

    But for the mark of what it was cloned from: that was copied by us.
    """
    mark = str(record["other_config"].get(names.OTHER_CONFIG_MARK, ""))
    sources = launch.template.marks if launch.template else frozenset()
    return mark in {"", *sources, pool.mark(record["uuid"])} and not record["is_a_snapshot"]


def remove_vm(pool: Hands, vm: str) -> list[Failed]:
    """Stop a VM, destroy the disks that came with it, and last its record; what could not be.

    The record stays while one of the disks does: they bear no mark, it is what tells of them.
    """
    failed = attempt("VM", unblock, pool, vm) + attempt("VM", stop, pool, vm)
    if failed:
        return failed
    for vdi in own_disks(pool, vm):
        pool.know("VDI", vdi)
        failed += attempt("VDI", remove_disk, pool, vdi)
    if failed:
        return [*failed, ("VM", vm, failed[0][2])]
    return attempt("VM", remove_record, pool, vm)


def unblock(pool: Hands, vm: str) -> None:
    """A launch that fails at its very end has blocked operations already, as it was asked to."""
    record = look(pool, "VM", vm)
    if record is not None and record["blocked_operations"]:
        pool.do(f"{names.UNDO}:unblock:{vm}", "VM.set_blocked_operations", vm, {})


def stop(pool: Hands, vm: str) -> None:
    """Stop a VM that is not halted: once more where it runs again after it was stopped."""
    keys = (f"{names.UNDO}:stop:{vm}:{number}" for number in itertools.count(1))
    key = next(key for key in keys if not pool.is_done(key))
    record = None if pool.is_open(key) else look(pool, "VM", vm)
    if not pool.is_open(key) and (record is None or record["power_state"] == "Halted"):
        return
    try:
        pool.run(
            *(key, "VM.hard_shutdown", vm),
            what="the VM to stop",
            seconds=SECONDS,
            find=lambda: "" if is_halted(pool, vm) else None,
            on=[host_slot(record["resident_on"])] if record else [],
        )
    except Refused:
        if not is_halted(pool, vm):
            raise


def is_halted(pool: Asked, vm: str) -> bool:
    record = look(pool, "VM", vm)
    return record is None or record["power_state"] == "Halted"


def own_disks(pool: Hands, vm: str) -> list[str]:
    """The disks that came with the clone, and not what somebody has put in their place since.

    A VM that the ledger knows by the pool alone has never been anybody's: all of its disks came so.
    """
    record = look(pool, "VM", vm)
    if record is None:
        return []
    whose = marks_of_vm(record)
    disks = [row["VDI"] for row in drives(pool, vm).values() if came_with_clone(row, whose)]
    is_known = vm == pool.vm and pool.failed_at in OWN_DISKS_KNOWN
    known = pool.made("VDI") if is_known else disks
    return [vdi for vdi in disks if vdi in known and vdi not in pool.lent]


def remove_record(pool: Hands, vm: str) -> None:
    pool.do(f"{names.UNDO}:vm:{vm}", "VM.destroy", vm)


def remove_disk(pool: Hands, vdi: str) -> None:
    """Destroy a disk; for one that is gone nothing is sent, though it may be looked at often."""
    key = f"{names.UNDO}:disk:{vdi}"
    sr = []
    if not pool.is_open(key):
        record = look(pool, "VDI", vdi)
        if record is None:
            return
        check_ours_alone(pool, record)
        sr = [sr_slot(record["SR"])]
    pool.run(key, "VDI.destroy", vdi, what="a disk to go", seconds=SECONDS, on=sr)


def check_ours_alone(pool: Hands, record: dict[str, Any]) -> None:
    """A disk that somebody has attached to a VM of theirs is not taken away from it."""
    for vbd in record.get("VBDs", ()):
        drive = look(pool, "VBD", vbd)
        if drive is not None and drive["VM"] not in pool.made("VM"):
            raise Refused(
                "DISK_IN_OTHER_HANDS",
                [record["uuid"], drive["VM"]],
                "It is attached to a VM that is not of this launch: keep it if it is wanted there.",
            )


def keep(launch: Launch, pool: Pool, vm: str, record: dict[str, Any]) -> Leftover:
    """Leave a failed VM for its owner to look at, and mark it so that nobody sweeps it."""
    for vdi in pool.made("VDI"):
        disk = look(pool, "VDI", vdi)
        if disk is not None and names.OTHER_CONFIG_MARK in disk["other_config"]:
            mark_kept(pool, "VDI", vdi, disk, launch.id)
    if strange(record, pool.mark(record["uuid"])):
        own(pool, vm, record, f"{names.UNDO}:{vm}:")
        record = pool.read("VM.get_record", vm)
    mark_kept(pool, "VM", vm, record, pool.deed())
    return Leftover(
        cls="VM",
        uuid=record["uuid"],
        advice="It was kept, as asked: remove it with its disks when you have looked at it.",
    )


def mark_kept(pool: Pool, cls: str, ref: str, record: dict[str, Any], value: str) -> None:
    key = names.OTHER_CONFIG_KEPT
    if key not in record["other_config"]:
        pool.do(f"{names.UNDO}:keep:{ref}", f"{cls}.add_to_other_config", ref, key, value)


def leftover(pool: Pool, cls: str, ref: str, error: PoolError) -> Leftover:
    record = look(pool, cls, ref) or {}
    uuid = record.get("uuid", ref)
    return Leftover(cls=cls, uuid=uuid, advice=f"Remove this {cls} by hand: {error.message}")
