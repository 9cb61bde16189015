"""The lease under which a worker carries out one step of one launch, and what it writes meanwhile.

A lease is fenced twice: in Redis by a random fence, which every write of the step must show; at the
pool by the session that it names, which whoever takes the step over logs out before looking.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from xenlaunch import states
from xenlaunch.errors import CancelAsked, LeaseLost
from xenlaunch.ledger import Ledger
from xenlaunch.model import Launch, LaunchResult, Leftover
from xenlaunch.record import Record, launch_of, learnt_of
from xenlaunch.store import reachable
from xenlaunch.users import users

OPEN = "open"
DONE = "done"
FAILED = "failed"


@dataclass(frozen=True)
class Call:
    """A changing call of a launch: its intent, and how it came out once that is known."""

    method: str
    attempt: int
    login: str
    since: float
    makes: str = ""
    state: str = OPEN
    task: str = ""
    value: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Made:
    """A fact: this object exists because of this launch."""

    cls: str
    ref: str
    uuid: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Lease:
    """The right to carry out one step, with the launch as its record stood at the claim."""

    def __init__(self, ledger: Ledger, launch: Launch, step: str, fence: str, held: "Held") -> None:
        self.ledger = ledger
        self.launch = launch
        self.step = step
        self.fence = fence
        self.record = held.record
        self.calls = held.calls
        self.notes = held.notes
        self.made = held.made
        self.claims = held.claims
        self.is_sure = held.record.state == states.FINISHING

    def waited(self, now: float) -> float:
        """For how many seconds this step has been going on, its parking included."""
        return max(0.0, now - int(self.record.step_since or 0) / 1000)

    def troubled(self, now: float, code: str = "") -> float:
        """For how many seconds this step has met trouble, or one of this code.

        What it was parked for meanwhile that is none is left out.
        """
        met = self.record.troubles
        since = [at for known, at in met.items() if code in ("", known)]
        return max(0.0, now - min(since) / 1000) if since else 0.0

    def in_a_row(self, code: str) -> int:
        """How often in a row this step has been tried again for trouble of this code."""
        record = self.record
        return int(record.in_a_row or 0) if record.retried_for == code else 0

    # Calls

    def intend(self, key: str, call: Call) -> None:
        """Write down what is about to be sent, if the launch is still ours and still wanted."""
        self._heed(self._run("intent", self.ledger.times.lease, key, call.to_json()))
        self.calls[key] = call

    def sent(self, key: str, task: str) -> None:
        """The pool has taken the call on, as this pool task."""
        self._write(key, replace(self.calls[key], task=task))

    def came_out(self, key: str, value: str, made: Sequence[Made] = ()) -> None:
        """The call is done: its value, and what exists because of it."""
        self._write(key, replace(self.calls[key], state=DONE, value=value), made)

    def failed(self, key: str, code: str = "") -> None:
        """The call is over, and nothing came of it but perhaps an error with this code."""
        self._write(key, replace(self.calls[key], state=FAILED, value=code))

    def remember(self, key: str, value: str) -> None:
        """Keep something for whoever does this step again; for this attempt of the launch only."""
        self.intend(key, Call("", 1, "", 0.0, state=DONE, value=value))

    def slot(self, key: str, most: Mapping[str, int], what: str, seconds: float) -> str:
        """Take, for a call, a slot of any of these SRs or hosts: the one, or '' when parked for it.

        ``most``: what there is to choose from, each with how many slots it has.
        """
        pairs = [word for pair in most.items() for word in pair]
        ms = int(seconds * 1000)
        answer = self.ledger.store.run("slot", self.launch.id, self.fence, key, what, ms, *pairs)
        if answer[0] == "parked":
            return ""
        self._heed(answer[0])
        return str(answer[1])

    def hunt(self, what: str) -> list[str]:
        """Say which disks without a mark are looked for ('': none any more); what all look for."""
        verdict, *everyone = self.ledger.store.run("hunt", self.launch.id, self.fence, what)
        self._heed(verdict)
        return [str(one) for one in everyone]

    def users(self, template: str, since: float) -> list[str]:
        """The launches that are still to clone a template which had its name until then."""
        return users(self.ledger, self.launch.pool, template, since)

    def use_networks(self, bridges: Sequence[str]) -> str:
        """Have these networks not be pruned until the launch has ended; one that is, or ''."""
        answer = self._run("use_networks", json.dumps(list(bridges)))
        verdict, _, pruned = answer.partition(" ")
        if verdict != "pruning":
            self._heed(verdict)
        return pruned

    def claim_disks(self, disks: Sequence[str]) -> str:
        """Have these disks be this launch's alone until it has ended; one that is not, or ''."""
        answer = self._run("claim_disks", *disks)
        verdict, _, taken = answer.partition(" ")
        if verdict != "taken":
            self._heed(verdict)
        return taken

    def came_to_know(self, made: Made) -> None:
        """A fact that was found out by looking, not by a call's answer."""
        self.made.add(made)
        self.ledger.store.run("outcome", self.launch.id, "", "", made.to_json())

    def _write(self, key: str, call: Call, made: Sequence[Made] = ()) -> None:
        self.calls[key] = call
        self.made.update(made)
        facts = [fact.to_json() for fact in made]
        self.ledger.store.run("outcome", self.launch.id, key, call.to_json(), *facts)

    # The end of the step

    def advance(self, launch: Launch, following: str) -> None:
        self._heed(self._run("advance", following, learnt_of(launch), self.ledger.times.resend))

    def park(
        self, what: str, ref: str, seconds: float, *, retry: bool = False, trouble: str = ""
    ) -> bool:
        """Wait without a thread. False where what is waited for has ended already.

        ``trouble``: its code, where what is waited for is that some trouble passes.
        """
        ms = int(seconds * 1000)
        verdict = self._run("park", what, ref, ms, "1" if retry else "0", trouble)
        if verdict == "noted":
            self.notes.update(self._read_notes())
            return False
        self._heed(verdict)
        return True

    def turn_to_undo(self, outcome: str, error: dict[str, Any]) -> None:
        self._heed(self._run("undo", outcome, json.dumps(error)))

    def another_host(self, step: str, host: str, reason: str) -> None:
        """Go back into the line, to be begun again at this step on another host."""
        self._heed(self._run("replace", step, host, reason))

    def finishing(self) -> None:
        """From here the launch can no longer be cancelled."""
        self._heed(self._run("finishing"))
        self.is_sure = True

    def succeed(self, launch: Launch, result: LaunchResult) -> None:
        self._heed(self._run("succeed", learnt_of(launch), result.model_dump_json()))

    def undone(self, leftovers: Sequence[Leftover]) -> bool:
        """End the launch that was undone. False where facts have come in since the claim."""
        named = json.dumps([left.model_dump() for left in leftovers])
        verdict = self._run("undone", len(self.made), named, self.ledger.times.keep)
        if verdict == "again":
            return False
        self._heed(verdict)
        return True

    def again(self, step: str, anew: Sequence[str]) -> bool:
        """Send the launch into the line again, from this step on, with these calls to be made anew.

        False where facts have come in since the claim.
        """
        verdict = self._run("again", len(self.made), step, *anew)
        if verdict == "again":
            return False
        self._heed(verdict)
        return True

    def facts(self) -> set[Made]:
        """All that is known by now to exist because of this launch."""
        with reachable():
            key = self.ledger.store.key("launch", self.launch.id) + ":made"
            return {Made(**json.loads(text)) for text in self.ledger.store.redis.smembers(key)}

    def _run(self, script: str, *arguments: str | int) -> str:
        return str(self.ledger.store.run(script, self.launch.id, self.fence, *arguments))

    def _read_notes(self) -> dict[str, str]:
        key = self.ledger.store.key("launch", self.launch.id) + ":notes"
        with reachable():
            return dict(self.ledger.store.redis.hgetall(key))

    def _heed(self, verdict: str) -> None:
        if verdict == "cancel":
            raise CancelAsked
        if verdict != "ok":
            raise LeaseLost


