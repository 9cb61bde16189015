"""Sessions, tasks, events and the pool itself: the calls."""

from __future__ import annotations

import math
from typing import Any

from simulator import members
from simulator.calls import Call, call, declare
from simulator.errors import ApiError
from simulator.generic import setters
from simulator.rbac import check_own


@call(
    'session.login_with_password(uname: string, pwd: string, version: string = "1.1", '
    'originator: string = "") -> session ref',
    needs_session=False,
    changes=False,
)
async def login(call: Call, uname: str, pwd: str, _version: str, originator: str) -> str:
    return await call.world.sessions.login(uname, pwd, originator)


@call("session.logout() -> void", changes=False)
def logout(call: Call) -> str:
    call.world.sessions.close(call.session)
    return ""


@call(
    "session.slave_local_login_with_password(uname: string, pwd: string) -> session ref",
    needs_session=False,
    changes=False,
)
async def login_locally(call: Call, uname: str, pwd: str) -> str:
    return await call.world.sessions.login_locally(uname, pwd, call.host)


@call("session.get_all_subject_identifiers() -> string set", has_async=True, changes=False)
def subject_identifiers(call: Call) -> list[str]:
    return sorted({row["auth_user_sid"] for row in call.db.all("session")} - {""})


@call("session.logout_subject_identifier(subject_identifier: string) -> void", has_async=True)
def logout_subject(call: Call, identifier: str) -> str:
    for row in call.db.all("session"):
        if row["auth_user_sid"] == identifier != "" and row.ref != call.session:
            call.world.sessions.close(row.ref)
    return ""


@call("pool.is_slave(host: host ref) -> bool", changes=False)
def is_slave(call: Call, _ref: str) -> bool:
    """Answered by the host that was asked, whichever is named."""
    return not members.is_master(call.world, call.host)


@call("host.is_in_emergency_mode() -> bool", changes=False)
def is_in_emergency_mode(call: Call) -> bool:
    return call.world.is_booting


@call("host.get_server_certificate(host: host ref) -> string", has_async=True, changes=False)
def get_server_certificate(call: Call, ref: str) -> str:
    host = call.db.get("host", ref)
    if ref not in call.world.certificates:
        raise ApiError("CERTIFICATE_DOES_NOT_EXIST", host["name_label"])
    return call.world.certificates[ref]


@call("session.local_logout() -> void", changes=False)
def local_logout(call: Call) -> str:
    return logout(call)


@call("task.create(label: string, description: string) -> task ref", changes=False)
def create_task(call: Call, label: str, description: str) -> str:
    row = call.world.tasks.create(label, name_description=description)
    call.world.tasks.belongs_to(row, call.session)
    return row.ref


@call("task.destroy(self: task ref) -> void", changes=False)
def destroy_task(call: Call, ref: str) -> str:
    row = call.db.get("task", ref)
    check_own(call, call.world.tasks.owner_of.get(ref, ""))
    call.world.tasks.destroy(row, call.mark)
    return ""


@call("task.cancel(task: task ref) -> void", has_async=True, changes=False)
def cancel_task(call: Call, ref: str) -> str:
    row = call.db.get("task", ref)
    check_own(call, call.world.tasks.owner_of.get(ref, ""))
    call.world.tasks.cancel(row, call.mark)
    return ""


@call("task.set_status(self: task ref, value: enum task_status_type) -> void", changes=False)
def set_status(call: Call, ref: str, value: str) -> str:
    call.world.tasks.set_status(call.db.get("task", ref), value)
    return ""


@call("task.set_progress(self: task ref, value: float) -> void", changes=False)
def set_progress(call: Call, ref: str, value: float) -> str:
    call.db.set(call.db.get("task", ref), "progress", value)
    return ""


@call("task.set_result(self: task ref, value: string) -> void", changes=False)
def set_result(call: Call, ref: str, value: str) -> str:
    call.db.set(call.db.get("task", ref), "result", value)
    return ""


@call("task.set_error_info(self: task ref, value: string set) -> void", changes=False)
def set_error_info(call: Call, ref: str, value: list[str]) -> str:
    call.db.set(call.db.get("task", ref), "error_info", value)
    return ""


_MAP = "(string -> string) map"
declare(setters("task", "other_config", _MAP, "self: task ref", has_async=True, changes=False))


@call(
    "event.from(classes: string set, token: string, timeout: float) -> event record set",
    changes=False,
)
async def event_from(call: Call, classes: list[str], token: str, limit: float) -> dict[str, Any]:
    seconds = min(limit, 86400.0) if math.isfinite(limit) else 86400.0
    return await call.world.events.since(call.session, classes, token, seconds)


@call("event.inject(class: string, ref: string) -> string", changes=False)
def event_inject(call: Call, cls: str, ref: str) -> str:
    return call.world.events.inject(cls, ref)


@call("event.register(classes: string set) -> void", has_async=True, changes=False)
def event_register(call: Call, classes: list[str]) -> str:
    call.world.events.register(call.session, classes)
    return ""


@call("event.unregister(classes: string set) -> void", has_async=True, changes=False)
def event_unregister(call: Call, classes: list[str]) -> str:
    call.world.events.unregister(call.session, classes)
    return ""


@call("event.next() -> event record set", changes=False)
async def event_next(call: Call) -> list[dict[str, Any]]:
    return await call.world.events.next(call.session)


@call("event.get_current_id() -> int", changes=False)
def event_current(call: Call) -> int:
    return call.db.generation


@call("pool.sync_database() -> void", has_async=True, changes=False)
def sync_database(_call: Call) -> str:
    return ""


# XAPI still lists these two, and refuses them.


@call("console.create(args: console record) -> console ref", has_async=True)
def create_console(_call: Call, _args: Any) -> str:
    raise ApiError("NOT_IMPLEMENTED", "console.create")


@call("console.destroy(self: console ref) -> void", has_async=True)
def destroy_console(_call: Call, _ref: str) -> str:
    raise ApiError("NOT_IMPLEMENTED", "console.destroy")
