"""A pool as one step of one launch sees it: everything that it changes is written down around it.

A step is an ordinary function that may be run again from its top, by another process, after any
crash. What makes that safe is here. Each changing call has a key of its own within its launch:

* a call that is known to be done is not sent again: its value is returned;
* a call that was begun, and whose outcome nobody wrote down, is looked for first: its sender's
  session is logged out (so that nothing of it can still arrive), the pool's own job is awaited
  by our mark on it, and what it made is adopted;
* only otherwise is it sent: after its intent is in the ledger, under the session that the intent
  names, with our mark; and what it made is written down before anything else happens.

Calls that occupy a storage repository or a host go as pool tasks, for which the step parks; calls
that only write records are answered at once, and are sent plainly, with the same mark.
"""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Final

from xenlaunch import names
from xenlaunch.errors import (
    Busy,
    LostRace,
    OutcomeUnknown,
    Parked,
    PoolError,
    Refused,
    SessionLost,
)
from xenlaunch.lease import DONE, OPEN, Call, Lease, Made
from xenlaunch.xapi.known import Known
from xenlaunch.xapi.pending import SUCCESS, Outcome, find_marked, mark_headers, mark_of, settle
from xenlaunch.xapi.reach import Reach

NULL: Final = "OpaqueRef:NULL"

UPLOAD: Final = "PUT /import_raw_vdi"
"""What stands for a call where a disk is written, which is none of XAPI's calls."""

Finder = Callable[[], str | None]
"""Looks in the pool for what a call would have made: its ref (or '' if it has none), or None."""

Numbered = Callable[[int], Any]
"""A parameter that is another at each attempt."""

SLOT_SECONDS: Final = 3600.0
"""After how long one who waits for a slot takes its place in the line anew, should it be lost.

Thousands wait for a slot at once, and each that looks costs what a step costs that does something.
"""

CONCLUDE_SECONDS: Final = 60.0
"""For so long after a call was begun its end is waited for by a step that needs it no more."""

_TRIES: Final = 3


