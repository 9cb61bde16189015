"""What a pool has to give right now, read from its cached records and our own reservations."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from scheduler.placement import HostRoom, Need, NoRoom, Placed, overhead, place
from scheduler.reachable import OutOfReach, by_any, out_of_reach, srs_of
from scheduler.taken import Taken
from tasks import graphics, lookup
from tasks.copies import Copy, copies, interfaces_of
from tasks.cpu import NO_SPEED
from tasks.nets import Net, native, net_of
from tasks.suits import is_on, platform_of
from xenlaunch.copying import CopyRequest
from xenlaunch.disks import ExistingDisk, Iso
from xenlaunch.errors import PoolError, Refused
from xenlaunch.model import LaunchRequest
from xenlaunch.nics import Nic
from xenlaunch.xapi.reach import Reach
from xenlaunch.xapi.records import Records

Reservations = Mapping[str, Mapping[str, Any]]


class Inventory:
    """A pool for those who decide: rows are what a look-up reads, and nothing is ever changed."""

    def __init__(self, reach: Reach, taken: Taken) -> None:
        self.records: Records = reach.records
        self.template_disk = reach.template_disk
        self.traffic = reach.traffic
        self._reach = reach
        self._taken = taken
        self._copies: dict[str, tuple[Copy, ...]] = {}
        self._off_by_nics: dict[tuple[Nic, ...], OutOfReach] = {}
        self._off_by_copy: dict[str, OutOfReach] = {}
        self._beyond: dict[frozenset[str], OutOfReach] = {}
        self._isos: dict[str, str] = {}

    def read(self, method: str, *params: Any, seconds: float | None = None) -> Any:
        return self._reach.session.read(method, *params, seconds=seconds)

    def catch_up(self, held: Iterable[str], version: str) -> None:
        """Have the VM of each launch that has landed be counted; to be called before room is given.

        ``held``: the launches with a reservation, ``version``: that of the reservations.
        """
        self._taken.landing.heed(set(held), version, self.records.barrier)

    def promised(self, launch: str, version: str) -> None:
        """A launch was given room, with which the version of the reservations became this."""
        self._taken.landing.promised(launch, version)

    def hosts(self, reservations: Reservations) -> dict[str, HostRoom]:
        """Every host with what it has free, after our reservations."""
        seen = self._taken.seen(reservations)
        coming = [held for launch, held in reservations.items() if launch not in seen.landed]
        taken, members = Counter(seen.memory), seen.members
        for held in coming:
            taken[held["host"]] += int(held["memory"])
            if held.get("group"):
                here = members.setdefault(held["host"], {})
                here[held["group"]] = here.get(held["group"], 0) + 1
        counts = Counter(held["host"] for held in coming)
        metrics = self.records.all("host_metrics")
        return {
            ref: replace(
                _room(ref, row, metrics.get(row["metrics"], {}), taken[ref]),
                coming=counts[ref],
                members=members.get(ref, {}),
            )
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
        room = graphics.room(self.records, graphics.Wanted.of(wanted))
        asking = {launch: one for launch, one in reservations.items() if one.get("gpu") == wanted}
        landed = self._taken.seen(asking).landed
        held = Counter(one["host"] for launch, one in asking.items() if launch not in landed)
        found = {}
        for ref, host in hosts.items():
            free, idle = room.get(ref, (0, 0))
            found[ref] = replace(host, gpus=(free - held[ref], idle))
        return found

    def place(
        self, hosts: Mapping[str, HostRoom], need: Need, reservations: Reservations
    ) -> Placed | NoRoom:
        """Where a VM may go; of several groups of GPUs the first that has one free there."""
        verdict: Placed | NoRoom = NoRoom((), never=True)
        for gpu in (need.gpu, *need.other_gpus):
            rooms = self.with_gpus(hosts, gpu, reservations)
            found = place(rooms.values(), replace(need, gpu=gpu))
            if isinstance(found, Placed):
                return replace(found, gpu=gpu)
            verdict = found if isinstance(verdict, NoRoom) and verdict.never else verdict
        return verdict

    def need(
        self, request: LaunchRequest, avoid: Mapping[str, str], pinned: str = "", vm: str = ""
    ) -> Need:
        """What a launch will take; ``pinned``: the uuid of the template that it has taken already.

        A template that is missing takes nothing: `connect` will say. Nor does a VM of the launch's
        that is on a host: it was kept, and goes on where it is.
        """
        home = self._home(vm, avoid)
        if home:
            others = sorted(ref for ref in self.records.all("host") if ref != home)
            shut = tuple((ref, "is not the host that the VM runs on") for ref in others)
            return Need(memory=0, vcpus=0, avoid=tuple(sorted(avoid.items())), shut=shut)
        if isinstance(request, CopyRequest):  # the pool makes it, and no host has a VM of it
            return Need(memory=0, vcpus=0, avoid=tuple(sorted(avoid.items())))
        listed = (self.copies(pinned) if pinned else ()) or self.copies(request.template)
        row = listed[0].record if listed else {}
        beyond = by_any([self._out_of_reach(request, copy) for copy in listed])
        off = self._off_net(request, listed)
        mute = self._mute() if request.cpu_speed is not None else {}
        gpu, *others = self._gpus(request, listed, vm) or ("",)
        memory = request.least_memory or int(row.get("memory_dynamic_min", 0))
        limit = request.most_memory or int(row.get("memory_static_max", 0))
        most = request.vcpus_max or request.vcpus or int(row.get("VCPUs_max", 1))
        pv, multiplier = bool(row) and lookup.is_pv(row), row.get("HVM_shadow_multiplier", 1.0)
        return Need(
            memory=memory + overhead(limit, most, pv=pv, multiplier=float(multiplier)),
            vcpus=most,
            unrestricted=is_on(platform_of(request, row), "vcpu-unrestricted"),
            gpu=gpu,
            other_gpus=tuple(others),
            preferred=self._preferred(request),
            pinned=request.pin,
            avoid=tuple(sorted(avoid.items())),
            shut=tuple(sorted((beyond.ever | off.ever | mute).items())),
            lacking=tuple(sorted((beyond.now | off.now).items())),
            strategy=request.placement,
            group=request.group,
        )

    def _home(self, vm: str, avoid: Mapping[str, str]) -> str:
        """The host that a launch's VM is on, if it has to leave none."""
        row = self.records.get("vm", vm) if vm else None
        host = self.records.get("host", row["resident_on"]) if row else None
        return str(row["resident_on"]) if row and host and host["uuid"] not in avoid else ""

    def _out_of_reach(self, request: LaunchRequest, copy: Copy) -> OutOfReach:
        """The hosts that do not reach the storage of a VM of this copy.

        What is not there, `connect` says.
        """
        try:
            srs = frozenset(srs_of(request, copy.record, self))
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

    def _off_net(self, request: LaunchRequest, listed: Sequence[Copy]) -> OutOfReach:
        """The hosts that cannot have a network of the VM: of the request, else of its template.

        What is wrong with one, connect says.
        """
        if request.nics is None:
            return self._off_net_of(listed[0]) if listed else OutOfReach()
        if request.nics not in self._off_by_nics:
            found = OutOfReach()
            for nic in request.nics:
                with suppress(PoolError):
                    _add(found, net_of(self, nic))
            self._off_by_nics[request.nics] = found
        return self._off_by_nics[request.nics]

    def _off_net_of(self, copy: Copy) -> OutOfReach:
        """Copies of a template have the same networks."""
        if copy.ref not in self._off_by_copy:
            found = OutOfReach()
            for row in interfaces_of(self, copy.record):
                network = self.records.get("network", row["network"])
                if network is not None:
                    _add(found, native(self.records, row["network"], network))
            self._off_by_copy[copy.ref] = found
        return self._off_by_copy[copy.ref]

    def _mute(self) -> dict[str, str]:
        """The hosts of which the pool does not say how fast they are."""
        speeds = lookup.host_speeds(self.records)
        return {host: NO_SPEED for host in self.records.all("host") if host not in speeds}

    def _gpus(self, request: LaunchRequest, listed: Sequence[Copy], vm: str) -> list[str]:
        """The groups and types of which one will do: those of the VM, once it has one.

        One that is not there at all is needed nowhere: `connect` will say.
        """
        if request.gpu is None:
            return self._gpus_of({copy.ref for copy in listed[:1]})
        has = self._gpus_of({vm} if vm else set())
        with suppress(PoolError):
            return has or [one.word for one in graphics.find(request.gpu, self.records)]
        return []

    def _gpus_of(self, owners: set[str]) -> list[str]:
        rows = self.records.all("vgpu").values() if owners else ()
        found = (row for row in rows if row["VM"] in owners)
        return [graphics.Wanted(row["GPU_group"], row["type"]).word for row in found][:1]

    def copies(self, wanted: str) -> tuple[Copy, ...]:
        """The copies of a template; none of one that is missing, or of which nobody can tell.

        Looked up once for all launches that this inventory is read for.
        """
        if wanted not in self._copies:
            try:
                self._copies[wanted] = copies(self, wanted)
            except PoolError:
                self._copies[wanted] = ()
        return self._copies[wanted]

    def _preferred(self, request: LaunchRequest) -> str:
        if request.host is None:
            return ""
        found = lookup.named(self.records.all("host"), request.host)
        return found[0][0] if len(found) == 1 else ""


def _add(found: OutOfReach, net: Net) -> None:
    found.ever.update(net.shut)
    found.now.update(net.away)


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
