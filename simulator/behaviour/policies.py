"""Policies: the schedule of snapshots, and its forerunner, which XAPI still lists but removed."""

from __future__ import annotations

from typing import Any, Final

from simulator.calls import Call, call, declare, method
from simulator.errors import ApiError
from simulator.generic import setters

_LEAST_KEPT: Final = 1
_MOST_KEPT: Final = 10


@call("VMSS.set_retained_snapshots(self: VMSS ref, value: int) -> void")
def set_retained(call: Call, ref: str, value: int) -> str:
    if not _LEAST_KEPT <= value <= _MOST_KEPT:
        raise ApiError("INVALID_VALUE", "retained_snapshots", str(value))
    call.db.set(call.db.get("VMSS", ref), "retained_snapshots", value)
    return ""


_MAP: Final = "(string -> string) map"
declare(setters("VMSS", "schedule", _MAP, "self: VMSS ref"))
for _field, _type in (
    ("frequency", "enum vmss_frequency"),
    ("type", "enum vmss_type"),
    ("last_run_time", "datetime"),
):
    declare(setters("VMSS", _field, _type, "self: VMSS ref"))


# -- what was removed


def _removed(*_: Any) -> str:
    raise ApiError("MESSAGE_REMOVED")


_THIS: Final = "self: VMPP ref"
_REMOVED: Final = (
    "protect_now(vmpp: VMPP ref) -> string",
    "archive_now(snapshot: VM ref) -> string",
    "create_alert(vmpp: VMPP ref, name: string, priority: int, body: string, data: string) -> void",
    "get_alerts(vmpp: VMPP ref, hours_from_now: int) -> string set",
    *(
        f"set_{field}({_THIS}, value: {kind}) -> void"
        for field, kind in (
            ("backup_retention_value", "int"),
            ("is_backup_running", "bool"),
            ("is_archive_running", "bool"),
            ("backup_frequency", "enum vmpp_backup_frequency"),
            ("archive_frequency", "enum vmpp_archive_frequency"),
            ("archive_target_type", "enum vmpp_archive_target_type"),
            ("is_alarm_enabled", "bool"),
            ("backup_last_run_time", "datetime"),
            ("archive_last_run_time", "datetime"),
        )
    ),
    *(
        signature
        for field in (
            "backup_schedule",
            "archive_schedule",
            "archive_target_config",
            "alarm_config",
        )
        for signature in (
            f"set_{field}({_THIS}, value: {_MAP}) -> void",
            f"add_to_{field}({_THIS}, key: string, value: string) -> void",
            f"remove_from_{field}({_THIS}, key: string) -> void",
        )
    ),
)
declare(method(f"VMPP.{signature}", _removed) for signature in _REMOVED)
declare(
    method(f"VMPP.{signature}", _removed, has_async=True)
    for signature in ("create(args: VMPP record) -> VMPP ref", f"destroy({_THIS}) -> void")
)
