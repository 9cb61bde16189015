"""What a batch's policy says to how its launches have ended: nothing, stop, or undo all of it.

A function of the batch's counters alone. They only ever say more of the same while a ruling stands,
so that whoever asks later, and however often, is told the same.
"""

from dataclasses import dataclass

from xenlaunch.batch_status import AGAIN, DESTROY, STOP, UNDO, BatchStatus


@dataclass(frozen=True)
class Ruling:
    """What is to become of all of a batch, and why, in a sentence."""

    what: str
    why: str


def decide(batch: BatchStatus) -> Ruling | None:
    """What is to be ruled for a batch now, if anything.

    Too few can come up: all of it is undone, what has come up too. More have failed than may: what
    has not begun is cancelled, and what is up stays. Its owner's word to destroy it, or to begin
    again, comes first.
    """
    if batch.ruling in (UNDO, DESTROY, AGAIN):
        return None
    if batch.is_missed and (batch.going_on or batch.succeeded):
        return Ruling(UNDO, _too_few(batch))
    if batch.is_too_bad and not batch.ruling and (batch.waiting or batch.running):
        return Ruling(STOP, _too_many(batch))
    return None


def _too_few(batch: BatchStatus) -> str:
    if batch.least == batch.count:
        return f"Not all {batch.count} launches can come up: all of the batch is undone."
    return (
        f"Only {batch.count - batch.lost} of {batch.count} launches can come up, fewer than the "
        f"{batch.least} that must: all of the batch is undone."
    )


def _too_many(batch: BatchStatus) -> str:
    may = f"{batch.tolerated} may" if batch.tolerated else "none may"
    return (
        f"{batch.failed} of {batch.count} launches have failed, and {may}: "
        "what had not begun is cancelled."
    )
