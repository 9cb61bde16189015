"""How a process reaches a pool: its session there, and what it knows of the pool."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from xenlaunch import names
from xenlaunch.model import TemplateDisk
from xenlaunch.slots import Slots
from xenlaunch.xapi.records import Records
from xenlaunch.xapi.session import Session

LOOSE_SECONDS: Final = 30.0
"""How old a look at the disks that no VM has may be, for those who will clone now."""


@dataclass(frozen=True)
class Reach:
    """One process and one pool."""

    name: str
    session: Session
    records: Records
    traffic: Mapping[str, str] = field(default_factory=dict)
    """Which network the pools file names for a traffic type."""
    slots: Slots = field(default_factory=Slots)
    """How many calls of ours an SR and a host may have at once."""
    permit: Callable[[], None] = field(default=lambda: None, repr=False)
    """Raises `Busy` while nothing may be changed on this pool."""
    _disks: dict[str, TemplateDisk] = field(default_factory=dict, repr=False)
    _refs: dict[str, str] = field(default_factory=dict, repr=False)
    _loose: dict[TemplateDisk, tuple[float, frozenset[str]]] = field(
        default_factory=dict, repr=False
    )
    _looking: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def template_disk(self, vdi: str) -> TemplateDisk:
        """A template's disk, which does not change: asked for once."""
        if vdi not in self._disks:
            row = self.session.read("VDI.get_record", vdi)
            sr, name, size = row["SR"], row["name_label"], row["virtual_size"]
            self._disks[vdi] = TemplateDisk(sr=sr, name=name, size=int(size))
        return self._disks[vdi]

    def disk_ref(self, uuid: str) -> str:
        """The ref of the disk of a uuid, which does not change: asked for once."""
        if uuid not in self._refs:
            self._refs[uuid] = str(self.session.read("VDI.get_by_uuid", uuid))
        return self._refs[uuid]

    def loose(self, like: TemplateDisk) -> dict[str, Mapping[str, Any]]:
        """The disks like a template's that no VM has and that nobody has marked, now."""
        query = f'field "SR"="{like.sr}"'
        if '"' not in like.name:  # the pool's grammar has no way to write one
            query += f' and field "name__label"="{like.name}"'
        rows = self.session.read("VDI.get_all_records_where", query)
        return {str(ref): row for ref, row in rows.items() if _is_loose(ref, row, like)}

    def loose_before(self, like: TemplateDisk) -> frozenset[str]:
        """The disks like a template's that no VM had a moment ago: one look for all who clone."""
        with self._looking:
            at, found = self._loose.get(like, (0.0, frozenset()))
            if not at or time.monotonic() - at > LOOSE_SECONDS:
                at, found = time.monotonic(), frozenset(self.loose(like))
                self._loose[like] = (at, found)
            return found


def _is_loose(ref: str, row: Mapping[str, Any], like: TemplateDisk) -> bool:
    """A copy of a disk that an earlier launch made bears its mark, and its ref as well."""
    same = (row["name_label"], int(row["virtual_size"])) == (like.name, like.size)
    signed = row["other_config"].get(names.OTHER_CONFIG_DISK, ref)
    marked = names.OTHER_CONFIG_MARK in row["other_config"] and signed == ref
    return same and not (row["VBDs"] or row["is_a_snapshot"] or marked)
