"""Memory: what a VM needs beyond its own, and what is free on a host."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from simulator.values import NULL

if TYPE_CHECKING:
    from simulator.db import Database, Row

MIB: Final = 2**20
_PAGE: Final = 4096
#: no number of XAPI's is larger
_MOST: Final = 2**63 - 1


def overhead(vcpus: int, static_max: int, shadow_multiplier: float, *, is_hvm: bool) -> int:
    """
    Bytes that Xen and the device model take for a VM, beyond its memory.

    >>> overhead(2, 2048 * MIB, 1.0, is_hvm=True) // MIB
    21
    >>> overhead(1, 512 * MIB, 1.0, is_hvm=False) // MIB
    7
    >>> overhead(1, MIB, math.inf, is_hvm=True), overhead(2**62, MIB, 1e-9, is_hvm=True)
    (9223372036854775807, 9223372036854775807)
    >>> overhead(-(2**63), MIB, 0.01, is_hvm=True)
    0
    """
    static_max_mib = static_max // MIB
    shadow_pages = 256 * vcpus + 2 * static_max_mib
    shadow_mib = math.ceil(shadow_pages * _PAGE / MIB) * shadow_multiplier
    if not abs(shadow_mib) < _MOST:  # whoever asked for that gets as much as can be said
        return _MOST
    shadow = max(1, math.floor(shadow_mib))
    per_vcpu = math.ceil(38 * vcpus * _PAGE / MIB)
    return max(0, min(_MOST, MIB * ((1 if is_hvm else 0) + 1 + shadow + per_vcpu)))


def is_hvm(vm: Row) -> bool:
    """Whether the VM boots as HVM: by its domain type, else by its boot policy."""
    if vm["domain_type"] == "unspecified":
        return bool(vm["HVM_boot_policy"])
    return bool(vm["domain_type"] in {"hvm", "pvh", "pv_in_pvh"})


def overhead_of(vm: Row) -> int:
    return overhead(
        vm["VCPUs_max"], vm["memory_static_max"], vm["HVM_shadow_multiplier"], is_hvm=is_hvm(vm)
    )


def needed_by(vm: Row) -> int:
    """Bytes that must be free on a host for the VM to start there."""
    base = "memory_static_max" if vm["domain_type"] == "pv_in_pvh" else "memory_dynamic_min"
    return int(vm[base]) + overhead_of(vm)


class Memory:
    """Counts what is free, starts that are on their way included."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._scheduled: dict[str, set[str]] = {}  # host -> VMs on their way to it
        self._claims: dict[str, tuple[str, int]] = {}  # VM -> host that builds its domain, bytes

    def schedule(self, vm: Row, host: str) -> None:
        self._scheduled.setdefault(host, set()).add(vm.ref)
        self.db.set(vm, "scheduled_to_be_resident_on", host)

    def unschedule(self, vm: Row) -> None:
        self._scheduled.get(vm["scheduled_to_be_resident_on"], set()).discard(vm.ref)
        if self.db.find("VM", vm.ref) is vm:
            self.db.set(vm, "scheduled_to_be_resident_on", NULL)

    def claim(self, vm: Row, host: str) -> None:
        """The host builds the domain, or receives it: that takes memory, with xapi or without."""
        self._claims[vm.ref] = host, self._held_by(vm)
        self.show(host)

    def release(self, vm: Row) -> None:
        host, _ = self._claims.pop(vm.ref, (NULL, 0))
        self.show(host)

    @staticmethod
    def _held_by(vm: Row) -> int:
        return int(vm["memory_dynamic_min"] + vm["memory_overhead"])

    def free(self, host: Row, *, besides: str = "") -> int:
        """Bytes that no VM on the host uses, none was promised, and none claims but `besides`."""
        return self._beyond(host, self._scheduled.get(host.ref, ()), besides)

    def _beyond(self, host: Row, promised: Collection[str], besides: str) -> int:
        metrics = self.db.find("host_metrics", host["metrics"])
        total = metrics["memory_total"] if metrics else 0
        held = {vm: size for vm, (where, size) in self._claims.items() if where == host.ref}
        for vm in self.db.rows("VM", [*host["resident_VMs"], *promised]):
            held[vm.ref] = max(self._held_by(vm), held.get(vm.ref, 0))
        held.pop(besides, None)
        return int(max(0, total - host["memory_overhead"] - sum(held.values())))

    def show(self, ref: str) -> None:
        """Write down what is free on the host: what was promised has not been taken yet."""
        host = self.db.find("host", ref)
        metrics = self.db.find("host_metrics", host["metrics"]) if host else None
        if host and metrics:
            self.db.set(metrics, "memory_free", self._beyond(host, (), ""))

    def forget_all(self) -> None:
        """An xapi restart: promises are void, unless a host has begun to keep them."""
        for vms in self._scheduled.values():
            for vm in self.db.rows("VM", list(vms)):
                self.db.set(vm, "scheduled_to_be_resident_on", NULL)
        self._scheduled.clear()
