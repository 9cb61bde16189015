"""What a pool has to give right now, read from its cached records and our own reservations."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from scheduler.placement import HostRoom, Need, overhead
from scheduler.reachable import OutOfReach, Reasons, out_of_reach, srs_of
from tasks import graphics, lookup
from tasks.copies import copies, roomiest
from tasks.nets import net_of
from xenlaunch.disks import ExistingDisk, Iso
from xenlaunch.errors import PoolError, Refused
from xenlaunch.marks import launch_of_vm
from xenlaunch.model import LaunchRequest
from xenlaunch.nics import Nic
from xenlaunch.xapi.reach import Reach
from xenlaunch.xapi.records import Records

Reservations = Mapping[str, Mapping[str, Any]]


class Inventory:
    """A pool for those who decide: rows are what a look-up reads, and nothing is ever changed."""

    def __init__(self, reach: Reach, deployment: str) -> None:
        self.records: Records = reach.records
        self.template_disk = reach.template_disk
        self.traffic = reach.traffic
        self._reach = reach
        self._deployment = deployment
        self._templates: dict[str, Mapping[str, Any]] = {}
        self._shut_by_nics: dict[tuple[Nic, ...], Reasons] = {}
        self._beyond: dict[frozenset[str], OutOfReach] = {}
        self._isos: dict[str, str] = {}

    def read(self, method: str, *params: Any) -> Any:
        return self._reach.session.read(method, *params)

    def hosts(self, reservations: Reservations) -> dict[str, HostRoom]:
        """Every host with what it has free, after our reservations."""
        taken, counted = self._taken()
        for launch, held in reservations.items():
            if launch not in counted:
                taken[held["host"]] = taken.get(held["host"], 0) + int(held["memory"])
        metrics = self.records.all("host_metrics")
        return {
            ref: _room(ref, row, metrics.get(row["metrics"], {}), taken.get(ref, 0))
            for ref, row in self.records.all("host").items()
        }

    def with_gpus(
        self, hosts: Mapping[str, HostRoom], wanted: str, reservations: Reservations
    ) -> dict[str, HostRoom]:
        """The hosts with how many virtual GPUs they have free, after our reservations.

        A launch whose VM is on a host has its GPU there already.
        """
        if not wanted:
            return dict(hosts)
        group, _, kind = wanted.partition(" ")
        room = graphics.room(self.records, graphics.Wanted(group, kind))
        counted = self._taken()[1]
        held = Counter(
            one["host"]
            for launch, one in reservations.items()
            if one.get("gpu") == wanted and launch not in counted
        )
        found = {}
        for ref, host in hosts.items():
            free, idle = room.get(ref, (0, 0))
            found[ref] = replace(host, gpus=(free - held[ref], idle))
        return found

    def _taken(self) -> tuple[dict[str, int], set[str]]:
        """The memory that VMs take on each host, and the launches whose VMs are among them."""
        taken: dict[str, int] = {}
        counted: set[str] = set()
        hosts = self.records.all("host")
        for row in self.records.all("vm").values():
            host = next((row[f] for f in _WHERE if row[f] in hosts), None)
            if host is None:
                continue
            size = int(row["memory_dynamic_min"]) + int(row["memory_overhead"])
            taken[host] = taken.get(host, 0) + size
            counted.add(launch_of_vm(row, self._deployment))
        return taken, counted

    def need(self, request: LaunchRequest, avoid: Mapping[str, str], pinned: str = "") -> Need:
        """What a launch will take; ``pinned``: the uuid of the template that it has taken already.

        A template that is missing takes nothing: `connect` will say.
        """
        row = (self._template(pinned) if pinned else {}) or self._template(request.template)
        beyond = self._out_of_reach(request, row)
        memory = request.least_memory or int(row.get("memory_dynamic_min", 0))
        limit = request.most_memory or int(row.get("memory_static_max", 0))
        most = request.vcpus_max or request.vcpus or int(row.get("VCPUs_max", 1))
        pv = bool(row) and lookup.is_pv(row)
        return Need(
            memory=memory + overhead(limit, most, pv=pv),
            vcpus=most,
            gpu=self._gpu(request),
            preferred=self._preferred(request),
            pinned=request.pin,
            avoid=tuple(sorted(avoid.items())),
            shut=tuple(sorted((beyond.ever | self._shut(request)).items())),
            lacking=tuple(sorted(beyond.now.items())),
        )

    def _out_of_reach(self, request: LaunchRequest, template: Mapping[str, Any]) -> OutOfReach:
        """The hosts that do not reach the VM's storage. What is not there, `connect` says."""
        try:
            srs = frozenset(srs_of(request, template, self) if template else ())
        except Refused:
            return OutOfReach()
        if srs not in self._beyond:
            self._beyond[srs] = out_of_reach(self.records, srs)
        return self._beyond[srs]

    def sr_of(self, disk: ExistingDisk | Iso) -> str:
        """The SR of a disk that is there; the pool is asked as seldom as can be."""
        if isinstance(disk, ExistingDisk):
            return self.template_disk(self._reach.disk_ref(disk.vdi)).sr
        if disk.iso not in self._isos:
            self._isos[disk.iso] = self.template_disk(lookup.iso(self, disk.iso)).sr
        return self._isos[disk.iso]

    def _shut(self, request: LaunchRequest) -> Reasons:
        """The hosts that cannot have a network of the request. What is wrong, connect says."""
        wanted = request.nics or ()
        if wanted not in self._shut_by_nics:
            found: Reasons = {}
            for nic in wanted:
                with suppress(PoolError):
                    found |= net_of(self, nic).shut
            self._shut_by_nics[wanted] = found
        return self._shut_by_nics[wanted]

    def _gpu(self, request: LaunchRequest) -> str:
        """One that is not there at all is needed nowhere: `connect` will say."""
        try:
            found = graphics.find(request.gpu, self.records) if request.gpu else None
        except PoolError:
            return ""
        return f"{found.group} {found.type}" if found else ""

    def _template(self, wanted: str) -> Mapping[str, Any]:
        """Looked up once for all launches that this inventory is read for."""
        if wanted not in self._templates:
            try:
                listed = copies(self, wanted)
                self._templates[wanted] = roomiest(self.records, listed).record
            except PoolError:
                self._templates[wanted] = {}
        return self._templates[wanted]

    def _preferred(self, request: LaunchRequest) -> str:
        if request.host is None:
            return ""
        found = lookup.named(self.records.all("host"), request.host)
        return found[0][0] if len(found) == 1 else ""


_WHERE = ("resident_on", "scheduled_to_be_resident_on")


def _room(ref: str, row: Mapping[str, Any], metrics: Mapping[str, Any], taken: int) -> HostRoom:
    memory = int(metrics.get("memory_total", 0)) - int(row["memory_overhead"])
    why_not = "" if row["enabled"] else "is disabled"
    if not metrics.get("live", False):
        why_not = "is not live"
    return HostRoom(
        ref=ref,
        uuid=row["uuid"],
        name=row["name_label"],
        memory=memory,
        free=memory - taken,
        pcpus=int(row["cpu_info"].get("cpu_count", 0)),
        usable=not why_not,
        why_not=why_not,
    )
