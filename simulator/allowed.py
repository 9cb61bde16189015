"""Allowed operations: advice for clients, worked out anew after something changed nearby.

As in the real pool this happens a little later than the change, and nothing is decided by it. What
changed is noted, and all of it is looked at once, at the loop's next turn.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, Final

from simulator.db import Database, Row

Rule = Callable[[Database, Row], frozenset[str]]

_NONE: Final[frozenset[str]] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# -- VMs

_BY_STATE: Final = {
    "Halted": _words(
        "changing_VCPUs changing_memory_limits changing_static_range changing_shadow_memory "
        "changing_NVRAM changing_dynamic_range start start_on make_into_template clone copy "
        "destroy export snapshot checkpoint"
    ),
    "Running": _words(
        "changing_dynamic_range changing_memory_live changing_VCPUs_live pause suspend "
        "clean_shutdown clean_reboot hard_shutdown hard_reboot shutdown pool_migrate snapshot "
        "checkpoint send_sysrq send_trigger call_plugin get_boot_record data_source_op"
    ),
    "Paused": _words("unpause hard_shutdown hard_reboot shutdown"),
    "Suspended": _words(
        "resume resume_on hard_shutdown shutdown destroy snapshot checkpoint csvm get_boot_record"
    ),
}
_TEMPLATE: Final = _words(
    "changing_VCPUs changing_memory_limits changing_static_range changing_NVRAM "
    "changing_dynamic_range changing_shadow_memory clone copy export destroy provision"
)
_SNAPSHOT: Final = _words("clone copy export destroy revert")
#: what may go on beside itself and the others of its kind
_COPYING: Final = frozenset({"clone", "copy", "export"})
_NEEDS_GUEST: Final = {
    "clean_shutdown": "feature-shutdown",
    "clean_reboot": "feature-reboot",
    "suspend": "feature-suspend",
    "changing_VCPUs_live": "feature-vcpu-hotplug",
}


def _vm(db: Database, vm: Row) -> frozenset[str]:
    if vm["is_control_domain"]:
        return frozenset({"changing_dynamic_range", "changing_VCPUs", "get_boot_record"})
    guest = db.find("VM_guest_metrics", vm["guest_metrics"])
    allowed = _vm_allowed(
        vm["power_state"],
        vm["is_a_template"],
        vm["is_a_snapshot"],
        vm["is_default_template"],
        frozenset(guest["other"]) if guest is not None else _NONE,
        frozenset(vm["current_operations"].values()),
    )
    return allowed - vm["blocked_operations"].keys() if vm["blocked_operations"] else allowed


@functools.lru_cache(maxsize=1024)
def _vm_allowed(
    state: str,
    template: bool,  # noqa: FBT001 - a key of the cache
    snapshot: bool,  # noqa: FBT001 - likewise
    default: bool,  # noqa: FBT001 - likewise
    features: frozenset[str],
    current: frozenset[str],
) -> frozenset[str]:
    if snapshot:
        allowed = _SNAPSHOT
    elif template:
        allowed = _TEMPLATE - {"destroy"} if default else _TEMPLATE
    else:
        lacking = {name for name, feature in _NEEDS_GUEST.items() if feature not in features}
        allowed = _BY_STATE[state] - lacking
    if not current:
        return allowed
    if current <= _COPYING:
        return allowed & _COPYING
    stop = {"hard_shutdown"} if current & {"clean_shutdown", "clean_reboot", "suspend"} else _NONE
    return allowed & stop


# -- its devices


def _vbd(db: Database, vbd: Row) -> frozenset[str]:
    vm = db.find("VM", vbd["VM"])
    if vm is None or vbd["current_operations"]:
        return _NONE
    state = vm["power_state"]
    if vbd["type"] == "CD" and state in {"Halted", "Running"}:
        swap = {"insert"} if vbd["empty"] else {"eject"}
        return frozenset(swap | ({"attach"} if state == "Halted" else set()))
    return _plugging(vbd, state) | ({"pause", "unpause"} if state == "Running" else _NONE)


def _vif(db: Database, vif: Row) -> frozenset[str]:
    vm = db.find("VM", vif["VM"])
    if vm is None or vif["current_operations"]:
        return _NONE
    return _plugging(vif, vm["power_state"])


def _plugging(device: Row, state: str) -> frozenset[str]:
    if state == "Running":
        if not device["currently_attached"]:
            return frozenset({"attach", "plug"})
        return frozenset({"unplug"} | ({"unplug_force"} if device.cls.name == "VBD" else set()))
    return frozenset({"attach"}) if state == "Halted" else _NONE


# -- storage

_DISK: Final = frozenset({"clone", "copy", "snapshot", "resize", "destroy", "update", "forget"})
_DISK_IN_USE: Final = frozenset({"clone", "snapshot", "resize_online"})


def _vdi(db: Database, vdi: Row) -> frozenset[str]:
    sr = db.find("SR", vdi["SR"])
    if sr is None or set(vdi["current_operations"].values()) - {"copy"}:
        return _NONE
    if sr["content_type"] == "iso":
        return frozenset({"copy", "clone"})
    attached = [vbd for vbd in db.rows("VBD", vdi["VBDs"]) if vbd["currently_attached"]]
    allowed = _DISK_IN_USE if attached else _DISK
    if attached and all(vbd["mode"] == "RO" for vbd in attached):
        allowed |= {"copy"}
    if vdi["on_boot"] == "reset":
        allowed -= {"copy", "snapshot"}
    if vdi["current_operations"]:
        allowed &= {"copy"}
    return allowed


_SR_ATTACHED: Final = _words(
    "scan update vdi_create vdi_introduce vdi_destroy vdi_resize vdi_clone vdi_snapshot "
    "vdi_resize_online vdi_update plug unplug pbd_create"
)
_SR_DETACHED: Final = _words("forget destroy plug pbd_create pbd_destroy")


def _sr(db: Database, sr: Row) -> frozenset[str]:
    if set(sr["current_operations"].values()) - {"plug"}:
        return frozenset({"plug"})
    attached = any(pbd["currently_attached"] for pbd in db.rows("PBD", sr["PBDs"]))
    if attached and sr["content_type"] == "iso":
        return _SR_ATTACHED & {"scan", "update", "plug", "unplug", "pbd_create"}
    return _SR_ATTACHED if attached else _SR_DETACHED


# -- hosts


def _host(_db: Database, host: Row) -> frozenset[str]:
    current = set(host["current_operations"].values())
    if "evacuate" in current:
        return _NONE
    allowed = {"provision", "evacuate", "vm_start", "vm_resume", "vm_migrate"}
    if not host["enabled"]:
        allowed = {"evacuate", "reboot", "shutdown", "enable", "power_on"}
    return frozenset(allowed - {"evacuate"} if current else allowed)


_RULES: Final[dict[str, Rule]] = {
    "VM": _vm,
    "VBD": _vbd,
    "VIF": _vif,
    "VDI": _vdi,
    "SR": _sr,
    "host": _host,
}
#: class -> what stands beside its objects, and is looked at with them
_BESIDE: Final = {
    "VM": (("VBD", "VBDs"), ("VIF", "VIFs")),
    "VBD": (("VDI", "VDI"),),
    "PBD": (("SR", "SR"),),
}


class Allowed:
    """Keeps allowed_operations up to date."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._noted: dict[tuple[str, str], None] = {}
        self._working = False
        self._timer: asyncio.Handle | None = None

    def note(self, cls: str, ref: str) -> None:
        """Something changed; it is looked at when what is going on just now has ended."""
        if self._working or (cls not in _RULES and cls not in _BESIDE):
            return
        self._noted[cls, ref] = None
        if self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_soon(self.refresh)
            except RuntimeError:  # no loop runs yet: a later change will see to it
                return

    def refresh(self) -> None:
        self._timer = None
        noted, self._noted = self._noted, {}
        self._working = True
        try:
            for row in self._with_neighbours(noted):
                self._write(row)
        finally:
            self._working = False

    def _with_neighbours(self, noted: dict[tuple[str, str], None]) -> list[Row]:
        seen: dict[str, Row] = {}
        todo = [row for cls, ref in noted if (row := self.db.find(cls, ref)) is not None]
        while todo:
            row = todo.pop()
            if row.ref in seen:
                continue
            seen[row.ref] = row
            for cls, field in _BESIDE.get(row.cls.name, ()):
                refs: Any = row[field]
                todo += self.db.rows(cls, refs if isinstance(refs, list) else [refs])
        return list(seen.values())

    def _write(self, row: Row) -> None:
        rule = _RULES.get(row.cls.name)
        if rule is None:
            return
        allowed = rule(self.db, row)
        if allowed != frozenset(row["allowed_operations"]):
            self.db.set(row, "allowed_operations", sorted(allowed))
