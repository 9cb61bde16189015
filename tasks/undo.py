"""Undo: everything that exists because of a launch goes, and nothing else does.

It begins when no worker carries out a step of the launch and nothing of it runs in the pool. It
reads what was made from the ledger's facts, and looks for what nobody could write down: VMs under
the launch's working names. It goes on past what it cannot remove, and names it.
"""

from collections.abc import Iterator
from typing import Any

from xenlaunch import names
from xenlaunch.errors import Busy, PoolError, Refused
from xenlaunch.model import Launch, Leftover
from xenlaunch.xapi.pool import NULL, Pool

SECONDS = 600
PATIENCE = 10
"""How often undo tries again what the pool is too busy for, before it names it as left over."""


def undo(launch: Launch, pool: Pool) -> tuple[Leftover, ...]:
    """Remove what the launch has made; what is left of it, with what to do."""
    pool.quiesce()
    vms = dict(own_vms(launch, pool))
    if launch.request.on_failure == "keep" and pool.outcome == "failed" and vms:
        return tuple(keep(launch, pool, vm, record) for vm, record in vms.items())
    failed: list[tuple[str, str, PoolError]] = []
    for vm in vms:
        failed += [("VM", vm, error) for error in attempt(remove_vm, pool, vm)]
    for vdi in pool.made("VDI"):
        failed += [("VDI", vdi, error) for error in attempt(remove_disk, pool, vdi)]
    busy = [error for _, _, error in failed if isinstance(error, Busy)]
    if busy and pool.retries < PATIENCE:
        raise busy[0]
    return tuple(leftover(pool, cls, ref, error) for cls, ref, error in failed)


def own_vms(launch: Launch, pool: Pool) -> Iterator[tuple[str, dict[str, Any]]]:
    """The VMs of this launch that are still there, each looked at before it is touched."""
    refs = set(pool.made("VM"))
    for number in range(1, launch.attempt + 1):
        name = names.working_name(launch.deployment, launch.id, number)
        refs |= set(pool.read("VM.get_by_name_label", name))
    for ref in sorted(refs):
        record = look(pool, "VM", ref)
        if record is not None and is_ours(pool, record):
            pool.know("VM", ref, record["uuid"])
            yield ref, record


def is_ours(pool: Pool, record: dict[str, Any]) -> bool:
    """A mark with another uuid in it was copied with the VM by somebody: that VM is theirs."""
    mark = record["other_config"].get(names.OTHER_CONFIG_MARK)
    return mark in (None, pool.mark(record["uuid"])) and not record["is_a_snapshot"]


def look(pool: Pool, cls: str, ref: str) -> dict[str, Any] | None:
    """An object's record, or None where it is gone."""
    try:
        record: dict[str, Any] = pool.read(f"{cls}.get_record", ref)
    except Refused as refused:
        if refused.code == "HANDLE_INVALID":
            return None
        raise
    return record


def attempt(remove: Any, pool: Pool, ref: str) -> Iterator[PoolError]:
    try:
        remove(pool, ref)
    except PoolError as error:
        if error.code != "HANDLE_INVALID":
            yield error


def remove_vm(pool: Pool, vm: str) -> None:
    """Stop a VM, then destroy the disks that came with it, then its record."""
    record = look(pool, "VM", vm)
    if record is None:
        return
    if record["power_state"] != "Halted":
        key = f"{names.UNDO}:stop:{vm}"
        pool.run(key, "VM.hard_shutdown", vm, what="the VM to stop", seconds=SECONDS)
    rows = pool.read("VBD.get_all_records_where", f'field "VM"="{vm}"')
    for row in rows.values():
        marked = names.OTHER_CONFIG_MARK in row["other_config"]
        if row["type"] == "Disk" and row["VDI"] != NULL and not marked:
            remove_disk(pool, row["VDI"])
    pool.do(f"{names.UNDO}:vm:{vm}", "VM.destroy", vm)


def remove_disk(pool: Pool, vdi: str) -> None:
    if look(pool, "VDI", vdi) is not None:
        key = f"{names.UNDO}:disk:{vdi}"
        pool.run(key, "VDI.destroy", vdi, what="a disk to go", seconds=SECONDS)


def keep(launch: Launch, pool: Pool, vm: str, record: dict[str, Any]) -> Leftover:
    """Leave a failed VM for its owner to look at, and mark it so that nobody sweeps it."""
    if names.OTHER_CONFIG_KEPT not in record["other_config"]:
        key = names.OTHER_CONFIG_KEPT
        pool.do(f"{names.UNDO}:keep:{vm}", "VM.add_to_other_config", vm, key, launch.id)
    return Leftover(
        cls="VM",
        uuid=record["uuid"],
        advice="It was kept, as asked: remove it with its disks when you have looked at it.",
    )


def leftover(pool: Pool, cls: str, ref: str, error: PoolError) -> Leftover:
    record = look(pool, cls, ref) or {}
    uuid = record.get("uuid", ref)
    return Leftover(cls=cls, uuid=uuid, advice=f"Remove this {cls} by hand: {error.message}")
