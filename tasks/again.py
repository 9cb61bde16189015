"""Retry: a launch that failed begins again, as soon as nothing stands in its way.

What had failed was undone, but perhaps not to the end: that is tried once more, for nothing of the
first life may meet the second. A VM that was kept is gone on with, at the step that failed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tasks.looking import look
from tasks.undo import is_halted, own_vms, undo
from xenlaunch import names
from xenlaunch.model import Launch, Leftover
from xenlaunch.xapi.pool import Pool

GOES_ON: Final = frozenset(names.STEPS[names.STEPS.index(names.VBDS) :])
"""The steps at which a VM is whole, so that one that was kept can be gone on with."""


@dataclass(frozen=True)
class Again:
    """From which step on, and which calls are to be made anew, by their keys."""

    step: str
    anew: tuple[str, ...]


def again(launch: Launch, pool: Pool, calls: Iterable[str]) -> Again | tuple[Leftover, ...]:
    """How the launch begins again, or what is in its way; ``calls`` are the keys of all it made."""
    kept = [
        vm for vm, row in own_vms(launch, pool) if names.OTHER_CONFIG_KEPT in row["other_config"]
    ]
    if kept == [launch.vm] and pool.failed_at in GOES_ON:
        return go_on(launch, pool, calls)
    left = undo(launch, pool)
    return left or Again(names.CONNECT, tuple(key for key in calls if not is_undo(key)))


def go_on(launch: Launch, pool: Pool, calls: Iterable[str]) -> Again:
    """With the VM as it is, which is nobody's again."""
    for cls, ref in (("VM", launch.vm), *(("VDI", vdi) for vdi in pool.made("VDI"))):
        row = look(pool, cls, ref)
        if row is not None and names.OTHER_CONFIG_KEPT in row["other_config"]:
            key, method = f"{names.UNDO}:unkeep:{ref}", f"{cls}.remove_from_other_config"
            pool.do(key, method, ref, names.OTHER_CONFIG_KEPT)
    started = pool.failed_at in (names.START, names.POLL)
    step = names.NETWORK if started and is_halted(pool, launch.vm) else pool.failed_at
    anew = {key for key in calls if is_undo(key) or key == "finished"}
    if step == names.NETWORK:
        anew |= {key for key in calls if key.startswith(f"{names.START}:")}
    return Again(step, tuple(sorted(anew)))


def is_undo(key: str) -> bool:
    return key.startswith(f"{names.UNDO}:")
