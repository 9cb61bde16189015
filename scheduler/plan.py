"""What a launch would do, without doing it: every look-up and every rule, host by host."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from scheduler.asking import Said, ask
from scheduler.inventory import Inventory
from scheduler.overview import Sight
from scheduler.placement import HostRoom, Need, Placed, refusals
from scheduler.plan_drives import planned_drives
from scheduler.plan_networks import planned_bridges, planned_networks
from tasks import lookup
from tasks.connect import pin
from tasks.copied import adapting
from tasks.copies import Copy, copies, roomiest
from tasks.making import finishing
from tasks.owning import disowned, strange
from tasks.setup import planned, planned_removal
from tasks.shape import changes
from tasks.vifs import addresses_of
from xenlaunch.disks import NewDisk
from xenlaunch.errors import PoolError
from xenlaunch.model import Launch, LaunchRequest

PoolFor = Callable[[LaunchRequest], str]

ANY_SPEED: Final = 1000
"""The calls do not depend on how fast the host is, only what they say does."""


def plan(request: LaunchRequest, sight: Sight, pool_for: PoolFor) -> dict[str, Any]:
    """The pool, template, hosts and calls of a launch, and the error that it would end with."""
    answer: dict[str, Any] = {
        "pool": request.pool if isinstance(request.pool, str) else None,
        "placement": request.placement,
        "group": request.group.mark if request.group else None,
        "template": None,
        "memory": None,
        "vcpus": None,
        "hosts": [],
        "drives": [],
        "networks": [],
        "calls": [],
        "error": None,
    }
    try:
        answer["pool"] = pool_for(request)
        inventory = sight.inventory(answer["pool"])
        template = roomiest(inventory.records, copies(inventory, request.template)).ref
        need = inventory.need(request, {})
        answer |= {"memory": need.memory, "vcpus": need.vcpus}
        held = sight.ledger.in_flight(answer["pool"])
        hosts_now = inventory.hosts(held)
        verdict = inventory.place(hosts_now, need, held)
        need = replace(need, gpu=verdict.gpu) if isinstance(verdict, Placed) else need
        rooms = inventory.with_gpus(hosts_now, need.gpu, held).values()
        answer["hosts"] = hosts(rooms, need, ask(request, template, inventory))
        fitting = [row["host"] for row in answer["hosts"] if row["fits"]]
        return answer | _pinned(request, inventory, answer["pool"], fitting)
    except PoolError as error:
        return answer | {"error": error.as_record()}


def hosts(
    rooms: Iterable[HostRoom], need: Need, said_of: Callable[[str], Said]
) -> list[dict[str, Any]]:
    """Each host: whether the VM fits, why not, and what the pool says against its template."""
    found, rooms = [], list(rooms)
    reasons = refusals(rooms, need)
    for host in sorted(rooms, key=lambda room: room.name):
        said = said_of(host.ref)
        reason = reasons[host.ref] or (said.sentence if said.holds else "")
        verdict = {"host": host.name, "fits": not reason, "reason": reason}
        found.append({**verdict, "template": said.sentence})
    return found


def _pinned(
    request: LaunchRequest, inventory: Inventory, pool: str, fitting: Sequence[str]
) -> dict[str, Any]:
    copy = roomiest(inventory.records, copies(inventory, request.template))
    launch = pin(Launch(id="l-plan", deployment="plan", pool=pool, request=request), inventory)
    row = inventory.read("VM.get_record", copy.ref)  # the cache has not all of it
    template = {"name": row["name_label"], "uuid": row["uuid"], "sr": home(inventory, copy)}
    template["copies"] = [home(inventory, one) for one in inventory.copies(request.template)]
    networks = planned_networks(request, inventory)
    disks = {
        str(lookup.device_of(drive)): inventory.read("VDI.get_record", drive["VDI"])
        for drive in (lookup.drives_of(inventory, row) if request.template_disks else ())
        if drive["type"] == "Disk"
    }
    making = [call for network in networks for call in network["makes"]]
    bridges = planned_bridges(request, row, inventory, fitting)
    return {
        "template": template,
        "drives": planned_drives(launch, row, inventory),
        "networks": networks,
        "calls": calls(launch, row, inventory, Beside(disks, making, bridges)),
    }


def home(inventory: Inventory, copy: Copy) -> str | None:
    """The name of the storage repository that a copy lies on, if it is one."""
    row = inventory.records.get("sr", copy.srs[0]) if len(copy.srs) == 1 else None
    return row["name_label"] if row else None


@dataclass(frozen=True)
class Beside:
    """What `calls` cannot tell from request and template: the records of the template's disks, by
    device, the calls that make networks, and those that bring up bridges.
    """

    disks: Mapping[str, lookup.Row]
    making: Sequence[str]
    bridges: Sequence[str]


def calls(launch: Launch, template: lookup.Row, pool: Inventory, beside: Beside) -> list[str]:
    """The changing calls of a launch in their order, as far as the request decides them."""
    request = launch.request
    made = ["VM.copy" if request.clone == "full" else "VM.clone"]
    made += ["VM.remove_from_other_config"] * len(strange(template, ""))
    made += ["VM.add_to_other_config"]
    made += ["VM.remove_from_other_config"] if "disks" in template["other_config"] else []
    made += ["VM.provision"] if template["is_a_template"] else []
    made += _prefers(request, template, pool)
    is_8_2 = lookup.has_8_2(pool.records)
    shaping = changes(request, as_cloned(disowned(template, "")), ANY_SPEED, is_8_2=is_8_2)
    made += [change.method for change in shaping]
    made += [*["VGPU.destroy"] * len(template["VGPUs"]), "VGPU.create"] if request.gpu else []
    made += adapting(launch, beside.disks)
    for disk in request.disks:
        made += ["VDI.create", "VDI.add_to_other_config"] if isinstance(disk, NewDisk) else []
        made += ["VBD.create"]
    made += planned(request)
    if request.nics is not None:
        made += ["VIF.destroy"] * len(template["VIFs"])
        made += beside.making
        for nic in request.nics:
            made += ["VIF.create"]
            made += [f"VIF.configure_{version}" for version, _, _ in addresses_of(nic)]
    made += beside.bridges
    made += ["VM.start_on", *planned_removal(request), *finishing(launch)]
    made += ["VM.add_to_other_config", "VM.set_name_label"]
    return [*made, *(["VM.set_blocked_operations"] if request.blocked_operations else [])]


def as_cloned(record: lookup.Row) -> lookup.Row:
    """What XAPI's clone of a VM does not have of it."""
    return {**record, "order": "0", "start_delay": "0", "shutdown_delay": "0"}


def _prefers(request: LaunchRequest, template: lookup.Row, pool: Inventory) -> list[str]:
    if request.host is None:
        return []
    ref, _ = lookup.one("host", pool.records.all("host"), request.host)
    return [] if template["affinity"] == ref else ["VM.set_affinity"]
