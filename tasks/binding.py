"""Which copy of its template a launch clones: the one whose storage has a slot for it first.

Copies on several SRs are one template, and all are used: whoever clones waits in the lines of all
of them, so each gets as many as it is fast. What was chosen is written down for the attempt before
anything is sent, for whoever looks after a crash for what that attempt has left.
"""

from typing import Final

from tasks.copies import Copy
from xenlaunch import names
from xenlaunch.model import Launch, LaunchRequest, Template, TemplateCopy
from xenlaunch.slots import sr_slot
from xenlaunch.xapi.pool import Pool

CLONE: Final = "clone"


def choices(request: LaunchRequest, listed: tuple[Copy, ...]) -> tuple[TemplateCopy, ...]:
    """The copies among which a launch may choose late; none where it is bound to the one chosen.

    It is where the disks are copied in full (for which the SR must have room, that was looked for)
    or moved, or lie on several SRs.
    """
    late = request.clone == "fast" and all(disk.sr is None for disk in request.template_disks)
    if len(listed) < 2 or not late or any(len(copy.srs) != 1 for copy in listed):
        return ()
    return tuple(
        TemplateCopy(
            ref=copy.ref,
            uuid=copy.record["uuid"],
            sr=copy.srs[0],
            disks=tuple(copy.disks.values()),
            mark=mark_of(copy),
        )
        for copy in listed
    )


def mark_of(copy: Copy) -> str:
    return str(copy.record["other_config"].get(names.OTHER_CONFIG_MARK, ""))


def bind(launch: Launch, pool: Pool) -> Launch:
    """The launch with the copy that it clones, for which it may have to wait."""
    template = launch.template
    if template is None or not template.copies:
        return launch
    attempt = pool.attempts(CLONE)
    if not (pool.is_open(CLONE) or pool.is_done(CLONE)):
        attempt += 1
        if pool.recall(_key(attempt)) is None:
            copies = {sr_slot(copy.sr): copy for copy in within_reach(launch, template, pool)}
            pool.remember(_key(attempt), copies[pool.slot(CLONE, copies)].ref)
    return bound(launch, pool, attempt)


def bound(launch: Launch, pool: Pool, attempt: int) -> Launch:
    """The launch with the copy that this attempt to clone has chosen, if it has."""
    template = launch.template
    ref = pool.recall(_key(attempt)) if template and template.copies else None
    if template is None or ref is None:
        return launch
    copy = next(copy for copy in template.copies if copy.ref == ref)
    beside = {disk.sr for disk in template.disks} == {launch.setup_sr}
    return launch.but(
        template=template.but(ref=copy.ref, uuid=copy.uuid, disks=copy.disks, mark=copy.mark),
        setup_sr=copy.sr if beside and is_left_open(launch.request) else launch.setup_sr,
    )


def is_left_open(request: LaunchRequest) -> bool:
    """Whether the set-up drive lies where the template's disks do."""
    return request.guest is not None and request.guest.sr is None


def within_reach(launch: Launch, template: Template, pool: Pool) -> tuple[TemplateCopy, ...]:
    """The copies on storage that the chosen host reaches."""
    host = launch.host.ref if launch.host else ""
    reached = {
        row["SR"]
        for row in pool.records.all("pbd").values()
        if row["host"] == host and row["currently_attached"]
    }
    return tuple(copy for copy in template.copies if copy.sr in reached) or template.copies


def _key(attempt: int) -> str:
    return f"copy:{attempt}"
