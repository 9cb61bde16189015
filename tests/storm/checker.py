"""What must be true when all launches have ended: pool and ledger are read, and compared.

Each check returns sentences about what is wrong; none is what everybody hopes for. `asked` says
whether a VM is what was asked for; here is that there is one, and that there is nothing else.
"""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.storm import asked
from tests.storm.rig import DEPLOYMENT, POOL
from tests.support.leaks import leaked_keys
from xenlaunch import names, states
from xenlaunch.ledger import Ledger
from xenlaunch.model import LaunchRequest
from xenlaunch.record import Record
from xenlaunch.slots import PoolSlots

State = Mapping[str, Mapping[str, Mapping[str, Any]]]

PASSING: Final = frozenset({"session", "task", "role"})
"""What comes and goes with the toolstack, and is no part of the pool."""

MOVING: Final[Mapping[str, frozenset[str]]] = {
    "SR": frozenset({"VDIs", "physical_utilisation", "virtual_allocation"}),
    "network": frozenset({"VIFs"}),
    "host": frozenset({"resident_VMs", "PIFs"}),
    "PIF": frozenset({"VLAN_slave_of"}),
    "host_metrics": frozenset({"memory_free", "last_updated"}),
    "VDI": frozenset({"VBDs"}),
    "PGPU": frozenset({"resident_VGPUs"}),
    "GPU_group": frozenset({"VGPUs"}),
    "VGPU_type": frozenset({"VGPUs"}),
    "VM_metrics": frozenset({"last_updated"}),
    "pool": frozenset({"master"}),
}
"""The fields that move with what is launched beside an object, or that the storm itself moves."""

ALWAYS_MOVING: Final = frozenset({"allowed_operations", "current_operations"})


@dataclass(frozen=True)
class Findings:
    """What is wrong, by kind; and what was left behind and named, which may be right."""

    duplicates: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.all())

    def all(self) -> list[str]:
        return [*self.duplicates, *self.leaks, *self.lost, *self.wrong]

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(
            self.duplicates + other.duplicates,
            self.leaks + other.leaks,
            self.lost + other.lost,
            self.wrong + other.wrong,
            self.named + other.named,
        )


@dataclass(frozen=True)
class Expected:
    """How a launch may end, and whether it may leave something behind that it names.

    Where there is a ``request``, it is what was asked for: of one whose record was read back from
    the pool the ledger knows no more than its digest.
    """

    ends: frozenset[str]
    leaves: bool = False
    request: LaunchRequest | None = None

    def of(self, record: Record) -> Record:
        """The record, with what was asked for."""
        if self.request is None:
            return record
        return Record({**record.fields, "request": self.request.canonical()})


def check(
    before: State, after: State, ledger: Ledger, url: str, launches: Mapping[str, Expected]
) -> Findings:
    """All that is wrong with these launches, with what they made, and what was there before."""
    records = {
        record.id: launches[record.id].of(record) for record in ledger.records(list(launches))
    }
    lost = [f"{launch} is not in the ledger" for launch in launches if launch not in records]
    lost += [f"{one.id} has not ended: {one.state}" for one in records.values() if not one.ended]
    found = Findings(lost=(*lost, *untold(ledger, records.values())))
    found += Findings(wrong=tuple(ended_wrongly(records.values(), launches)))
    found += of_vms(after, records)
    found += accounted(before, after, records, launches)
    found += Findings(wrong=tuple(touched(before, after)), leaks=tuple(held(ledger, url, records)))
    return found


def ended_wrongly(records: Iterable[Record], launches: Mapping[str, Expected]) -> Iterator[str]:
    for record in records:
        if record.ended and record.state not in launches[record.id].ends:
            why = f"{record.error.code}: {record.error.message}" if record.error else ""
            yield f"{record.id} ({record.name}) ended {record.state} {why}"


