"""What the VMs of a pool take of its hosts, kept from event to event.

A pool has ten thousand VMs, of which a few change while its line moves on: so they are not counted
anew for each look. Whose VM is on a host has no reservation to be counted any more.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from scheduler.landing import Landing
from xenlaunch import names
from xenlaunch.marks import launch_of_vm
from xenlaunch.xapi.records import DEL, Event

NULL: Final = "OpaqueRef:NULL"
WHERE: Final = ("resident_on", "scheduled_to_be_resident_on")
"""XAPI counts a VM on both hosts while it goes from one to the other."""


class Followed(Protocol):
    """Records of a pool, and who is told when one changes."""

    def all(self, cls: str) -> Mapping[str, Mapping[str, Any]]: ...

    def subscribe(self, callback: Any) -> None: ...


@dataclass(frozen=True)
class Share:
    """What one VM takes: bytes on each of these hosts; which launch made it, and its group."""

    hosts: tuple[str, ...]
    memory: int
    launch: str
    group: str


@dataclass(frozen=True)
class Seen:
    """By host the bytes that are taken and the members of each group; who has landed."""

    memory: dict[str, int]
    members: dict[str, dict[str, int]]
    landed: set[str]


class Taken:
    """What all VMs of a pool take."""

    def __init__(self, records: Followed, deployment: str) -> None:
        self._deployment = deployment
        self._shares: dict[str, Share] = {}
        self._memory: Counter[str] = Counter()
        self._launches: Counter[str] = Counter()
        self._groups: dict[str, Counter[str]] = {}
        self.landing = Landing()
        self._lock = threading.Lock()
        with self._lock:  # an event waits until the rows have been read that it is newer than
            records.subscribe(self._heard)
            for ref, row in records.all("vm").items():
                self._put(ref, row)

    def seen(self, launches: Iterable[str]) -> Seen:
        """What VMs take, and which of these launches have theirs among them, at one moment."""
        with self._lock:
            members = {host: dict(+found) for host, found in self._groups.items()}
            landed = {launch for launch in launches if launch in self._launches}
            return Seen(dict(self._memory), members, landed)

    def _heard(self, event: Event) -> None:
        if event.cls == "vm":
            with self._lock:
                self._put(event.ref, None if event.operation == DEL else event.record)

    def _put(self, ref: str, row: Mapping[str, Any] | None) -> None:
        self._count(self._shares.pop(ref, None), -1)
        share = share_of(row, self._deployment) if row else None
        if share is not None:
            self._shares[ref] = share
            self._count(share, 1)

    def _count(self, share: Share | None, sign: int) -> None:
        if share is None:
            return
        if share.launch:
            self._launches[share.launch] += sign
            if not self._launches[share.launch]:
                del self._launches[share.launch]
        for host in share.hosts:
            self._memory[host] += sign * share.memory
            if share.group:
                self._groups.setdefault(host, Counter())[share.group] += sign


def share_of(row: Mapping[str, Any], deployment: str) -> Share | None:
    """What a VM takes of which hosts; None where it is on none."""
    hosts = tuple(dict.fromkeys(_hosts(row)))
    if not hosts:
        return None
    memory = int(row["memory_dynamic_min"]) + int(row["memory_overhead"])
    launch = launch_of_vm(row, deployment)
    group = row["other_config"].get(names.OTHER_CONFIG_GROUP, "") if launch else ""
    return Share(hosts, memory, launch, group)


def _hosts(row: Mapping[str, Any]) -> Iterator[str]:
    for field in WHERE:
        if row[field] not in (NULL, ""):
            yield row[field]
