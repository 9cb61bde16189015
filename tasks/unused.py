"""A copy of a template that is to go: first nobody may be cloning it, nor have chosen it.

It has its working name again by then, so no launch chooses it any more. Those that had chosen it
before are waited for; a VM that was cloned from it needs it no longer.
"""

from collections.abc import Mapping
from typing import Any

from tasks.drives import came_with_clone, drives
from tasks.looking import look
from xenlaunch import names
from xenlaunch.errors import Busy
from xenlaunch.model import Launch
from xenlaunch.users import SLACK_MS
from xenlaunch.xapi.pool import Pool


def is_copy(record: Mapping[str, Any]) -> bool:
    """Whether a launch made this as a copy of a template, if it made it at all."""
    return names.OTHER_CONFIG_COPY in record.get("other_config", {})


def know_copied_disks(launch: Launch, pool: Pool) -> None:
    """All disks of a copy came with it: also where Redis has lost what it knew of them."""
    for row in drives(pool, launch.vm).values():
        if came_with_clone(row, pool.mark("")):
            pool.know("VDI", row["VDI"])


def check_unused(launch: Launch, pool: Pool, renamed: str) -> None:
    """Raise `Busy` while somebody may use the copy; ``renamed``: the call that took its name."""
    if pool.now() < pool.since(renamed) + SLACK_MS / 1000:
        said = "The copy took its name a moment ago: who has not heard of it may still choose it."
        raise Busy("TEMPLATE_IN_USE", [launch.vm], said)
    users = pool.users(launch.vm, renamed)
    if users:
        shown = ", ".join(users[:3])
        said = f"The copy is about to be cloned by {len(users)} launches, among them {shown}."
        raise Busy("TEMPLATE_IN_USE", users[:20], said)
    record = look(pool, "VM", launch.vm) or {}
    if record.get("current_operations"):
        raise Busy("TEMPLATE_IN_USE", [launch.vm], "The copy is being cloned just now.")
