"""What is ruled for a whole batch, written down once and then carried out launch by launch.

A ruling is a field of the batch's hash, with a number that grows: each script that carries it out
on a launch heeds that number, so whoever comes late with an older ruling does nothing. Carrying one
out is idempotent; whoever dies in the middle leaves it to whoever looks at the batch next.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from xenlaunch import states
from xenlaunch.batch_ledger import AT_ONCE
from xenlaunch.batch_status import AGAIN, CANCEL, DESTROY, STOP, UNDO, BatchStatus
from xenlaunch.ledger import KEEP_BATCH, Ledger
from xenlaunch.store import reachable

CANCELLED_BY_OWNER: Final = {
    "code": "CANCELLED",
    "params": [],
    "message": "Cancelled by its owner.",
}

ENDING: Final = "ending"
"""The verdict on a launch that is to begin again and must end first: the ruling waits for it."""

NUDGE: Final = "all:batches"
"""What whoever decides about batches is woken by. No pool's name has a colon in it."""


def rule(ledger: Ledger, batch: str, what: str, why: str, known: str = "") -> str:
    """Write down what is to become of all of a batch: ``ok``, or why not.

    ``stale``: the ruling that is ``known`` is not the last any more; ``lives``: it is undone just
    now, and cannot begin again before that; ``gone``.
    """
    verdict, *_ = ledger.store.run("rule", batch, what, why, known)
    return str(verdict)


def carry_out(ledger: Ledger, batch: BatchStatus) -> list[str]:
    """Do to each launch of a batch what is ruled, and say so: the verdict on each, in order."""
    number, keep = batch.ruling_no, KEEP_BATCH * ledger.times.keep
    launches = ledger.launches_of(batch.id)
    if batch.ruling in (STOP, CANCEL, UNDO):
        said = json.dumps(_said(batch))
        only = "1" if batch.ruling == STOP else ""
        verdicts = _all(ledger, "cancel", launches, said, number, only)
    if batch.ruling == UNDO:
        verdicts = _all(ledger, "reopen", launches, states.DESTROYED, keep, number, said)
    if batch.ruling == DESTROY:
        verdicts = _all(ledger, "reopen", launches, states.DESTROYED, keep, number, "")
    if batch.ruling == AGAIN:
        verdicts = _all(ledger, "reopen", launches, states.WAITING, keep, number, "")
    if ENDING not in verdicts:
        ledger.store.run("carried", batch.id, number)
    return verdicts


def _all(ledger: Ledger, script: str, launches: Sequence[str], *given: str | int) -> list[str]:
    parts = [launches[start : start + AT_ONCE] for start in range(0, len(launches), AT_ONCE)]
    return [
        str(verdict)
        for part in parts
        for verdict in ledger.store.run_all(script, [(launch, *given) for launch in part])
    ]


def _said(batch: BatchStatus) -> dict[str, Any]:
    """The error of a launch that ends because of its batch."""
    if batch.ruling == CANCEL:
        return CANCELLED_BY_OWNER
    code = "BATCH_STOPPED" if batch.ruling == STOP else "BATCH_UNDONE"
    return {"code": code, "params": [batch.id], "message": batch.reason}


def due_batches(ledger: Ledger, limit: int = 100) -> list[str]:
    """The batches that have news, which somebody must look at."""
    with reachable():
        return list(ledger.store.redis.zrange(ledger.store.key("due_batches"), 0, limit - 1))


def batch_seen(ledger: Ledger, batch: str, news: str) -> bool:
    """A batch was looked at: it is due no more, unless there are later news."""
    return bool(ledger.store.run("batch_seen", batch, news))
