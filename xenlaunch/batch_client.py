"""What an upstream application's client does with batches.

Nothing here reads all launches of a batch to say how it stands: the ledger keeps its counters. What
is wanted of all of it is written down in one go, so that a worker carries it out even where the
client dies in the middle.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

from xenlaunch import batch_ledger
from xenlaunch.batch_status import AGAIN, CANCEL, DESTROY, BatchStatus
from xenlaunch.batches import ANYHOW, Batch, BatchPolicy, numbered
from xenlaunch.errors import (
    BadRequest,
    NoWorker,
    StillRunning,
    TooLate,
)
from xenlaunch.ledger import Ledger
from xenlaunch.model import MAX_BATCH, LaunchRequest, LaunchStatus
from xenlaunch.rulings import ENDING, carry_out, rule
from xenlaunch.tokens import repeatable

LOOK_EVERY: Final = 1.0
"""Seconds after which a batch that is waited for is looked at even where no event has come."""

NOT_ENDED: Final = "{} has not ended yet: cancel it first, or wait until it has."
NOTHING_LEFT: Final = "{} has left nothing that could be destroyed."
NOTHING_FAILED: Final = (
    "There is nothing to try again: {} has not failed, or only its VM tells of it."
)
UNTOLD: Final = (
    "What the guest of {} was to be told went with the launch's end, so it cannot begin again: "
    "submit the request under another token."
)


class BatchCalls(ABC):
    """The part of `LaunchClient` that is about batches."""

    _ledger: Ledger

    def submit_batch(
        self,
        requests: LaunchRequest | Sequence[LaunchRequest],
        count: int | None = None,
        *,
        name: str | None = None,
        token: str | None = None,
        policy: BatchPolicy = ANYHOW,
        overrides: Sequence[Mapping[str, Any]] = (),
    ) -> Batch:
        """Ask for many VMs: one request so many times, or a list of requests.

        The name is a pattern with the number in it, from 1: ``web-{:03}``; with a list it is the
        batch's own. Each of the overrides has an ``index``, or the ``name`` that comes out, and the
        fields that are other for that launch; the policy says how many must come up and how many
        may fail. Raises as `submit` does, and `BadRequest` where a name, an override or the policy
        does not fit.
        """
        if isinstance(requests, LaunchRequest):
            wanted: Sequence[LaunchRequest] = numbered(
                requests, 1 if count is None else count, name, overrides
            )
            name = name or requests.name
        else:
            wanted = tuple(requests)
            _check_list(wanted, count, overrides)
        policy.check(len(wanted))
        with repeatable(token) as sure:
            batch, ids = batch_ledger.submit_batch(
                self._ledger, self._deployment(), name or "", wanted, sure, policy
            )
        self._nudge(batch)
        return Batch(batch, tuple(ids))

    def batch_status(self, batch: str) -> BatchStatus:
        """How a batch stands, from its counters: one round trip, however large it is."""
        return batch_ledger.batch_status(self._ledger, batch)

    def batch_failures(self, batch: str, limit: int = 10) -> list[LaunchStatus]:
        """The launches of a batch that failed last, at most so many."""
        return self._ledger.statuses(batch_ledger.failed_of(self._ledger, batch, limit))

    def batch_result(self, batch: str, timeout: float | None = None) -> BatchStatus:
        """Wait until a batch has ended, at most so many seconds: its state, counters and reason.

        Raises `StillRunning` after the timeout. Whatever its end is, it is returned.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        position = self._ledger.last_event()
        while not (status := self.batch_status(batch)).has_ended:
            left = LOOK_EVERY if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise StillRunning(f"The batch {batch} has not ended after {timeout:g} s.")
            block_ms = max(1, int(min(left, LOOK_EVERY) * 1000))
            news = [after for after, _ in self._ledger.events(position, block_ms)]
            position = news[-1] if news else position
        return status

    def resume(self, batch: str) -> BatchStatus:
        """Launch what is missing of a batch: what failed, was cancelled or undone with it.

        They are the same launches, with their ids. Its policy holds again, from what is up now.
        Returns at once. Raises `StillRunning` while the batch is being undone, cancelled or
        destroyed, `TooLate` where nothing is missing.
        """
        return self._again(self.batch_status(batch))

    # For one and all

    def _cancel_all(self, batch: str) -> None:
        status = self.batch_status(batch)
        if status.going_on:
            verdicts = self._ruled(batch, CANCEL, "Cancelled by its owner.")
            if set(verdicts) <= {"ended", "late", "gone"}:
                raise TooLate(f"All launches of {batch} have ended already.")
        elif not status.cancelled:
            raise TooLate(f"All launches of {batch} have ended already.")
        self._nudge(batch)

    def _destroy_all(self, batch: str) -> None:
        if self.batch_status(batch).going_on:
            raise StillRunning(NOT_ENDED.format(batch))
        if set(self._ruled(batch, DESTROY, "")) <= {"nothing", "gone"}:
            raise TooLate(NOTHING_LEFT.format(batch))
        self._nudge(batch)

    def _retry_all(self, batch: str) -> None:
        status = self.batch_status(batch)
        if status.going_on:
            raise StillRunning(NOT_ENDED.format(batch))
        self._again(status)

    def _again(self, status: BatchStatus) -> BatchStatus:
        batch = status.id
        if status.succeeded == status.count:
            raise TooLate(NOTHING_FAILED.format(batch))
        verdicts = set(self._ruled(batch, AGAIN, "Begun again by its owner."))
        if not verdicts & {"undoing", "waiting", "done", ENDING}:
            raise TooLate((UNTOLD if "untold" in verdicts else NOTHING_FAILED).format(batch))
        self._nudge(batch)
        return self.batch_status(batch)

    def _ruled(self, batch: str, what: str, why: str) -> list[str]:
        verdict = rule(self._ledger, batch, what, why)
        if verdict == "lives":
            raise StillRunning(f"{batch} is being undone: resume it when that has ended.")
        status = self.batch_status(batch)
        return carry_out(self._ledger, status) if status.ruling == what else ["done"]

    def _deployment(self) -> str:
        found = self._ledger.deployment()
        if found is None:
            raise NoWorker("No worker has registered with this Redis yet: start one first.")
        return found.name

    @abstractmethod
    def _nudge(self, which: str) -> None:
        """Have somebody look at a launch, or a batch, at once."""


def _check_list(
    wanted: Sequence[LaunchRequest], count: int | None, overrides: Sequence[object]
) -> None:
    if count is not None or overrides:
        raise BadRequest(
            "A list of requests is launched once each, as it is: leave the count and the overrides "
            "out."
        )
    if not 1 <= len(wanted) <= MAX_BATCH:
        raise BadRequest(f"A batch has from 1 to {MAX_BATCH} launches; here are {len(wanted)}.")
