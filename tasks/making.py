"""Making disks: each with our mark from its first moment, signed, and handed over at the end.

Whose a disk is must be told from the disk alone, by a sweeper that knows nothing else. So it is
made with the mark of its launch, and bears its own ref as soon as it has one: a copy of it bears
another's. Until the launch succeeds its description is ours, by which such disks are listed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tasks.drives import marked
from xenlaunch import names
from xenlaunch.disks import NewDisk
from xenlaunch.model import Launch
from xenlaunch.slots import sr_slot
from xenlaunch.xapi.pool import NULL, Pool

SECONDS: Final = 3600
SETUP: Final = "setup"
"""The key of the drive with the guest's set-up data."""


@dataclass(frozen=True)
class MadeDisk:
    """A disk that is made for a launch: ``key`` tells it from the launch's others."""

    key: str
    sr: str
    stays: bool = True  # whether it becomes the VM's owner's when the launch succeeds


def made_disks(launch: Launch) -> Iterator[MadeDisk]:
    """The disks that are made for a launch, as far as it knows yet where."""
    for index, (disk, sr) in enumerate(zip(launch.request.disks, launch.sources, strict=False)):
        if isinstance(disk, NewDisk):
            yield MadeDisk(str(index), sr)
    for copied, sr in zip(launch.request.template_disks, launch.moves, strict=False):
        if sr != NULL:
            yield MadeDisk(moved_key(copied.device), sr)
    if launch.setup_sr:
        guest = launch.request.guest
        yield MadeDisk(SETUP, launch.setup_sr, guest is None or guest.remove_after == "never")


def moved_key(device: int) -> str:
    """The key of the disk that is made because one of the template's is moved."""
    return f"template-{device}"


def make_disk(pool: Pool, made: MadeDisk, record: Mapping[str, Any]) -> str:
    """Make a disk on its SR; what the record does not say is as most disks have it.

    Its description is kept until the disk is its owner's: ours is what such a disk is listed by.
    """
    if "name_description" in record and pool.recall(described(made)) is None:
        pool.remember(described(made), record["name_description"])
    usual = {"type": "user", "sharable": False, "read_only": False}
    mark = {names.OTHER_CONFIG_MARK: pool.mark(f"vdi:{made.key}")}
    marks = {**record.get("other_config", {}), **mark}
    ours = {"name_description": names.MADE_BY_US, "SR": made.sr, "other_config": marks}
    vdi = pool.run(
        f"vdi:{made.key}",
        "VDI.create",
        {**usual, **record, **ours},
        what=f"disk {made.key}",
        seconds=SECONDS,
        makes="VDI",
        find=lambda: find_disk(pool, made),
        on=[sr_slot(made.sr)],
    )
    sign(pool, made, vdi)
    return vdi


def described(made: MadeDisk) -> str:
    return f"description:{made.key}"


def sign(pool: Pool, made: MadeDisk, vdi: str) -> None:
    """Write a new disk's own ref on it, which tells it from all copies that are made of it."""
    key = names.OTHER_CONFIG_DISK
    pool.do(
        f"sign:{made.key}",
        *("VDI.add_to_other_config", vdi, key, vdi),
        find=lambda: "" if key in pool.read("VDI.get_other_config", vdi) else None,
    )


def find_disk(pool: Pool, made: MadeDisk) -> str | None:
    """The disk that was made for this launch on this SR, though nobody heard of it."""
    rows = pool.read("VDI.get_all_records_where", f'field "SR"="{made.sr}"')
    mine = {ref: row for ref, row in rows.items() if not is_copy(ref, row)}
    return marked(mine, pool.mark(f"vdi:{made.key}"))


def is_copy(ref: str, row: Mapping[str, Any]) -> bool:
    """A disk that somebody has made of one of ours: it bears our mark, and another's ref."""
    signed = row["other_config"].get(names.OTHER_CONFIG_DISK, ref)
    return bool(signed != ref or row["is_a_snapshot"])


def know_lost_disks(launch: Launch, pool: Pool) -> None:
    """Disks that may have been made without anybody hearing of it: they bear our mark."""
    for made in made_disks(launch):
        if pool.is_doubtful(f"vdi:{made.key}"):
            vdi = find_disk(pool, made)
            if vdi is not None:
                pool.know("VDI", vdi)


def finish_disks(launch: Launch, pool: Pool) -> None:
    """From here a new disk is its owner's, who may take it off the VM and keep it."""
    for made in filter(lambda one: one.stays, made_disks(launch)):
        finish_disk(launch, pool, made, pool.value(f"vdi:{made.key}"))


def finishing(launch: Launch) -> list[str]:
    """The calls that `finish_disks` makes, as far as the request decides them."""
    said = sum(
        isinstance(one, NewDisk) and one.description is not None for one in launch.request.disks
    )
    said += sum(sr != NULL for sr in launch.moves)
    made = sum(one.stays for one in made_disks(launch))
    return ["VDI.add_to_other_config"] * made + ["VDI.set_name_description"] * said


def finish_disk(launch: Launch, pool: Pool, made: MadeDisk, vdi: str) -> None:
    key = names.OTHER_CONFIG_FINISHED
    pool.do(
        f"finished:{made.key}",
        *("VDI.add_to_other_config", vdi, key, launch.id),
        find=lambda: "" if key in pool.read("VDI.get_other_config", vdi) else None,
    )
    description = pool.recall(described(made))
    if description is not None:
        pool.do(f"describe:{made.key}", "VDI.set_name_description", vdi, description)
