"""The steps of a launch that makes a copy of a template on another SR.

The copy bears a working name until it is whole: it gets the template's name in the last call of
all, so no launch ever takes half a copy for a template. It says in its marks whose it is, and what
it was copied from; what was broken off on the way is undone, hunted and swept as any clone is.
"""

from typing import Any, Final

from tasks import lookup, remains
from tasks.binding import CLONE
from tasks.clone import whole_clone, working_name
from tasks.connect import pinned_template, surely
from tasks.copied import COPY_SECONDS
from tasks.copies import copies, copy_of, shape
from tasks.drives import came_with_clone, drives
from tasks.hunt import loose_before, named
from tasks.owning import own
from tasks.poll import finish
from tasks.sizes import check_sizes
from tasks.storage import check_persists, name_of
from xenlaunch import names
from xenlaunch.errors import Refused
from xenlaunch.fields import show_size
from xenlaunch.model import Launch
from xenlaunch.slots import copy_slot
from xenlaunch.xapi.pool import Pool

COPY_OF: Final = "copy-of"


def choose(launch: Launch, pool: Pool) -> Launch:
    """Pin the template and the SR, and see that the copy has room there. Nothing is made."""
    remains.clear(launch, pool)
    pinned = surely(pin, launch, pool)
    return pinned.but(loose=loose_before(pinned, pool))


def pin(launch: Launch, pool: lookup.Reader) -> Launch:
    [source] = copies(pool, launch.request.template)
    sr, _ = lookup.storage(pool.records, launch.request.sr)
    check_target(pool, source.record["name_label"], sr)
    disks = tuple(disk.but(sr=sr) for disk in source.disks.values())
    check_room(pool, launch.request.name, sr, sum(disk.size for disk in disks))
    check_sizes([(sr, disk.size) for disk in disks], pool.records)
    for drive in lookup.drives_of(pool, source.record):
        if drive["type"] == "Disk":
            name = source.record["name_label"]
            check_persists(lookup.device_of(drive), drive["VDI"], name, pool)
    return launch.but(template=pinned_template(source, sr, disks))


def check_target(pool: lookup.Reader, name: str, sr: str, but: str = "") -> None:
    """Of two copies on one SR no launch could choose one: there must be none, but this one."""
    if any(sr in copy.srs and copy.ref != but for copy in copies(pool, name)):
        where = name_of(pool, sr)
        said = f"The template {name!r} has a copy on the storage repository {where!r} already."
        raise Refused("COPY_EXISTS", [name, where], said)


def check_room(pool: lookup.Reader, name: str, sr: str, size: int) -> None:
    free = lookup.room(pool.records, sr)
    if free < size:
        raise Refused(
            "SR_FULL",
            [str(size), str(free)],
            f"The storage repository {name_of(pool, sr)!r} has {show_size(free)} free, and a "
            f"copy of the template {name!r} wants {show_size(size)} of it.",
        )


def copy(launch: Launch, pool: Pool) -> Launch:
    """Copy the template to the SR under a working name, and mark the copy as what it is."""
    assert launch.template is not None  # noqa: S101  `choose` has pinned it
    vm = pool.run(
        *(CLONE, "VM.copy", launch.template.ref),
        lambda attempt: working_name(launch, attempt),
        launch.template.copy_to,
        what=f"the copy on {name_of(pool, launch.template.copy_to)}",
        seconds=COPY_SECONDS,
        makes="VM",
        find=lambda: whole_clone(launch, pool),
        on=[copy_slot(launch.template.copy_to)],
    )
    record = pool.read("VM.get_record", vm)
    pool.know("VM", vm, record["uuid"])
    own(pool, vm, record)
    say_what_of(launch, pool, vm)
    for row in drives(pool, vm).values():
        if came_with_clone(row, pool.mark("")):
            pool.know("VDI", row["VDI"])
    return launch.but(vm=vm, vm_uuid=record["uuid"], leftovers=named(pool))


def say_what_of(launch: Launch, pool: Pool, vm: str) -> None:
    assert launch.template is not None  # noqa: S101  `choose` has pinned it
    key = names.OTHER_CONFIG_COPY
    pool.do(
        *(COPY_OF, "VM.add_to_other_config", vm, key, launch.template.uuid),
        find=lambda: "" if key in pool.read("VM.get_other_config", vm) else None,
    )


def keep(launch: Launch, pool: Pool) -> Launch:
    """See that the copy is what the template is, and give it the template's name."""
    record = pool.read("VM.get_record", launch.vm)
    check_alike(launch, pool, record)
    pool.no_way_back()
    finish(launch, pool, record)
    return launch


def check_alike(launch: Launch, pool: Pool, record: dict[str, Any]) -> None:
    """Templates of one name that differ are of use to nobody: then the name alone tells nothing."""
    assert launch.template is not None  # noqa: S101  `choose` has pinned it
    pool.records.barrier()
    check_target(pool, launch.template.name, launch.template.copy_to, launch.vm)
    source = pool.records.get("vm", launch.template.ref)
    if source is None:
        return
    made = copy_of(pool, launch.vm, record)
    same_name = source["name_label"] == launch.template.name
    alike = same_name and shape(pool, made) == shape(
        pool, copy_of(pool, launch.template.ref, source)
    )
    if not (alike and made.srs == (launch.template.copy_to,) and record["is_a_template"]):
        raise Refused(
            "TEMPLATE_CHANGED",
            [launch.template.uuid, launch.template.name],
            f"The template {launch.template.name!r} or its copy was changed while it was copied: "
            "make the copy once more.",
        )
