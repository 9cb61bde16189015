"""Sweeping a pool: what launches have left there goes, under a last look before each call.

A pass lists the pool, then reads the ledger, then removes what is due. Right before each call that
changes something it looks at both again: the same object, by ref and uuid and mark, of a launch
that has not come back to life. What cannot be removed now is tried again after another grace.
"""

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from scheduler.sweep import LEAVE, TRACE_OF, Trace, schedule, traces, verdict
from tasks.bridge import take_out, vifs_of_dom0s
from tasks.once import attempt
from tasks.remains import remove_half_made
from tasks.undo import remove_disk
from xenlaunch import names
from xenlaunch.errors import Busy, PoolError, Refused
from xenlaunch.ledger import Ledger
from xenlaunch.model import Leftover
from xenlaunch.record import Record
from xenlaunch.sights import Sights
from xenlaunch.slots import PoolSlots
from xenlaunch.xapi.pending import Outcome, mark_headers, settle
from xenlaunch.xapi.pool import Finder
from xenlaunch.xapi.reach import Reach

OURS: Final = f'field "name__description"="{names.MADE_BY_US}"'
LEFTOVERS_AT_ONCE: Final = 20
POLL_SECONDS: Final = 0.5
PATIENCE: Final = 60.0
"""How long a pass waits for one call of the pool; the next pass finds what that came to."""

ENDS_THE_PASS: Final = frozenset({"GENERATION_DIFFERS", "POOL_SILENT", "POOL_UNREACHABLE"})

GONE: Final = frozenset({"HANDLE_INVALID", "UUID_INVALID"})


@dataclass
class Sweep:
    """One pass over a pool, for as long as the role is held."""

    ledger: Ledger
    reach: Reach
    deployment: str
    grace: int
    held: Callable[[], bool]
    pause: Callable[[float], object] = time.sleep

    def carry_out(self) -> int:
        """Remove what is due, and see what is still left of leftovers; how many are gone."""
        self.give_back()
        due = self.due()
        gone = sum(self.remove(trace) for trace in due if self.held())
        for record in self.sights.with_leftovers(LEFTOVERS_AT_ONCE):
            self.see_leftovers(record)
        return gone

    def borrow(self, occupied: str) -> bool:
        """Whether the sweeper has a slot of this SR or host now; else it is its turn next."""
        most = self.reach.slots.most(occupied)
        return PoolSlots(self.ledger, self.reach.name).borrow(occupied, most)

    def give_back(self) -> None:
        """Also what one that died had borrowed."""
        PoolSlots(self.ledger, self.reach.name).give_back()

    @property
    def sights(self) -> Sights:
        return Sights(self.ledger, self.reach.name)

    def due(self) -> list[Trace]:
        """What may be removed now."""
        listed = self.listed()
        records = self.records(listed)
        judged = [(trace, verdict(trace, records.get(trace.launch))) for trace in listed]
        before, now = self.sights.all(), self.sights.now()
        after = schedule(judged, before, now, self.grace)
        self.sights.replace(before, after, self.grace)
        return [trace for trace in listed if after.get(trace.ref, now + 1) <= now]

    def listed(self) -> list[Trace]:
        records = self.reach.records
        disks = self.reach.session.read("VDI.get_all_records_where", OURS)
        bridges = vifs_of_dom0s(self.reach.session, records)
        return traces(self.deployment, records.all("vm"), disks, bridges)

    def records(self, listed: list[Trace]) -> dict[str, Record]:
        launches = sorted({trace.launch for trace in listed})
        return {record.id: record for record in self.ledger.records(launches)}

    # Removing

    def remove(self, trace: Trace) -> bool:
        """Remove one object; whether it is gone."""
        hands = SweepingHands(self, trace)
        if trace.cls == "VM":
            failed = remove_half_made(hands, self.deployment, trace.launch, trace.ref)
        else:
            remove = take_out if trace.cls == "VIF" else remove_disk
            failed = attempt(trace.cls, remove, hands, trace.ref)
        for _, _, error in failed:
            if error.code in ENDS_THE_PASS:
                raise error
        if any(not isinstance(error, Busy) for _, _, error in failed):
            self.sights.put_off(trace.ref, self.sights.now() + self.grace)
        return not failed

    def look_again(self, trace: Trace) -> None:
        """Raise `Busy` unless it is still to be removed, first by the pool and then by the ledger.

        What is gone raises `Refused`, as any call on it would.
        """
        row = self.reach.session.read(f"{trace.cls}.get_record", trace.ref)
        found = TRACE_OF[trace.cls](self.deployment, trace.ref, row)
        record = self.records([trace]).get(trace.launch)
        self.reach.permit()
        if found != trace or verdict(trace, record) == LEAVE or not self.held():
            raise self.stopped(trace)

    def stopped(self, trace: Trace) -> Busy:
        sentence = f"The {trace.cls} {trace.uuid} is not to be removed any more, or not by us."
        return Busy("SWEEP_STOPPED", [trace.cls, trace.uuid], sentence)

    # Leftovers

    def see_leftovers(self, record: Record) -> None:
        left = [one for one in record.leftovers if self.is_there(one)]
        self.sights.still_left(record, left)

    def is_there(self, left: Leftover) -> bool:
        try:
            self.reach.session.read(f"{left.cls}.get_by_uuid", left.uuid)
        except Refused as refused:
            return refused.code not in GONE
        return True


