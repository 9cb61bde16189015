"""Guest set-up: the drive that tells a guest what it is to be, and words in xenstore.

The drive is a disk like any that is made for a launch. What it holds goes into the pool by HTTP,
and may go there again: it is the same each time. A drive that is not to stay is removed when its
guest has said what it was waited for; where that does not come, or the guest will not let go of
the drive, it is named as left over, and the sweeper removes it once no VM has it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tasks.awaiting import await_word
from tasks.drives import drives, marked
from tasks.image import SIZE, image
from tasks.looking import look
from tasks.lookup import Reader, storage
from tasks.making import SETUP, MadeDisk, make_disk
from tasks.told import ANY
from tasks.vifs import derived_mac, interfaces
from xenlaunch import names
from xenlaunch.disks import NewDisk
from xenlaunch.errors import PASSING, Refused
from xenlaunch.guest import Guest
from xenlaunch.model import Launch, LaunchRequest, Leftover, Template
from xenlaunch.nics import devices_of
from xenlaunch.slots import host_slot, sr_slot
from xenlaunch.xapi.pool import UPLOAD, Pool

SECONDS: Final = 600
PATIENCE: Final = 4
"""How often the removal of a drive is tried again that fails as what passes by itself may fail."""

DRIVE: Final = NewDisk(new=SIZE)

READ: Final = "setup:read"
"""The guest has told that it has read the drive."""


def drive_of(request: LaunchRequest) -> Guest | None:
    """The guest's part of a request, if that wants a drive."""
    guest = request.guest
    return guest if guest is not None and guest.wants_drive else None


def setup_sr(request: LaunchRequest, template: Template, pool: Reader) -> str:
    """The SR of the set-up drive: as given, else where the template's disks lie; '' without one."""
    return next(sr_of_drive(request, [disk.sr for disk in template.disks], pool), "")


def sr_of_drive(request: LaunchRequest, srs: Sequence[str], pool: Reader) -> Iterator[str]:
    """The SR of the set-up drive, if there is to be one; ``srs``: those of the clone's disks."""
    guest = drive_of(request)
    if guest is not None:
        yield srs[0] if guest.sr is None and srs else storage(pool.records, guest.sr)[0]


def set_up(launch: Launch, pool: Pool, device: int) -> None:
    """Tell the guest all that the request tells it; the drive becomes this device."""
    if launch.request.guest is None:
        return
    guest = launch.request.guest.filled(words(launch, pool))
    if guest.xenstore_data:
        tell_xenstore(launch, pool, guest)
    if guest.wants_drive:
        vdi = make_disk(
            pool,
            MadeDisk(SETUP, launch.setup_sr),
            {"name_label": f"{launch.request.name} set-up", "virtual_size": SIZE},
        )
        name, uuid = launch.request.name, launch.vm_uuid
        pool.upload("upload", vdi, image(guest, instance=launch.id, uuid=uuid, name=name))
        attach(launch, pool, vdi, device)


def words(launch: Launch, pool: Pool) -> dict[str, str]:
    """What is filled in for this VM, by the words that stand for it."""
    nics = launch.request.nics
    if nics is None:
        rows = interfaces(pool, launch.vm).values()
        macs = {int(row["device"]): str(row["MAC"]) for row in rows}
    else:
        placed = zip(devices_of(nics), nics, strict=True)
        macs = {device: nic.mac or derived_mac(launch.id, device) for device, nic in placed}
    return filled_words(launch, macs)


def filled_words(launch: Launch, macs: Mapping[int, str]) -> dict[str, str]:
    """The same, with the MACs by device."""
    known = {f"mac:{device}": mac for device, mac in macs.items()}
    known |= {"mac": macs[min(macs)]} if macs else {}
    return {**known, "index": str(launch.index), "name": launch.request.name}


def tell_xenstore(launch: Launch, pool: Pool, guest: Guest) -> None:
    wanted = {f"vm-data/{key}": value for key, value in guest.xenstore_data.items()}
    present = pool.read("VM.get_xenstore_data", launch.vm)
    pool.do("xenstore", "VM.set_xenstore_data", launch.vm, {**present, **wanted})


