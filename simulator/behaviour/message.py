"""Messages: what the pool tells an administrator of what happened. No rows, and no events."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final

from simulator.calls import Call, call
from simulator.db import Row, new_ref
from simulator.errors import ApiError, handle_invalid
from simulator.filters import compile_filter
from simulator.schema.declare import CLASSES
from simulator.values import now

KEPT_MAX: Final = 10_000
_PRIORITY: Final = 5
#: what messages are about, as their class spells it and as the database does
_TABLES: Final = {"Host": "host", "Pool": "pool"}

Messages = dict[str, dict[str, Any]]


def tell(call: Call, name: str, about: Row, body: str = "") -> None:
    """Leave a message about an object."""
    cls = {table: cls for cls, table in _TABLES.items()}.get(about.cls.name, about.cls.name)
    _add(call, name, _PRIORITY, cls, about.uuid, body)


def _add(call: Call, name: str, priority: int, cls: str, about: str, body: str) -> str:
    kept = call.world.messages
    ref = new_ref()
    kept[ref] = {
        "uuid": str(uuid.uuid4()),
        "name": name,
        "priority": priority,
        "cls": cls,
        "obj_uuid": about,
        "timestamp": now(),
        "body": body,
    }
    while len(kept) > KEPT_MAX:
        del kept[next(iter(kept))]
    return ref


@call(
    "message.create(name: string, priority: int, cls: enum cls, obj_uuid: string, body: string)"
    " -> message ref"
)
def create(call: Call, name: str, priority: int, cls: str, about: str, body: str) -> str:
    table = call.db.tables.get(_TABLES.get(cls, cls))
    if table is None or about not in table.by_uuid:
        raise ApiError("UUID_INVALID", cls, about)
    return _add(call, name, priority, cls, about, body)


@call("message.destroy(self: message ref) -> void")
def destroy(call: Call, ref: str) -> str:
    _get(call, ref)
    del call.world.messages[ref]
    return ""


@call("message.destroy_many(messages: message ref set) -> void", has_async=True)
def destroy_many(call: Call, refs: list[str]) -> str:
    for ref in refs:
        call.world.messages.pop(ref, None)
    return ""


# -- reading


def _get(call: Call, ref: str) -> dict[str, Any]:
    try:
        return call.world.messages[ref]
    except KeyError:
        raise handle_invalid("message", ref) from None


def _newest_first(messages: Iterable[tuple[str, dict[str, Any]]]) -> Messages:
    return dict(reversed(list(messages)))


@call("message.get_record(self: message ref) -> message record", changes=False)
def get_record(call: Call, ref: str) -> dict[str, Any]:
    return _get(call, ref)


@call("message.get_by_uuid(uuid: string) -> message ref", changes=False)
def get_by_uuid(call: Call, wanted: str) -> str:
    for ref, one in call.world.messages.items():
        if one["uuid"] == wanted:
            return ref
    raise ApiError("UUID_INVALID", "message", wanted)


@call("message.get_all() -> message ref set", changes=False)
def get_all(call: Call) -> list[str]:
    return list(call.world.messages)


@call("message.get_all_records() -> (message ref -> message record) map", changes=False)
def get_all_records(call: Call) -> Messages:
    return dict(call.world.messages)


@call(
    "message.get_all_records_where(expr: string) -> (message ref -> message record) map",
    changes=False,
)
def get_all_records_where(call: Call, expr: str) -> Messages:
    holds = compile_filter(expr, CLASSES["message"])
    return {ref: one for ref, one in call.world.messages.items() if holds(one)}


@call(
    "message.get(cls: enum cls, obj_uuid: string, since: datetime)"
    " -> (message ref -> message record) map",
    changes=False,
)
def get(call: Call, cls: str, about: str, since: str) -> Messages:
    return _newest_first(
        (ref, one)
        for ref, one in call.world.messages.items()
        if (one["cls"], one["obj_uuid"]) == (cls, about) and one["timestamp"] >= since
    )


@call(
    "message.get_since(since: datetime) -> (message ref -> message record) map",
    changes=False,
)
def get_since(call: Call, since: str) -> Messages:
    items = call.world.messages.items()
    return _newest_first((ref, one) for ref, one in items if one["timestamp"] >= since)
