"""Reads the declarations of this folder.

    class VBD: made            a class, and what is special about it
      S  VM      VM ref        a field: who may write it, its name, its type
      RW mode    string = ""   and its default, as JSON

Who may write: `RW` anyone; `S` only the constructor (and calls of its own); `D` only the pool.
A field of S or RW without a default must be given to the constructor. Special about a class:

    rowless     the database keeps no rows of it
    silent      it gives no events
    unlisted    it has no get_all and its kin
    unnamed     its name is a plain field: it has no get_by_name_label
    made        clients may create and destroy it
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from simulator.schema.access import ACCESS
from simulator.schema.enums import ENUMS
from simulator.schema.hosts import HOSTS
from simulator.schema.nets import NETS
from simulator.schema.relations import MANY_TO_MANY, ONE_TO_MANY
from simulator.schema.storage import STORAGE
from simulator.schema.vms import VMS

#: what XAPI's database keeps in namespaces, and where a field only looks as if it were in one
_NAMESPACES: Final = ("name", "memory", "VCPUs", "actions", "PV", "HVM", "API_version", "qos", "io")
_NO_NAMESPACE: Final = "PV_drivers_"
_FIELD: Final = re.compile(r"  (RW|S|D) +(\w+) +(.+?)(?: = (.+))?")


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of a class."""

    name: str
    type: str
    writer: str  # RW, S or D
    default: Any = None
    has_default: bool = False

    @property
    def in_constructor(self) -> bool:
        return self.writer != "D"

    @property
    def column(self) -> str:
        """The field's name in XAPI's database, where its namespace stands before `__`."""
        for space in _NAMESPACES:
            if self.name.startswith(f"{space}_") and not self.name.startswith(_NO_NAMESPACE):
                return f"{space}__{self.name.removeprefix(f'{space}_')}"
        return self.name


@dataclasses.dataclass(frozen=True)
class Class:
    """One class: its fields in their order, and what is special about it."""

    name: str
    fields: Mapping[str, Field]
    flags: frozenset[str]

    @property
    def has_rows(self) -> bool:
        return "rowless" not in self.flags

    @property
    def gives_events(self) -> bool:
        return "silent" not in self.flags

    @property
    def is_listed(self) -> bool:
        return self.has_rows and "unlisted" not in self.flags

    @property
    def is_made(self) -> bool:
        return "made" in self.flags

    @functools.cached_property
    def columns(self) -> Mapping[str, str]:
        """The fields by their names in the database."""
        named = "unnamed" in self.flags
        return {
            field.name if named and field.name.startswith("name_") else field.column: field.name
            for field in self.fields.values()
        }

    @functools.cached_property
    def optional(self) -> tuple[str, ...]:
        """Fields that are left out of a record while they hold nothing."""
        return tuple(f.name for f in self.fields.values() if f.type.endswith(" option"))


def _read_field(line: str) -> Field:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise ValueError(f"not a field: {line!r}")
    writer, name, type_, default = found.groups()
    if default is None:
        return Field(name, type_, writer)
    return Field(name, type_, writer, json.loads(default), has_default=True)


def _read_classes(text: str) -> Iterator[Class]:
    for block in text.split("\nclass ")[1:]:
        head, *lines = block.rstrip().splitlines()
        name, _, flags = head.partition(":")
        fields = {f.name: f for f in map(_read_field, filter(None, lines))}
        yield Class(name, MappingProxyType(fields), frozenset(flags.split()))


def _read_enums(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in text.replace("\n  ", " ").strip().splitlines():
        name, _, values = line.partition(":")
        yield name, tuple(values.split())


CLASSES: Final[Mapping[str, Class]] = MappingProxyType(
    {one.name: one for text in (ACCESS, HOSTS, STORAGE, VMS, NETS) for one in _read_classes(text)}
)
ENUM_VALUES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(dict(_read_enums(ENUMS)))


def _split(name: str) -> tuple[str, str]:
    cls, _, field = name.partition(".")
    return cls, field


#: (class, written field) -> (class, set that follows it), and whether the written side is a set too
FOLLOWS: Final[Mapping[tuple[str, str], tuple[str, str]]] = MappingProxyType(
    {_split(a): _split(b) for a, b in ONE_TO_MANY}
    | {_split(a): _split(b) for a, b in MANY_TO_MANY}
    | {_split(b): _split(a) for a, b in MANY_TO_MANY}
)
#: class -> its sets that follow a field of another class
COMPUTED: Final[frozenset[tuple[str, str]]] = frozenset(_split(b) for _, b in ONE_TO_MANY)