def of_vms(after: State, records: Mapping[str, Record]) -> Findings:
    """A launch that succeeded has one VM, as it was asked for; all others have none."""
    made = vms_of(after)
    duplicates, wrong = [], []
    for launch, record in records.items():
        vms = made.get(launch, [])
        if len(vms) > 1:
            duplicates.append(f"{launch} ({record.name}) has {len(vms)} VMs")
        if record.state == states.SUCCEEDED and not vms:
            wrong.append(f"{launch} ({record.name}) succeeded and has no VM")
        elif record.state == states.SUCCEEDED:
            wrong += [f"{launch}: {one}" for one in asked.differences(after, vms[0], record)]
    return Findings(duplicates=tuple(duplicates), wrong=tuple(wrong))


def vms_of(state: State) -> dict[str, list[str]]:
    """The refs of the VMs that bear a launch's mark or working name, by launch."""
    found: dict[str, list[str]] = defaultdict(list)
    for ref, row in state.get("VM", {}).items():
        mark = str(row["other_config"].get(names.OTHER_CONFIG_MARK, "")).split("/")
        name = str(row["name_label"]).split(":")
        if len(mark) == 3 and mark[0] == DEPLOYMENT:
            found[mark[1]].append(ref)
        elif len(name) == 4 and name[:2] == ["xenlaunch", DEPLOYMENT]:
            found[name[2]].append(ref)
    return found


def accounted(
    before: State,
    after: State,
    records: Mapping[str, Record],
    launches: Mapping[str, Expected],
) -> Findings:
    """Every object was there before, is part of a VM that came up, or is named as left over."""
    kept = _refs_of_leftovers(after, records.values())
    owners = {ref: launch for launch, refs in vms_of(after).items() for ref in refs}
    vms = {
        ref
        for ref, launch in owners.items()
        if launch in records and records[launch].state == states.SUCCEEDED
    }
    belongs = parts_of(after, vms | kept) | of_the_deployment(after)
    leaks = [
        f"{cls} {row.get('uuid', ref)} is nobody's: {_described(row)}"
        for cls, rows in after.items()
        for ref, row in rows.items()
        if cls not in PASSING and ref not in before.get(cls, {}) and ref not in belongs
    ]
    named = [
        f"{record.id} ({record.name}) left {thing.cls} {thing.uuid}: {thing.advice}"
        for record in records.values()
        for thing in record.leftovers
        if not launches[record.id].leaves
    ]
    return Findings(leaks=tuple(leaks), named=tuple(named))


def parts_of(state: State, owners: set[str]) -> set[str]:
    """These objects and all that is theirs: drives, disks, interfaces, metrics, consoles."""
    found = set(owners)
    for ref in owners:
        row = state.get("VM", {}).get(ref, {})
        found |= {row.get("metrics", ""), row.get("guest_metrics", ""), *row.get("consoles", ())}
        found |= {*row.get("VIFs", ()), *row.get("VBDs", ()), *row.get("VGPUs", ())}
        found |= {state["VBD"][vbd]["VDI"] for vbd in row.get("VBDs", ()) if vbd in state["VBD"]}
    return found


def of_the_deployment(state: State) -> set[str]:
    """The networks that were made for all launches, with what joins the hosts to them."""
    found: set[str] = set()
    for ref, row in state.get("network", {}).items():
        if row["other_config"].get(names.OTHER_CONFIG_NETWORK) == DEPLOYMENT:
            pifs = [state["PIF"][pif] for pif in row["PIFs"]]
            found |= {ref, *row["PIFs"]}
            found |= {one for pif in pifs for one in (pif["metrics"], pif["VLAN_master_of"])}
    return found


def _refs_of_leftovers(state: State, records: Iterable[Record]) -> set[str]:
    named = {thing.uuid for record in records for thing in record.leftovers}
    return {ref for rows in state.values() for ref, row in rows.items() if row.get("uuid") in named}


