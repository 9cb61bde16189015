"""Memory: what a VM needs beyond its own, and what is free on a host."""

from __future__ import annotations

import math
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

    def schedule(self, vm: Row, host: str) -> None:
        self._scheduled.setdefault(host, set()).add(vm.ref)
        self.db.set(vm, "scheduled_to_be_resident_on", host)

    def unschedule(self, vm: Row) -> None:
        self._scheduled.get(vm["scheduled_to_be_resident_on"], set()).discard(vm.ref)
        if self.db.find("VM", vm.ref) is vm:
            self.db.set(vm, "scheduled_to_be_resident_on", NULL)

    def free(self, host: Row, *, besides: str = "") -> int:
        """Bytes that are neither used by a VM on the host nor promised to one, except `besides`."""
        metrics = self.db.find("host_metrics", host["metrics"])
        total = metrics["memory_total"] if metrics else 0
        refs = {*host["resident_VMs"], *self._scheduled.get(host.ref, ())} - {besides}
        vms = self.db.rows("VM", list(refs))
        used = sum(vm["memory_dynamic_min"] + vm["memory_overhead"] for vm in vms)
        return int(max(0, total - host["memory_overhead"] - used))

    def forget_all(self) -> None:
        """An xapi restart: promises are void."""
        for vms in self._scheduled.values():
            for vm in self.db.rows("VM", list(vms)):
                self.db.set(vm, "scheduled_to_be_resident_on", NULL)
        self._scheduled.clear()