class SweepingHands:
    """The pool, for the removal of one object: a look before each call, and its end is awaited."""

    def __init__(self, sweep: Sweep, trace: Trace) -> None:
        self._sweep = sweep
        self._trace = trace
        self._session = sweep.reach.session
        self._known = [(trace.cls, trace.ref)]

    def read(self, method: str, *params: Any) -> Any:
        return self._session.read(method, *params)

    @property
    def failed_at(self) -> str:
        return ""

    @property
    def vm(self) -> str:
        return ""

    @property
    def lent(self) -> tuple[str, ...]:
        return ()

    def made(self, cls: str) -> list[str]:
        return [ref for kind, ref in self._known if kind == cls]

    def is_open(self, key: str) -> bool:  # noqa: ARG002  no call of a sweep is ever taken over
        return False

    def is_done(self, key: str) -> bool:  # noqa: ARG002  nor is what it came to
        return False

    def know(self, cls: str, ref: str, uuid: str = "") -> None:  # noqa: ARG002  the ref tells it
        """Nothing is written down: marks tell the next pass what this one has left."""
        self._known.append((cls, ref))

    def recall(self, key: str) -> str | None:  # noqa: ARG002  nothing is remembered either
        return None

    def remember(self, key: str, value: str) -> None:
        """A pass waits for each of its calls, and tries nothing twice."""

    def do(self, key: str, method: str, *params: Any) -> str:
        return str(self._send(key, method, *params) or "")

    def run(
        self,
        key: str,
        method: str,
        *params: Any,
        what: str,
        seconds: float,
        find: Finder | None = None,  # noqa: ARG002  the next pass looks for what this one came to
        on: Collection[str] = (),
    ) -> str:
        try:
            for occupied in on:  # no call of a sweep occupies more than one
                self._borrow(occupied)
            return self._run(key, method, params, what, seconds)
        finally:
            self._sweep.give_back()

    def _borrow(self, occupied: str) -> None:
        left = PATIENCE
        while not self._sweep.borrow(occupied):
            left -= POLL_SECONDS
            if left < 0 or not self._sweep.held():
                said = "It is not the sweeper's turn yet."
                raise Busy("SWEEP_STOPPED", [occupied], said)
            self._sweep.pause(POLL_SECONDS)

    def _run(
        self, key: str, method: str, params: tuple[Any, ...], what: str, seconds: float
    ) -> str:
        task = str(self._send(key, f"Async.{method}", *params))
        left = min(seconds, PATIENCE)
        while not (outcome := self._outcome(task)).ended:
            left -= POLL_SECONDS
            if left < 0 or not self._sweep.held():
                raise Busy("SWEEP_STOPPED", [method], f"The pool is not done: waited for {what}.")
            self._sweep.pause(POLL_SECONDS)
        with suppress(PoolError):
            self.read("task.destroy", task)
        return settle(method, outcome)

    def _send(self, key: str, method: str, *params: Any) -> Any:
        self._sweep.look_again(self._trace)
        mark = f"{self._sweep.deployment}/sweep/{key}"
        login = self._session.login
        return self._session.send(method, *params, as_login=login, headers=mark_headers(mark))

    def _outcome(self, task: str) -> Outcome:
        return Outcome.from_record(self.read("task.get_record", task))