def attach(launch: Launch, pool: Pool, vdi: str, device: int) -> None:
    mark = pool.mark(f"vbd:{SETUP}")
    record = {
        "VM": launch.vm,
        "VDI": vdi,
        "userdevice": str(device),
        "type": "Disk",
        "mode": "RW",  # a guest of HVM cannot have another disk
        "bootable": False,
        "unpluggable": True,
        "empty": False,
        "other_config": {names.OTHER_CONFIG_MARK: mark},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    pool.do(
        *(f"vbd:{SETUP}", "VBD.create", record),
        makes="VBD",
        find=lambda: marked(drives(pool, launch.vm), mark),
    )


# Removing the drive


def remove_drive(launch: Launch, pool: Pool) -> tuple[Leftover, ...]:
    """Take the drive from the guest that has read it; what could not be removed, if it could not.

    That it has read it nobody can see: so the request says what the guest is to have told first.
    """
    guest = drive_of(launch.request)
    if guest is None or guest.remove_after == "never":
        return ()
    vdi = pool.value(f"vdi:{SETUP}")
    if not has_read(launch, pool, guest):
        return (left(pool, vdi, "its guest has not told that it is up: it may not have read it"),)
    try:
        unplug(launch, pool)
        if look(pool, "VBD", pool.value(f"vbd:{SETUP}")) is not None:
            pool.do("setup:vbd", "VBD.destroy", pool.value(f"vbd:{SETUP}"))
        pool.run(
            *("setup:vdi", "VDI.destroy", vdi),
            what="the set-up drive to go",
            seconds=SECONDS,
            on=[sr_slot(launch.setup_sr)],
        )
    except (Refused, *PASSING) as error:
        if look(pool, "VDI", vdi) is None:
            return ()
        if isinstance(error, PASSING) and pool.in_a_row(error.code) < PATIENCE:
            raise
        return (left(pool, vdi, error.message.rstrip(".")),)
    return ()


def has_read(launch: Launch, pool: Pool, guest: Guest) -> bool:
    if pool.recall(READ) is None:
        said = await_word(launch, pool, None if guest.remove_after == "agent" else ANY)
        if said is None:
            return False
        pool.remember(READ, "yes")
    return True


def unplug(launch: Launch, pool: Pool) -> None:
    vbd = pool.value(f"vbd:{SETUP}")
    if is_unplugged(pool, vbd) and not pool.is_open("setup:unplug"):
        return
    try:
        pool.run(
            *("setup:unplug", "VBD.unplug", vbd),
            what="the guest to let go of its set-up drive",
            seconds=SECONDS,
            find=lambda: "" if is_unplugged(pool, vbd) else None,
            on=[host_slot(launch.host.ref)] if launch.host else (),
        )
    except Refused:
        if not is_unplugged(pool, vbd):
            raise


def is_unplugged(pool: Pool, vbd: str) -> bool:
    row = look(pool, "VBD", vbd)
    return row is None or not row["currently_attached"]


def left(pool: Pool, vdi: str, why: str) -> Leftover:
    record = look(pool, "VDI", vdi) or {}
    advice = f"It holds the VM's set-up data and was not removed ({why}): unplug and destroy it."
    return Leftover(cls="VDI", uuid=record.get("uuid", vdi), advice=advice)


# What is planned


def planned(request: LaunchRequest) -> list[str]:
    """The calls of `set_up`, as far as the request decides them."""
    guest = request.guest
    calls = ["VM.set_xenstore_data"] if guest and guest.xenstore_data else []
    made = ["VDI.create", "VDI.add_to_other_config", UPLOAD, "VBD.create"]
    return calls + made if drive_of(request) else calls


def planned_removal(request: LaunchRequest) -> list[str]:
    guest = drive_of(request)
    stays = guest is None or guest.remove_after == "never"
    return [] if stays else ["VBD.unplug", "VBD.destroy", "VDI.destroy"]