class Pool(Known):
    """The pool of one launch, for as long as one step has the lease."""

    def __init__(self, reach: Reach, lease: Lease, clock: Callable[[], float] = time.time) -> None:
        super().__init__(lease, clock)
        self.name = reach.name
        self.records = reach.records
        self.traffic = reach.traffic
        self.template_disk = reach.template_disk
        self.loose = reach.loose
        self.loose_before = reach.loose_before
        self._session = reach.session
        self._permit = reach.permit
        self._slots = reach.slots

    # Reading

    def read(self, method: str, *params: Any) -> Any:
        """Ask what changes nothing."""
        return self._session.read(method, *params)

    # Changing

    def do(
        self, key: str, method: str, *params: Any, makes: str = "", find: Finder | None = None
    ) -> str:
        """Make a call that is answered at once. Without a finder it must bear being repeated."""
        call = self._lease.calls.get(key)
        if call and call.state == DONE:
            return call.value
        value = self._look(key, call, method, find) if call and call.state == OPEN else None
        if value is None:
            try:
                value = str(self._send(key, method, params, makes) or "")
            except LostRace as lost:
                value = self._adopt(lost, find)
        return self._came_out(key, value)

    def run(
        self,
        key: str,
        method: str,
        *params: Any,
        what: str,
        seconds: float,
        makes: str = "",
        find: Finder | None = None,
        on: Collection[str] = (),
    ) -> str:
        """Make a call that takes a while: as a pool task, for which the step parks.

        A parameter that is a function is told the number of the attempt. ``on`` are the slots that
        the call occupies until it is over, of SRs and hosts: for those the step parks first.
        """
        call = self._lease.calls.get(key)
        if call and call.state == DONE:
            return call.value
        if call and call.state == OPEN and not call.task:
            value = self._look(key, call, method, find)
            if value is not None:
                return self._came_out(key, value)
            call = None
        if call is None or call.state != OPEN:
            for occupied in sorted(on):  # all take theirs in one order: none waits in a ring
                self.slot(key, [occupied])
            task = str(self._send(key, f"Async.{method}", params, makes))
            self._lease.sent(key, task)
            raise Parked(what, task, seconds)
        return self._came_out(key, self._settle(key, call, what, seconds, find))

    def slot(self, key: str, any_of: Collection[str], seconds: float = SLOT_SECONDS) -> str:
        """Take, for a call, a slot of any of these; where none is free, the step parks for one."""
        most = {what: self._slots.most(what) for what in any_of}
        waited_for = f"its turn on {' or '.join(sorted(map(self._shown, any_of)))}"
        taken = self._lease.slot(key, most, waited_for, seconds)
        if not taken:
            raise Parked(waited_for, "", seconds)
        return taken

    def _shown(self, what: str) -> str:
        cls, _, ref = what.partition(":")
        row = self.records.get("sr" if cls == "copy" else cls, ref)
        return str(row["name_label"]) if row else ref

    def upload(self, key: str, vdi: str, content: bytes) -> None:
        """Write a disk's first bytes: once more if nobody knows whether they are there."""
        call = self._lease.calls.get(key)
        if call and call.state == DONE:
            return
        if call and call.state == OPEN:
            self._session.end(call.login)
        self._send(key, UPLOAD, (vdi, content), "")
        self._came_out(key, "")

    def catch_up(self) -> None:
        """Write down which calls the pool has carried out since, whether or not the step asks.

        A step that is done again does not come by what is gone: that call would keep its slot.
        """
        for key, call in self._under_way():
            outcome = self._outcome(call.task)
            if outcome.status == SUCCESS:
                self._came_out(key, self._settled(key, call.task, call.method, outcome))

    def conclude(self) -> None:
        """Leave no call of a step that is done open, nor its task in the pool."""
        for key, call in self._under_way():
            outcome = self._outcome(call.task)
            if outcome.ended:
                self._close(key, call, outcome, None)
            elif self._clock() < call.since + CONCLUDE_SECONDS:
                raise Parked("the pool to finish what it had begun", call.task, CONCLUDE_SECONDS)

    def _under_way(self) -> list[tuple[str, Call]]:
        calls = self._lease.calls.items()
        return [(key, call) for key, call in calls if call.state == OPEN and call.task]

    def quiesce(self, finders: Mapping[str, Finder]) -> None:
        """Stop whatever still runs in the pool for this launch, and wait until it has stopped."""
        for key, call in list(self._lease.calls.items()):
            if call.state == OPEN and not key.startswith(names.UNDO):
                self._stop(key, call, finders.get(key))

    # Within

    def _send(self, key: str, method: str, params: tuple[Any, ...], makes: str) -> Any:
        before = self._lease.calls.get(key)
        attempt = before.attempt + 1 if before else 1
        for _ in range(_TRIES):
            self._permit()
            login = self._session.login
            # Each try asks the ledger anew: who lost its session may have lost its lease too.
            call = Call(method, attempt, login.uuid, self._clock(), makes)
            self._lease.intend(key, call)
            try:
                headers = mark_headers(self._call_mark(key, attempt))
                if method == UPLOAD:
                    return self._session.upload(*params, as_login=login)
                given = [one(attempt) if callable(one) else one for one in params]
                return self._session.send(method, *given, as_login=login, headers=headers)
            except SessionLost:
                continue
            except OutcomeUnknown:
                raise
            except PoolError as refused:
                self._lease.failed(key, refused.code)
                raise
        self._lease.failed(key)
        raise Busy(
            "SESSION_LOST", [], f"The pool {self.name} keeps losing our session.", call=method
        )

    def _adopt(self, lost: LostRace, find: Finder | None) -> str:
        """Somebody was first. If it was us, all is well; what is another's is not taken."""
        found = find() if find else None
        if found is None:
            raise Refused(lost.code, lost.params, lost.message, call=lost.call) from lost
        return found

    def _call_mark(self, key: str, attempt: int) -> str:
        return self.mark(f"{key}/{attempt}")

    def _look(self, key: str, call: Call, method: str, find: Finder | None) -> str | None:
        """Find out about a call whose outcome nobody wrote down. None: it has left nothing."""
        self._session.end(call.login)
        mark = self._call_mark(key, call.attempt)
        for task, record in find_marked(self._session, mark).items():
            if mark_of(record) != mark:
                continue
            self._lease.sent(key, task)
            outcome = Outcome.from_record(record)
            if not outcome.ended:
                raise Parked("the pool to finish what it had begun", task, 60)
            with suppress(OutcomeUnknown):
                return self._settled(key, task, method, outcome)
        found = find() if find else None
        if found is None:
            self._lease.failed(key)
        return found

    def _settle(self, key: str, call: Call, what: str, seconds: float, find: Finder | None) -> str:
        outcome = self._outcome(call.task)
        if not outcome.ended:
            left = call.since + seconds - self._clock()
            if left > 0:
                raise Parked(what, call.task, left)
            raise Refused(
                "TIMED_OUT",
                [call.method, str(int(seconds))],
                f"Waited {int(seconds)} s for {what}, which the pool has not finished.",
                call=call.method,
            )
        try:
            return self._settled(key, call.task, call.method.removeprefix("Async."), outcome)
        except OutcomeUnknown:
            found = find() if find else None
            if found is not None:
                return found
            self._lease.failed(key)
            raise

    def _settled(self, key: str, task: str, method: str, outcome: Outcome) -> str:
        """The value of a pool task that has ended, which is then destroyed: the pool keeps few."""
        with suppress(PoolError):
            self._session.read("task.destroy", task)
        try:
            return settle(method, outcome)
        except OutcomeUnknown:
            raise
        except PoolError as refused:
            self._lease.failed(key, refused.code)
            raise

    def _outcome(self, task: str) -> Outcome:
        note = self._lease.notes.get(task)
        if note is not None:
            return Outcome.from_json(note)
        try:
            return Outcome.from_record(self._session.read("task.get_record", task))
        except OutcomeUnknown:
            return Outcome.vanished()

    def _came_out(self, key: str, value: str) -> str:
        call = self._lease.calls[key]
        if call.state != DONE:
            made = [Made(call.makes, value)] if call.makes and value not in ("", NULL) else []
            self._lease.came_out(key, value, made)
        return value

    def _stop(self, key: str, call: Call, find: Finder | None) -> None:
        if not call.task:
            value = self._look(key, call, call.method.removeprefix("Async."), find)
            if value is not None:
                self._came_out(key, value)
            return
        outcome = self._outcome(call.task)
        if not outcome.ended:
            with suppress(PoolError):
                self._session.read("task.cancel", call.task)
            raise Parked("the pool to stop what it was doing", call.task, 60)
        self._close(key, call, outcome, find)

    def _close(self, key: str, call: Call, outcome: Outcome, find: Finder | None) -> None:
        """Write down how a call has ended, whatever that was."""
        try:
            self._came_out(key, self._settled(key, call.task, call.method, outcome))
        except OutcomeUnknown:
            found = find() if find else None
            if found is None:
                self._lease.failed(key)
            else:
                self._came_out(key, found)
        except PoolError:
            return
