"""Which host a VM goes to. Pure: nothing here knows a pool, Redis or the time."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from scheduler import groups
from scheduler.strategies import SPREAD, Standing, better
from xenlaunch.groups import Group

MIB: Final = 1 << 20
PAGE: Final = 4096


@dataclass(frozen=True)
class HostRoom:
    """What one host has to give: sizes in bytes.

    ``gpus``: virtual ones of the wanted group and type, now and if no VM had any. ``coming``: the
    launches in flight that have still to start a VM there. ``members``: how many VMs of each group
    are there or are coming.
    """

    ref: str
    uuid: str
    name: str
    memory: int
    free: int
    pcpus: int
    gpus: tuple[int, int] = (0, 0)
    usable: bool = True
    why_not: str = ""
    coming: int = 0
    members: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Need:
    """What one VM takes, and where it would rather be: memory in bytes, overhead included.

    ``gpu``: group and type of a virtual GPU, as one word; '' for none. ``unrestricted``: its vCPUs
    may be more than a host has CPUs.
    """

    memory: int
    vcpus: int = 1
    unrestricted: bool = False
    gpu: str = ""
    other_gpus: tuple[str, ...] = ()
    """Groups that would do as well."""
    preferred: str = ""
    pinned: bool = False
    avoid: tuple[tuple[str, str], ...] = ()
    shut: tuple[tuple[str, str], ...] = ()
    """By host ref why it has not what the VM needs, and will not have it for this VM."""
    lacking: tuple[tuple[str, str], ...] = ()
    """By host ref what it has not now, and may have again."""
    strategy: str = SPREAD
    group: Group | None = None


@dataclass(frozen=True)
class Placed:
    """The host that was chosen, and the virtual GPU that is to be had there."""

    host: HostRoom
    gpu: str = ""


@dataclass(frozen=True)
class NoRoom:
    """Why no host takes the VM, host by host; ``never`` if waiting would not help."""

    reasons: tuple[tuple[str, str], ...]
    never: bool

    def __str__(self) -> str:
        listed = "; ".join(f"{host}: {reason}" for host, reason in self.reasons)
        return listed or "the pool has no hosts"


def overhead(static_max: int, vcpus: int, *, pv: bool = False, multiplier: float = 1.0) -> int:
    """What a VM takes beside its own memory, in bytes, as XAPI reckons ``memory_overhead``.

    >>> overhead(2048 * MIB, 2) // MIB
    21
    """
    if pv:
        return 1 * MIB
    shadow_pages = 256 * vcpus + 2 * math.ceil(static_max / MIB)
    shadow = max(1, math.floor(math.ceil(shadow_pages * PAGE / MIB) * multiplier))
    return MIB * (1 + 1 + shadow + math.ceil(38 * vcpus * PAGE / MIB))


def place(hosts: Iterable[HostRoom], need: Need) -> Placed | NoRoom:
    """The preferred host if the VM fits there, else the best by its group, then by its strategy."""
    hosts = list(hosts)
    reasons = refusals(hosts, need)
    fitting = [host for host in hosts if not reasons[host.ref]]
    if fitting:
        return Placed(max(fitting, key=lambda host: rank(host, need)))
    never = all(not could_ever(host, need) for host in hosts)
    return NoRoom(tuple((host.name, reasons[host.ref]) for host in hosts), never)


def rank(host: HostRoom, need: Need) -> tuple[bool, int, tuple[float, ...], str]:
    """How good a host is for the VM, among those that it fits on."""
    standing = Standing(host.free, host.memory, host.coming)
    liked = groups.liking(need.group, host.members)
    return host.ref == need.preferred, liked, better(need.strategy, standing), host.uuid


def refusals(hosts: Iterable[HostRoom], need: Need) -> dict[str, str]:
    """By host ref the reason why the VM cannot go there now, or ''."""
    hosts = list(hosts)
    bound = groups.bound(need.group, {host.name: host.members for host in hosts})
    return {host.ref: why_not(host, need) or bound.get(host.name, "") for host in hosts}


def why_not(host: HostRoom, need: Need) -> str:
    """The reason of this host's own why the VM cannot go there now, or ''."""
    refused = dict(need.avoid).get(host.uuid, dict(need.shut).get(host.ref))
    if refused is not None:
        return refused
    if need.pinned and host.ref != need.preferred:
        return "is not the host that the request pins the VM to"
    return host.why_not if not host.usable else what_lacks(host, need)


def what_lacks(host: HostRoom, need: Need) -> str:
    """What the host has not, or too little of, for the VM, or ''."""
    lacking = dict(need.lacking).get(host.ref, "")
    if lacking:
        return lacking
    if not has_cpus(host, need):
        return f"has {host.pcpus} CPUs, the VM needs {need.vcpus}"
    if need.gpu and host.gpus[0] < 1:
        return "has no GPU free of the group and type that the VM needs"
    if need.memory > host.free:
        return f"has {host.free // MIB} MiB of memory free, the VM needs {need.memory // MIB} MiB"
    return ""


def could_ever(host: HostRoom, need: Need) -> bool:
    """Whether the VM would fit if the host were empty and in service."""
    if host.uuid in dict(need.avoid) or host.ref in dict(need.shut):
        return False
    if need.pinned and host.ref != need.preferred:
        return False
    has_gpu = not need.gpu or host.gpus[1] > 0
    return has_gpu and has_cpus(host, need) and need.memory <= host.memory


def has_cpus(host: HostRoom, need: Need) -> bool:
    return need.unrestricted or need.vcpus <= host.pcpus


def reserve(hosts: Mapping[str, HostRoom], ref: str, need: Need) -> dict[str, HostRoom]:
    """The hosts after one of them was promised to a launch."""
    host = hosts[ref]
    members = groups.joined(need.group, host.members)
    left = replace(host, free=host.free - need.memory, coming=host.coming + 1, members=members)
    return {**hosts, ref: left}
