"""Which host a VM goes to. Pure: nothing here knows a pool, Redis or the time."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

MIB: Final = 1 << 20
PAGE: Final = 4096


@dataclass(frozen=True)
class HostRoom:
    """What one host has to give: sizes in bytes."""

    ref: str
    uuid: str
    name: str
    memory: int
    free: int
    pcpus: int
    usable: bool = True
    why_not: str = ""


@dataclass(frozen=True)
class Need:
    """What one VM takes, and where it would rather be: memory in bytes, overhead included."""

    memory: int
    vcpus: int = 1
    preferred: str = ""
    pinned: bool = False
    avoid: tuple[tuple[str, str], ...] = ()
    shut: tuple[tuple[str, str], ...] = ()
    """By host ref why it has not what the VM needs, and will not have it for this VM."""


@dataclass(frozen=True)
class Placed:
    """The host that was chosen."""

    host: HostRoom


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
    """The preferred host if the VM fits there, else the one with most memory free."""
    hosts = list(hosts)
    refusals = {host.ref: why_not(host, need) for host in hosts}
    fitting = [host for host in hosts if not refusals[host.ref]]
    if fitting:
        best = max(fitting, key=lambda host: (host.ref == need.preferred, host.free, host.uuid))
        return Placed(best)
    never = all(not could_ever(host, need) for host in hosts)
    return NoRoom(tuple((host.name, refusals[host.ref]) for host in hosts), never)


def why_not(host: HostRoom, need: Need) -> str:
    """The reason why the VM cannot go to this host now, or ''."""
    refused = dict(need.avoid).get(host.uuid, dict(need.shut).get(host.ref))
    if refused is not None:
        return refused
    if need.pinned and host.ref != need.preferred:
        return "is not the host that the request pins the VM to"
    if not host.usable:
        return host.why_not
    if need.vcpus > host.pcpus:
        return f"has {host.pcpus} CPUs, the VM needs {need.vcpus}"
    if need.memory > host.free:
        return f"has {host.free // MIB} MiB of memory free, the VM needs {need.memory // MIB} MiB"
    return ""


def could_ever(host: HostRoom, need: Need) -> bool:
    """Whether the VM would fit if the host were empty and in service."""
    if host.uuid in dict(need.avoid) or host.ref in dict(need.shut):
        return False
    if need.pinned and host.ref != need.preferred:
        return False
    return need.vcpus <= host.pcpus and need.memory <= host.memory


def reserve(hosts: Mapping[str, HostRoom], ref: str, memory: int) -> dict[str, HostRoom]:
    """The hosts after so much memory of one of them was promised."""
    host = hosts[ref]
    return {**hosts, ref: replace(host, free=host.free - memory)}
