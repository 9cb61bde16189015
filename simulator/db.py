"""The database: rows, both sides of every relation, and what changed when.

Every write takes the next generation; that number is all that events are made of. A row's record
is encoded once a generation, however many clients follow it.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from simulator.errors import ApiError, handle_invalid
from simulator.schema.declare import CLASSES, COMPUTED, FOLLOWS, Class
from simulator.values import NULL, Datetime, zero

#: a table's history of deletions is cut from the first length to the second
DELETIONS_MAX: Final = 512
DELETIONS_KEPT: Final = 256


def new_ref() -> str:
    return f"OpaqueRef:{uuid.uuid4()}"


class Row:
    """One object of the pool."""

    __slots__ = ("_encoded", "_encoded_at", "cls", "created", "modified", "ref", "values")

    def __init__(self, cls: Class, ref: str, values: dict[str, Any], generation: int) -> None:
        self.cls = cls
        self.ref = ref
        self.values = values
        self.created = generation
        self.modified = generation
        self._encoded_at = -1
        self._encoded = b""

    def __getitem__(self, field: str) -> Any:
        return self.values[field]

    @property
    def uuid(self) -> str:
        return str(self.values["uuid"])

    def record(self) -> dict[str, Any]:
        hidden = {f for f in self.cls.optional if self.values[f] is None}
        return {k: v for k, v in self.values.items() if k not in hidden} if hidden else self.values

    def as_json(self) -> orjson.Fragment:
        return orjson.Fragment(self._encode())

    def size(self) -> int:
        """Bytes of the record."""
        return len(self._encode())

    def _encode(self) -> bytes:
        if self._encoded_at != self.modified:
            self._encoded = orjson.dumps(self.record())
            self._encoded_at = self.modified
        return self._encoded


class Table:
    """The rows of one class, by ref, uuid and name, and in the order of their last change."""

    def __init__(self, cls: Class) -> None:
        self.cls = cls
        self.rows: dict[str, Row] = {}
        self.by_uuid: dict[str, Row] = {}
        self.by_name: dict[str, dict[str, Row]] = {}
        self.recent: OrderedDict[str, Row] = OrderedDict()
        self.deletions: list[tuple[int, int, str]] = []  # created, deleted, ref

    def changed_since(self, generation: int) -> Iterator[Row]:
        for row in reversed(self.recent.values()):
            if row.modified <= generation:
                return
            yield row

    def note_deletion(self, row: Row, generation: int) -> None:
        self.deletions.append((row.created, generation, row.ref))
        if len(self.deletions) > DELETIONS_MAX:
            del self.deletions[:-DELETIONS_KEPT]


def _ignore(_cls: str, _ref: str) -> None:
    """Nobody listens."""


class Database:
    """All tables of a pool."""

    def __init__(self) -> None:
        self.generation = 0
        self.tables = {name: Table(cls) for name, cls in CLASSES.items() if cls.has_rows}
        self.on_change: Callable[[str, str], None] = _ignore

    # -- reading

    def get(self, cls: str, ref: str) -> Row:
        try:
            return self.tables[cls].rows[ref]
        except KeyError:
            raise handle_invalid(cls, ref) from None

    def find(self, cls: str, ref: str) -> Row | None:
        return self.tables[cls].rows.get(ref)

    def by_uuid(self, cls: str, wanted: str) -> Row:
        try:
            return self.tables[cls].by_uuid[wanted]
        except KeyError:
            raise ApiError("UUID_INVALID", cls, wanted) from None

    def by_name(self, cls: str, name: str) -> list[Row]:
        return list(self.tables[cls].by_name.get(name, {}).values())

    def all(self, cls: str) -> list[Row]:
        return list(self.tables[cls].rows.values())

    def rows(self, cls: str, refs: list[str]) -> list[Row]:
        """The rows of the refs that are still there."""
        table = self.tables[cls].rows
        return [table[ref] for ref in refs if ref in table]

    def only(self, cls: str) -> Row:
        """The one row of a class that has exactly one, such as the pool."""
        return next(iter(self.tables[cls].rows.values()))

    # -- writing

    def create(self, cls: str, ref: str = "", /, **given: Any) -> Row:
        """Add a row; what is not given takes its default, or its type's empty value."""
        table = self.tables[cls]
        values: dict[str, Any] = {}
        for name, field in table.cls.fields.items():
            if name in given:
                values[name] = given.pop(name)
            elif field.has_default:
                values[name] = fresh(field.default, field.type)
            else:
                values[name] = zero(field.type)
        if given:
            raise ValueError(f"{cls} has no field {', '.join(given)}")
        values["uuid"] = values["uuid"] or str(uuid.uuid4())
        self.generation += 1
        row = Row(table.cls, ref or new_ref(), values, self.generation)
        self._enter(table, row)
        return row

    def _enter(self, table: Table, row: Row) -> None:
        cls = table.cls.name
        table.rows[row.ref] = row
        table.by_uuid[row.uuid] = row
        if "name_label" in row.values:
            table.by_name.setdefault(row["name_label"], {})[row.ref] = row
        table.recent[row.ref] = row
        self.relate(row)
        self.on_change(cls, row.ref)

    def relate(self, row: Row) -> None:
        """Have the rows that are named in this one name it, as far as they are there."""
        for field in row.cls.fields:
            if (row.cls.name, field) in FOLLOWS:
                self._follow(row, field, _refs(row[field]), add=True)

    def set(self, row: Row, field: str, value: Any) -> None:
        """Write one field; a value that is there already changes nothing, and so gives no event."""
        if self.tables[row.cls.name].rows.get(row.ref) is not row:
            raise handle_invalid(row.cls.name, row.ref)  # it went while an operation waited
        old = row.values[field]
        if old == value and type(old) is type(value):
            return
        row.values[field] = value
        if field == "name_label":
            self._rename(row, old, value)
        elif (row.cls.name, field) in FOLLOWS:
            self._follow(row, field, _refs(old), add=False)
            self._follow(row, field, _refs(value), add=True)
        self.touch(row)

    def update(self, row: Row, **values: Any) -> None:
        for field, value in values.items():
            self.set(row, field, value)

    def put(self, row: Row, field: str, key: str, value: str) -> None:
        """Set one key of a map field."""
        self.set(row, field, {**row[field], key: value})

    def drop(self, row: Row, field: str, key: str) -> None:
        """Remove one key of a map field, if it is there."""
        if key in row[field]:
            self.set(row, field, {k: v for k, v in row[field].items() if k != key})

    def touch(self, row: Row) -> None:
        """Take a generation for the row without a change: what event.inject does."""
        self.generation += 1
        row.modified = self.generation
        self.tables[row.cls.name].recent.move_to_end(row.ref)
        self.on_change(row.cls.name, row.ref)

    def destroy(self, row: Row) -> None:
        """Remove the row, and every ref to it on the computed side of a relation."""
        table = self.tables[row.cls.name]
        if table.rows.get(row.ref) is not row:
            return
        for field in table.cls.fields:
            if (row.cls.name, field) in FOLLOWS:
                self._follow(row, field, _refs(row[field]), add=False)
        self.forget(row)
        self.generation += 1
        table.note_deletion(row, self.generation)
        self.on_change(row.cls.name, row.ref)

    def forget(self, row: Row) -> None:
        """Remove the row as if it had never been: no event, no history (an xapi restart)."""
        table = self.tables[row.cls.name]
        del table.rows[row.ref]
        del table.recent[row.ref]
        table.by_uuid.pop(row.uuid, None)
        if "name_label" in row.values:
            self._unname(table, row["name_label"], row.ref)

    def _rename(self, row: Row, old: str, new: str) -> None:
        table = self.tables[row.cls.name]
        self._unname(table, old, row.ref)
        table.by_name.setdefault(new, {})[row.ref] = row

    @staticmethod
    def _unname(table: Table, name: str, ref: str) -> None:
        same = table.by_name.get(name, {})
        same.pop(ref, None)
        if not same:
            table.by_name.pop(name, None)

    def _follow(self, row: Row, field: str, refs: list[str], *, add: bool) -> None:
        """Keep the other side of a relation true; it changes with the written one."""
        cls, other_field = FOLLOWS[row.cls.name, field]
        for other in self.rows(cls, refs):
            there = row.ref in other.values[other_field]
            if add and not there:
                other.values[other_field].append(row.ref)
            elif there and not add:
                other.values[other_field].remove(row.ref)
            else:
                continue
            self.touch(other)


def is_computed(cls: str, field: str) -> bool:
    return (cls, field) in COMPUTED


def _refs(value: Any) -> list[str]:
    if isinstance(value, list):
        return list(value)
    return [] if value in ("", NULL) else [value]


def fresh(default: Any, type_: str) -> Any:
    """A default of its own for each row: lists and maps are changed in place."""
    if type_ == "datetime":
        return Datetime(default)
    return default.copy() if isinstance(default, (list, dict)) else default
