"""The calls that follow from the schema alone.

get_record, get_by_uuid for all; get_by_name_label where there is a name; get_all and its kin where
the class is listed; a getter for each field; set, add and remove for those that clients may write.
Constructors and destructors too, for classes that have them and no behaviour of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from simulator.calls import Call, Method, method
from simulator.db import Row, fresh, is_computed
from simulator.errors import ApiError
from simulator.filters import compile_filter
from simulator.schema.beyond import LISTED
from simulator.schema.declare import CLASSES, Class, Field
from simulator.snapshot import Snapshot
from simulator.values import NULL, map_sides, reader


def generated() -> Iterator[Method]:
    for cls in CLASSES.values():
        if cls.has_rows:
            yield from _lookups(cls)
            for field in cls.fields.values():
                yield from _accessors(cls, field)
        if cls.is_made:
            yield from _makers(cls.name)
    for name in LISTED:
        yield from _empty(name)


def _lookups(cls: Class) -> Iterator[Method]:
    name, ref = cls.name, f"{cls.name} ref"
    yield _read(f"{name}.get_record(self: {ref}) -> {name} record", _get_record(name))
    yield _read(f"{name}.get_by_uuid(uuid: string) -> {ref}", _get_by_uuid(name))
    if "name_label" in cls.fields and "unnamed" not in cls.flags:
        yield _read(f"{name}.get_by_name_label(label: string) -> {ref} set", _get_by_name(name))
    if cls.is_listed:
        yield _read(f"{name}.get_all() -> {ref} set", _get_all(name))
        yield _read(f"{name}.get_all_where(expr: string) -> {ref} set", _get_all_where(cls))
        records = f"({ref} -> {name} record) map"
        yield _read(f"{name}.get_all_records() -> {records}", _get_all_records(name))
        yield _read(
            f"{name}.get_all_records_where(expr: string) -> {records}", _get_records_where(cls)
        )


def _accessors(cls: Class, field: Field) -> Iterator[Method]:
    name, this = cls.name, f"self: {cls.name} ref"
    yield _read(f"{name}.get_{field.name}({this}) -> {field.type}", _getter(name, field.name))
    if field.writer == "RW":
        yield from setters(name, field.name, field.type, this)


def setters(cls: str, field: str, type_: str, this: str, **how: bool) -> Iterator[Method]:
    """The calls that write a field: also for fields whose setters are calls of their own."""
    sig = f"{cls}.{{}}{field}({this}, {{}}) -> void"
    yield method(sig.format("set_", f"value: {type_}"), _setter(cls, field), **how)
    if type_.endswith(" map"):
        key, value = map_sides(type_)
        both = f"key: {key}, value: {value}"
        yield method(sig.format("add_to_", both), _adder_to(cls, field), **how)
        yield method(sig.format("remove_from_", f"key: {key}"), _remover_from(cls, field), **how)
    elif type_.endswith(" set"):
        one = f"value: {type_[:-4]}"
        yield method(sig.format("add_", one), _adder(cls, field), **how)
        yield method(sig.format("remove_", one), _remover(cls, field), **how)


def _empty(name: str) -> Iterator[Method]:
    """A class that is listed and has nothing in it."""
    refs, records = f"{name} ref set", f"({name} ref -> {name} record) map"
    yield _read(f"{name}.get_all() -> {refs}", lambda *_: [])
    yield _read(f"{name}.get_all_where(expr: string) -> {refs}", lambda *_: [])
    yield _read(f"{name}.get_all_records() -> {records}", lambda *_: {})
    yield _read(f"{name}.get_all_records_where(expr: string) -> {records}", lambda *_: {})


def _makers(cls: str) -> Iterator[Method]:
    make, end = f"{cls}.create(args: {cls} record) -> {cls} ref", f"{cls}.destroy(self: {cls} ref)"
    yield method(make, _maker(cls), has_async=True)
    yield method(f"{end} -> void", _destroyer(cls), has_async=True)


def _read(signature: str, body: Callable[..., Any]) -> Method:
    return method(signature, body, changes=False)


# -- bodies: each is made once, for one class and field


def _get_record(cls: str) -> Callable[..., Any]:
    return lambda call, ref: Snapshot(call.db.get(cls, ref))


def _get_by_uuid(cls: str) -> Callable[..., Any]:
    return lambda call, uuid: call.db.by_uuid(cls, uuid).ref


def _get_by_name(cls: str) -> Callable[..., Any]:
    return lambda call, label: [row.ref for row in call.db.by_name(cls, label)]


def _get_all(cls: str) -> Callable[..., Any]:
    return lambda call: list(call.db.tables[cls].rows)


def _get_all_records(cls: str) -> Callable[..., Any]:
    return lambda call: {row.ref: Snapshot(row) for row in call.db.all(cls)}


def _matching(call: Call, cls: Class, expr: str) -> list[Row]:
    test = compile_filter(expr, cls)
    return [row for row in call.db.all(cls.name) if test(row.values)]


def _get_all_where(cls: Class) -> Callable[..., Any]:
    return lambda call, expr: [row.ref for row in _matching(call, cls, expr)]


def _get_records_where(cls: Class) -> Callable[..., Any]:
    return lambda call, expr: {row.ref: Snapshot(row) for row in _matching(call, cls, expr)}


def _getter(cls: str, field: str) -> Callable[..., Any]:
    return lambda call, ref: call.db.get(cls, ref).values[field]


def _setter(cls: str, field: str) -> Callable[..., Any]:
    def body(call: Call, ref: str, value: Any) -> str:
        call.db.set(call.db.get(cls, ref), field, value)
        return ""

    return body


def _adder_to(cls: str, field: str) -> Callable[..., Any]:
    def body(call: Call, ref: str, key: str, value: str) -> str:
        row = call.db.get(cls, ref)
        if str(key) in row[field]:
            raise ApiError("MAP_DUPLICATE_KEY", cls, field, ref, str(key))
        call.db.put(row, field, str(key), value)
        return ""

    return body


def _remover_from(cls: str, field: str) -> Callable[..., Any]:
    def body(call: Call, ref: str, key: str) -> str:
        call.db.drop(call.db.get(cls, ref), field, str(key))
        return ""

    return body


def _adder(cls: str, field: str) -> Callable[..., Any]:
    def body(call: Call, ref: str, value: Any) -> str:
        row = call.db.get(cls, ref)
        if value not in row[field]:
            call.db.set(row, field, [*row[field], value])
        return ""

    return body


def _remover(cls: str, field: str) -> Callable[..., Any]:
    def body(call: Call, ref: str, value: Any) -> str:
        row = call.db.get(cls, ref)
        call.db.set(row, field, [one for one in row[field] if one != value])
        return ""

    return body


# -- constructors


def _maker(cls: str) -> Callable[..., Any]:
    def body(call: Call, args: Any) -> str:
        values = read_constructor(cls, args)
        for name, value in values.items():
            kind = CLASSES[cls].fields[name].type
            if kind.endswith(" ref") and value != NULL:
                call.db.get(kind.removesuffix(" ref"), value)
        return call.db.create(cls, **values).ref

    return body


def _destroyer(cls: str) -> Callable[..., Any]:
    def body(call: Call, ref: str) -> str:
        call.db.destroy(call.db.get(cls, ref))
        return ""

    return body


def read_constructor(cls: str, args: Any) -> dict[str, Any]:
    """The fields that a client gave to a constructor, read; unknown members are passed over."""
    given = args if isinstance(args, dict) else {}
    values: dict[str, Any] = {}
    for field in CLASSES[cls].fields.values():
        if not field.in_constructor or is_computed(cls, field.name):
            continue
        if field.name in given:
            values[field.name] = reader(field.type)(given[field.name])
        elif field.has_default:
            values[field.name] = fresh(field.default, field.type)
        else:
            missing = f'Server_helpers.Dispatcher_FieldNotFound("{field.name}")'
            raise ApiError("INTERNAL_ERROR", missing)
    return values
