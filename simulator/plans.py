"""What a pool is made of: from the command line's few numbers, or described in a JSON file.

    name, profile, network_backend     of the pool; profile: current or 8.2
    hosts        [{name, memory_gib, cpus, gpus}]
    srs          [{name, type, size_gib, hosts}]  no hosts: all of them share it
    networks     [{name, bridge}]  beside the one for management: each has an interface on each host
    templates    [{name, memory_gib, vcpus, disks_gib, boot, guest, srs}]  boot: bios, uefi or pv;
                 guest: linux, or windows, whose tools set static addresses; no srs: one on each SR;
                 no templates: the ones that every pretended pool has

What a description leaves out has a default. `simulator/pools/` holds some, known by their names.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from simulator.templates import BOOTS, CUSTOM, GIB, GUESTS, Template

POOLS: Final = Path(__file__).with_name("pools")

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class HostPlan:
    """One host."""

    name: str
    memory_gib: int = 128
    cpus: int = 32
    gpus: int = 0


@dataclasses.dataclass(frozen=True)
class SrPlan:
    """One SR, of all hosts or of some."""

    name: str
    type: str = "nfs"
    size_gib: int = 2048
    hosts: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class NetworkPlan:
    """One network with an interface on every host."""

    name: str
    bridge: str


@dataclasses.dataclass(frozen=True)
class TemplatePlan:
    """One template with disks."""

    name: str
    memory_gib: int = 2
    vcpus: int = 2
    disks_gib: tuple[int, ...] = (8,)
    boot: str = "bios"
    guest: str = "linux"
    srs: tuple[str, ...] = ()

    def template(self) -> Template:
        disks = [size * GIB for size in self.disks_gib]
        boot, memory = BOOTS[self.boot], self.memory_gib * GIB
        return Template(self.name, self.name, boot, memory, self.vcpus, disks, guest=self.guest)


@dataclasses.dataclass(frozen=True)
class Plan:
    """One pool."""

    name: str = "pretended pool"
    about: str = ""
    profile: str = "current"
    network_backend: str = "openvswitch"
    hosts: tuple[HostPlan, ...] = ()
    srs: tuple[SrPlan, ...] = ()
    networks: tuple[NetworkPlan, ...] = (NetworkPlan("guest", "xenbr1"),)
    templates: tuple[TemplatePlan, ...] = ()

    def custom(self) -> list[tuple[Template, tuple[str, ...]]]:
        """Templates with disks, and the SRs that each is on."""
        everywhere = tuple(sr.name for sr in self.srs)
        if not self.templates:
            return [(template, everywhere) for template in CUSTOM]
        return [(plan.template(), plan.srs or everywhere) for plan in self.templates]


def counted(hosts: int, srs: int) -> Plan:
    """So many hosts, and so many SRs that all of them share."""
    return Plan(
        hosts=tuple(HostPlan(f"host-{number}") for number in range(1, hosts + 1)),
        srs=tuple(SrPlan(f"sr-{number}") for number in range(1, srs + 1)),
    )


def shipped() -> list[str]:
    """The names of the descriptions that come with the simulator."""
    return sorted(file.stem for file in POOLS.glob("*.json"))


def load(wanted: str) -> Plan:
    """Read a description: a shipped one by its name, or any file."""
    path = POOLS / f"{wanted}.json" if wanted in shipped() else Path(wanted)
    return read(json.loads(path.read_text(encoding="utf-8")))


def read(given: Any) -> Plan:
    """Check a description and make a plan of it."""
    plan = _read(Plan, given, "a pool")
    lists = {"hosts": HostPlan, "srs": SrPlan, "networks": NetworkPlan, "templates": TemplatePlan}
    parts: dict[str, Any] = {
        name: tuple(_read(kind, one, name) for one in getattr(plan, name))
        for name, kind in lists.items()
        if name in given
    }
    plan = dataclasses.replace(plan, **parts)
    _assert_agrees(plan)
    return plan


def _read(kind: type[T], given: Any, what: str) -> T:
    if not isinstance(given, Mapping):
        raise TypeError(f"{what}: each is an object")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # one of the plans above
    if unknown := set(given) - set(fields):
        raise ValueError(f"{what}: nothing is called {', '.join(sorted(unknown))}")
    for name, value in given.items():
        wanted = {"int": int, "str": str}.get(str(fields[name].type), list)
        if type(value) is not wanted:
            raise ValueError(f"{what}: {name}: {value!r} is no {wanted.__name__}")
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
    except TypeError:
        raise ValueError(f"{what}: a name is missing") from None


def _assert_known(plan: TemplatePlan) -> None:
    if plan.boot not in BOOTS:
        raise ValueError(f"nothing boots by {plan.boot!r}: {', '.join(BOOTS)}")
    if plan.guest not in GUESTS:
        raise ValueError(f"no guest is {plan.guest!r}: {', '.join(GUESTS)}")


def _assert_agrees(plan: Plan) -> None:
    if not plan.hosts or not plan.srs:
        raise ValueError("a pool has at least one host and one SR")
    if plan.profile not in {"current", "8.2"}:
        raise ValueError(f"no profile is called {plan.profile!r}: current, 8.2")
    for one in plan.templates:
        _assert_known(one)
    named = {"hosts": {h.name for h in plan.hosts}, "srs": {sr.name for sr in plan.srs}}
    for kind, parts in (("hosts", plan.srs), ("srs", plan.templates)):
        for part in parts:
            if unknown := set(getattr(part, kind)) - named[kind]:
                raise ValueError(f"{part.name}: none of the {kind} is {', '.join(sorted(unknown))}")