def _described(row: Mapping[str, Any]) -> str:
    shown = ("name_label", "power_state", "userdevice", "device", "VM", "other_config", "VBDs")
    return ", ".join(f"{name} {row[name]!r}" for name in shown if row.get(name))


def touched(before: State, after: State) -> Iterator[str]:
    """What was there before and is not as it was."""
    for cls, rows in before.items():
        if cls in PASSING:
            continue
        moving = MOVING.get(cls, frozenset()) | ALWAYS_MOVING
        for ref, row in rows.items():
            now = after.get(cls, {}).get(ref)
            if now is None:
                yield f"{cls} {row.get('uuid', ref)} ({row.get('name_label', '')}) is gone"
                continue
            for name, value in row.items():
                if name not in moving and _foreign(now[name]) != _foreign(value):
                    yield f"{cls} {row.get('uuid', ref)}: {name} was {value!r}, is {now[name]!r}"


def _foreign(value: Any) -> Any:
    """A map without what xenlaunch writes into it: a pool bears the deployment's generation."""
    if not isinstance(value, dict):
        return value
    return {key: held for key, held in value.items() if not key.startswith("xenlaunch-")}


def held(ledger: Ledger, url: str, launches: Iterable[str]) -> list[str]:
    """Slots, reservations, places in a line, waits and claims that outlive their launches."""
    found = [f"the key {key} never expires" for key in leaked_keys(url)]
    slots = PoolSlots(ledger, POOL).in_use().items()
    found += [f"{what} has {held} slots held, {wait} waiting" for what, (held, wait) in slots
              if held or wait]  # fmt: skip
    for kind in ("inflight", "parked", "waiting", "fair", "macs"):
        key = ledger.store.key(kind, POOL)
        if ledger.store.redis.exists(key):
            found.append(f"{key} is not empty")
    told = (ledger.store.key("launch", launch) for launch in launches)
    found += [f"{key} holds what its guest was told" for key in told
              if ledger.store.redis.hexists(key, "setup")]  # fmt: skip
    due = ledger.store.redis.zrange(ledger.store.key("due"), 0, -1)
    return [*found, *(f"{launch} is due for ever" for launch in due)]


def untold(ledger: Ledger, records: Iterable[Record]) -> Iterator[str]:
    """The launches of whose end whoever waits for it does not hear the truth.

    Of one that has succeeded and was destroyed later it is said that it has succeeded.
    """
    for record in records:
        wanted = "SUCCESS" if record.fields.get("result") else "FAILURE"
        key = ledger.store.key(f"celery-task-meta-{record.id}.poll")
        stored = json.loads(ledger.store.redis.get(key) or "{}")
        if record.ended and stored.get("status") != wanted:
            yield f"{record.id} ended {record.state}, and its result says {stored.get('status')}"


def in_the_log(calls: Sequence[Mapping[str, Any]]) -> Findings:
    """What the pool's own log of changing calls must not show."""
    started = Counter(
        call["object"]
        for call in calls
        if call["method"].rpartition("Async.")[2] in ("VM.start", "VM.start_on")
        and call["outcome"] == "ok"
    )
    twice = [f"VM {vm} was started {count} times" for vm, count in started.items() if count > 1]
    return Findings(duplicates=tuple(twice), wrong=tuple(at_one_time(calls)))


def at_one_time(calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Two sessions that changed one VM at the same moment: nobody but a lease's owner may."""
    by_vm: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for call in calls:
        if call["method"].startswith("VM.") and call["outcome"] == "ok" and call["ended"]:
            by_vm[call["object"]].append(call)
    for vm, theirs in by_vm.items():
        theirs.sort(key=lambda call: float(call["started"]))
        for one, other in itertools.pairwise(theirs):
            if one["session_uuid"] != other["session_uuid"] and other["started"] < one["ended"]:
                yield f"VM {vm}: {one['method']} and {other['method']} of two sessions at one time"
