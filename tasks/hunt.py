"""The hunt for disks that nobody can have written down: they bear no mark, and no VM has them.

`VM.clone` copies the disks first, and only then makes the VM. When the pool's toolstack restarts in
between, its task is gone and the copies stay, named as the template's disks are. Such a disk is
told from all others in five ways: it lies on the same SR with the same name and size; no VM has it;
it was not there when the launch connected; it is still without a VM when every copying that ran at
the first look has ended; and there are no more of its like than the launches that look for one can
have left. Where there are more, somebody else may have made one: then they are named, not removed.
"""

import json
from collections import Counter
from typing import Any, Final

from tasks.binding import CLONE, bound
from xenlaunch import names
from xenlaunch.errors import PASSING, Busy, PoolError
from xenlaunch.model import Launch, Leftover, TemplateDisk
from xenlaunch.slots import sr_slot
from xenlaunch.xapi.pending import Outcome
from xenlaunch.xapi.pool import Pool

COPYING: Final = frozenset(
    {"VM.clone", "VM.copy", "VM.snapshot", "VM.checkpoint", "VM.provision", "VM.import"}
    | {"VDI.clone", "VDI.copy", "VDI.snapshot", "VDI.create", "VM.migrate_send", "VM.revert"}
)
"""Calls that make a disk before anything has it."""

PATIENCE: Final = 120.0
"""For how many seconds other launches that lost a clone are waited for, so as to count them in."""

SECONDS: Final = 600
UNNAMED: Final = (
    "A clone that the pool broke off may have left this disk, or somebody else has made it just "
    "then: remove it if nobody misses it."
)


def loose_before(launch: Launch, pool: Pool) -> tuple[str, ...]:
    """The disks like the template's that no VM has and that are not this launch's: none yet is."""
    copies = launch.template.copies if launch.template else ()
    every = {*likes(launch), *(disk for copy in copies for disk in copy.disks)}
    return tuple(sorted({ref for like in every for ref in pool.loose_before(like)}))


def likes(launch: Launch) -> tuple[TemplateDisk, ...]:
    return tuple(dict.fromkeys(launch.template.disks)) if launch.template else ()


def hunt(launch: Launch, pool: Pool) -> None:
    """Remove what the latest attempt to clone has left without a mark, or name it."""
    launch = bound(launch, pool, pool.attempts(CLONE))
    over = f"hunt:{pool.attempts(CLONE)}:over"
    if not likes(launch) or pool.recall(over) is not None:
        return
    prey = find_prey(launch, pool)
    leftovers = [left for ref, row in prey.items() for left in remove(pool, ref, row)]
    pool.remember(over, json.dumps([left.model_dump() for left in leftovers]))
    pool.hunt("")


def find_prey(launch: Launch, pool: Pool) -> dict[str, dict[str, Any]]:
    """The disks that may be this launch's, each with ``ours``: whether that is sure enough."""
    since, suspects, copying = first_look(launch, pool)
    if not suspects:
        return {}
    tasks = pool.read("task.get_all_records") if copying else {}
    if any(not has_ended(tasks[ref]) for ref in copying if ref in tasks):
        raise Busy("CLONES_RUNNING", [], "Clones that run in the pool are waited for.")
    lost = lost_by_all(launch, pool)
    prey: dict[str, dict[str, Any]] = {}
    for like in likes(launch):
        found = {ref: row for ref, row in pool.loose(like).items() if ref in suspects}
        few = len(found) <= lost[key_of(like)]
        if not few and pool.now() - since < PATIENCE:
            raise Busy("DISKS_UNCLEAR", sorted(found), "It is not clear yet whose disks these are.")
        prey |= {ref: {**row, "ours": few} for ref, row in found.items()}
    return prey


def first_look(launch: Launch, pool: Pool) -> tuple[float, frozenset[str], tuple[str, ...]]:
    """When it was, the disks that no VM had then, and the tasks that may still give them to one."""
    key = f"hunt:{pool.attempts(CLONE)}"
    seen = pool.recall(key)
    if seen is None:
        # The disks first: whoever copied one of them is among the tasks, or has ended.
        loose = {ref for like in likes(launch) for ref in pool.loose(like)} - set(launch.loose)
        tasks = pool.read("task.get_all_records") if loose else {}
        copying = [ref for ref, row in tasks.items() if copies(row) and not has_ended(row)]
        seen = json.dumps([pool.now(), sorted(loose), copying])
        pool.remember(key, seen)
    since, loose, copying = json.loads(seen)
    return float(since), frozenset(loose), tuple(copying)


def copies(task: dict[str, Any]) -> bool:
    return str(task["name_label"]).removeprefix("Async.") in COPYING


def has_ended(task: dict[str, Any]) -> bool:
    return Outcome.from_record(task).ended


def lost_by_all(launch: Launch, pool: Pool) -> Counter[str]:
    """How many disks of each kind the launches that hunt now can have lost, this one included."""
    everyone = pool.hunt(json.dumps([key_of(like) for like in template_disks(launch)]))
    return Counter(key for told in everyone for key in json.loads(told))


def template_disks(launch: Launch) -> tuple[TemplateDisk, ...]:
    return launch.template.disks if launch.template else ()


def key_of(like: TemplateDisk) -> str:
    return like.model_dump_json()


def remove(pool: Pool, ref: str, row: dict[str, Any]) -> list[Leftover]:
    """Destroy a disk that is ours; what stays, with what to do about it."""
    if not row["ours"]:
        return [Leftover(cls="VDI", uuid=row["uuid"], advice=UNNAMED)]
    key = f"{names.UNDO}:loose:{ref}"
    try:
        pool.run(
            *(key, "VDI.destroy", ref),
            what="a lost disk to go",
            seconds=SECONDS,
            on=[sr_slot(row["SR"])],
        )
    except PASSING:
        raise
    except PoolError as error:
        if error.code != "HANDLE_INVALID":
            advice = f"Remove this VDI by hand: {error.message}"
            return [Leftover(cls="VDI", uuid=row["uuid"], advice=advice)]
    return []


def named(pool: Pool) -> tuple[Leftover, ...]:
    """What the hunts of this launch had to leave, attempt by attempt."""
    told = (pool.recall(f"hunt:{n}:over") for n in range(1, pool.attempts(CLONE) + 1))
    left = [one for text in told if text for one in json.loads(text)]
    return tuple(Leftover.model_validate(one) for one in left)
