"""Dispatching: the head of a pool's line goes, while the pool has room for it.

Level-triggered: each pass looks at the whole of what is, whatever has woken it. The line is read
only as far as somebody may go; who finds no room is passed over by those behind, up to a limit.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from scheduler.inventory import Inventory
from scheduler.placement import HostRoom, Need, NoRoom, Placed, reserve
from xenlaunch import states
from xenlaunch.errors import Refused
from xenlaunch.ledger import Ledger
from xenlaunch.model import Host
from xenlaunch.record import Record
from xenlaunch.reservations import Reservations, reservations

Begin = Callable[[str, str], None]
"""Sends the chain of a launch from a step on."""

PAGE: Final = 20
CROWD: Final = 16
"""So many of a pool's launches may wait for a worker to take them up before no other is begun."""

PASSED_OVER: Final = 200
"""So many at the head of a line may find no room; of those behind them a part is looked at."""

FURTHER: Final = 100
"""How many that part has."""


def dispatch(ledger: Ledger, pool: str, inventory: Inventory, begin: Begin, most: int) -> int:
    """Begin what can begin while fewer than ``most`` are in flight; how many have left the line."""
    if ledger.count_in_flight(pool) >= most or not ledger.waiting(pool, 1):
        return 0
    found = reservations(ledger.store, pool)
    inventory.catch_up(found.held, found.version)
    return Pass(ledger, pool, inventory, found).run(begin, most)


@dataclass
class Pass:
    """One pass over a pool's line, and what it has given away."""

    ledger: Ledger
    pool: str
    inventory: Inventory
    reservations: Reservations
    news: dict[str, str] = field(default_factory=dict)
    """Why there is no room for whom, where that is not known yet."""
    _hopeless: dict[Need, NoRoom] = field(default_factory=dict)
    _passed_over: int = 0

    def run(self, begin: Begin, most: int) -> int:
        hosts = self.inventory.hosts(self.reservations.held)
        gone = 0
        for record in self._line():
            need = self.inventory.need(record.request, record.avoid, *made_of(record))
            verdict = self._place(hosts, need)
            if isinstance(verdict, NoRoom):
                gone += self._turn_away(record, verdict, hosts)
                continue
            step = self._admit(record, verdict, need, most)
            if step in ("full", "moved"):
                break
            if step == "stale":
                continue
            hosts = reserve(hosts, verdict.host.ref, need)
            begin(record.id, step)
            gone += 1
        self.ledger.say_why(self.news)
        return gone

    def _line(self) -> Iterator[Record]:
        """Those who wait, in their order, page by page; who is passed over stays in the line.

        A head that finds no room must not shut out for good who stands behind it: so each pass
        begins at another place there.
        """
        seen: set[str] = set()
        while self._passed_over < PASSED_OVER:
            line = self.ledger.waiting(self.pool, PAGE, after=self._passed_over)
            page = [launch for launch in line if launch not in seen]
            if not page:
                return
            seen.update(page)
            yield from self.ledger.records(page)
        behind = self.ledger.line_length(self.pool) - PASSED_OVER
        if behind > 0:
            # Who stands first there is looked at as often as anybody else.
            after = PASSED_OVER + max(0, secrets.randbelow(behind + FURTHER) - FURTHER)
            yield from self.ledger.records(self.ledger.waiting(self.pool, FURTHER, after=after))

    def _place(self, hosts: dict[str, HostRoom], need: Need) -> Placed | NoRoom:
        """Who finds no room leaves none for its like: within a pass there is only ever less."""
        if need in self._hopeless:
            return self._hopeless[need]
        verdict = self.inventory.place(hosts, need, self.reservations.held)
        if isinstance(verdict, NoRoom):
            self._hopeless[need] = verdict
        return verdict

    def _admit(self, record: Record, verdict: Placed, need: Need, most: int) -> str:
        """The step to begin, or why not: then nothing is given away."""
        shown = host_of(verdict).model_dump_json()
        held, known, new = reservation_of(verdict, need), self.reservations, secrets.token_hex(8)
        step = self.ledger.admit(record.id, shown, held, most, (known.version, new), CROWD)
        if step not in ("full", "moved", "stale"):
            self.reservations = Reservations({**known.held, record.id: held}, new)
            self.inventory.promised(record.id, new)
        return step

    def _turn_away(self, record: Record, verdict: NoRoom, hosts: dict[str, HostRoom]) -> int:
        if verdict.never:
            refused = never_fits(verdict, avoided=bool(record.avoid))
            outcome = states.WAITING if self._fits_anew(record, hosts) else states.FAILED
            self.ledger.refuse(record.id, outcome, refused.as_record())
            return 1
        self._passed_over += 1
        reason = f"waiting for room: {verdict}"
        if record.reason != reason:
            self.news[record.id] = reason
        return 0

    def _fits_anew(self, record: Record, hosts: dict[str, HostRoom]) -> bool:
        """Whether another clone could go where this one cannot, which lies on its SR for good.

        A launch begins anew only when a host has refused it, which is avoided from then on. A VM
        that was kept for its owner, who has had it gone on with, is no clone like any other.
        """
        if record.kept or not (record.avoid and made_of(record)[1]):
            return False
        verdict = self._place(hosts, self.inventory.need(record.request, record.avoid))
        return not (isinstance(verdict, NoRoom) and verdict.never)


def made_of(record: Record) -> tuple[str, str]:
    """The uuid of the template that the launch has cloned, and its VM, if it has one already."""
    learnt = record.learnt
    vm = learnt.get("vm")
    return (str((learnt.get("template") or {}).get("uuid", "")), str(vm)) if vm else ("", "")


def reservation_of(verdict: Placed, need: Need) -> dict[str, Any]:
    """What is held for a launch until its VM has it: its memory, its GPU, its place in a group."""
    held = {"host": verdict.host.ref, "memory": need.memory, "gpu": verdict.gpu}
    held["group"] = need.group.mark if need.group else ""
    return {name: value for name, value in held.items() if value != ""}


def never_fits(verdict: NoRoom, *, avoided: bool) -> Refused:
    """Why a launch cannot wait for room, host by host."""
    code = "NO_HOSTS_LEFT" if avoided else "CANNOT_FIT"
    sentence = f"No host of the pool can take this VM. {verdict}."
    return Refused(code, [f"{name}: {reason}" for name, reason in verdict.reasons], sentence)


def host_of(verdict: Placed) -> Host:
    room = verdict.host
    return Host(ref=room.ref, uuid=room.uuid, name=room.name, gpu=verdict.gpu)