@dataclass(frozen=True)
class Held:
    """What a claim hands over."""

    record: Record
    calls: dict[str, Call]
    notes: dict[str, str]
    made: set[Made]
    claims: Mapping[str, str]
    """What the ledger knew of the deployment and its pools, as `Ledger.claims` tells it."""


@dataclass(frozen=True)
class Unclaimed:
    """Why a claim failed: ``gone``, ``stale``, ``parked``, ``taken`` or ``cancel``."""

    why: str


def claim(
    ledger: Ledger,
    launch: str,
    step: str,
    *,
    deployment: str,
    worker: str,
    fence: Callable[[], str] = lambda: secrets.token_hex(8),
) -> Lease | Unclaimed:
    """Take the lease on a launch's current step, if nobody has it and the launch waits for it."""
    token = fence()
    answer = ledger.store.run("claim", launch, step, token, worker, ledger.times.lease)
    if answer[0] != "ok":
        return Unclaimed(answer[0])
    _, fields, calls, notes, made, claims = answer
    record = Record(_pairs(fields))
    held = Held(
        record,
        {key: Call.from_json(text) for key, text in _pairs(calls).items()},
        _pairs(notes),
        {Made(**json.loads(text)) for text in made},
        _pairs(claims),
    )
    return Lease(ledger, launch_of(record, deployment), step, token, held)


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
