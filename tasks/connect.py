"""The first step: reach the pool, and check that all that the request names is there."""

from collections.abc import Callable

from tasks import attaching, graphics, lookup, remains, storage
from tasks.binding import choices
from tasks.copies import Copy, copies, reached_from, roomiest
from tasks.cpu import promised_speed
from tasks.hunt import loose_before
from tasks.licence import check_licence
from tasks.nets import net_of
from tasks.setup import DRIVE, setup_sr
from tasks.sizes import check_sizes, sized
from tasks.source import check_source
from tasks.suits import check_machine
from tasks.suits_guest import check_addresses, check_guest
from xenlaunch import names
from xenlaunch.errors import Refused
from xenlaunch.model import Launch, LaunchRequest, Template, TemplateDisk
from xenlaunch.xapi.pool import Pool

Pin = Callable[[Launch, Pool], Launch]


def connect(launch: Launch, pool: Pool) -> Launch:
    """Pin the template, disks and networks that the launch will use. Nothing is made."""
    remains.clear(launch, pool)
    pinned = surely(pin, launch, pool)
    shared = shared_networks(launch.request, pool)
    if shared:
        # First they are kept from being pruned, then they are looked up: so they will be there.
        pool.use(shared)
        pool.records.barrier()
        pinned = pin(launch, pool)
    pool.claim(attaching.written_alone(pinned.request, pinned.sources, pool))
    return pinned.but(loose=loose_before(pinned, pool))


def surely(pin: Pin, launch: Launch, pool: Pool) -> Launch:
    """What a launch will use: the cache may be a moment old, so it is looked at twice."""
    try:
        return pin(launch, pool)
    except Refused:
        pool.records.barrier()
        return pin(launch, pool)


def pin(launch: Launch, pool: lookup.Reader) -> Launch:
    request = launch.request
    listed = copies(pool, request.template)
    host = launch.host.ref if launch.host else ""
    copy = roomiest(pool.records, reached_from(pool.records, listed, host))
    row = copy.record
    check_source(row)
    disks, copy_to = storage.copied(request, copy.disks, pool)
    chosen = pinned_template(copy, copy_to, tuple(disks.values()))
    chosen = chosen.but(copies=choices(request, listed))
    is_8_2, has_ha = lookup.has_8_2(pool.records), lookup.has_ha(pool.records)
    check_machine(request, row, is_8_2=is_8_2, has_ha=has_ha)
    check_licence(request, row, pool.records, is_8_2=is_8_2)
    check_devices(request, chosen, pool, row)
    check_macs(request, pool)
    check_guest(launch, row, pool)
    cloned = (one.record for one in listed) if chosen.copies else (row,)
    check_addresses(request, cloned, pool.records)
    if request.gpu is not None:
        graphics.find(request.gpu, pool.records)
    if request.host is not None:
        lookup.one("host", pool.records.all("host"), request.host)
    sources = tuple(attaching.source(disk, pool) for disk in request.disks)
    attaching.check_shared(request, sources, pool)
    moves = storage.moves(request, disks, pool)
    storage.check_copied(request, row, moves, pool)
    drive = setup_sr(request, chosen, pool)
    wishes = storage.wishes(request, disks, sources, moves, pool)
    storage.check_room([*wishes, *([(drive, DRIVE.new)] if drive else [])], pool)
    check_sizes(sized(request, disks, sources, moves), pool.records)
    promised_speed(launch, pool.records)
    return launch.but(
        template=chosen,
        setup_sr=drive,
        sources=sources,
        moves=moves,
        networks=networks(request, pool),
    )


def pinned_template(copy: Copy, copy_to: str, disks: tuple[TemplateDisk, ...]) -> Template:
    """One copy of a template as a launch remembers it; ``disks`` as its clone has them."""
    row = copy.record
    return Template(
        ref=copy.ref,
        uuid=row["uuid"],
        name=row["name_label"],
        vbds=len(row["VBDs"]),
        vifs=len(row["VIFs"]),
        pv=lookup.is_pv(row),
        mark=row["other_config"].get(names.OTHER_CONFIG_MARK, ""),
        copy_to=copy_to,
        disks=disks,
    )


def check_devices(
    request: LaunchRequest, template: Template, pool: lookup.Reader, row: lookup.Row
) -> None:
    """A device that is asked for must not be one that the template has given away."""
    drives = (pool.records.get("vbd", vbd) for vbd in row["VBDs"])
    left_out = {str(disk.device) for disk in request.template_disks if not disk.keep}
    taken = {str(lookup.device_of(drive)) for drive in drives if drive} - left_out
    for disk in request.disks:
        if str(disk.device) in taken:
            raise Refused(
                "DEVICE_TAKEN",
                [str(disk.device)],
                f"The template {template.name!r} has a disk at device {disk.device} already: "
                "choose another device, or leave it out.",
            )


def check_macs(request: LaunchRequest, pool: lookup.Reader) -> None:
    """A MAC that is given must be unused: XAPI itself would take it twice."""
    given = [nic.mac for nic in request.nics or () if nic.mac]
    for mac, holder in sorted(lookup.mac_holders(pool.records, given).items()):
        raise Refused("MAC_IN_USE", [mac], f"The MAC address {mac} is in use by {holder!r}.")


def networks(request: LaunchRequest, pool: lookup.Reader) -> tuple[str, ...]:
    """The network of each NIC, or '' where it is still to be made."""
    return tuple(net_of(pool, nic).ref for nic in request.nics or ())


def shared_networks(request: LaunchRequest, pool: lookup.Reader) -> list[str]:
    """The bridges of the networks that are the deployment's, made or to be made."""
    found = (net_of(pool, nic) for nic in request.nics or ())
    return sorted({net.bridge for net in found if net.ours})
