"""Looking at the batches that have news: what their policies say is ruled, and carried out.

Level-triggered: each look goes by the counters as they are, whatever has woken it. A batch stays
due until a look has found nothing left to do, so whoever dies on the way is followed by another.
"""

from scheduler.batch_policy import decide
from xenlaunch import rulings
from xenlaunch.batch_ledger import batch_status
from xenlaunch.batch_status import UNDO, BatchStatus
from xenlaunch.errors import UnknownLaunch
from xenlaunch.ledger import Ledger

MOST_ACTS = 4
"""What is done for one batch before the others have their turn."""


def look_at_batches(ledger: Ledger) -> int:
    """Look at each batch that has news; how many these were."""
    due = rulings.due_batches(ledger)
    for batch in due:
        for _ in range(MOST_ACTS):
            if not attend(ledger, batch):
                break
    return len(due)


def attend(ledger: Ledger, batch: str) -> bool:
    """Do the next thing for a batch; whether there was one."""
    try:
        status = batch_status(ledger, batch)
    except UnknownLaunch:  # it has expired
        rulings.batch_seen(ledger, batch, "")
        return False
    ruling = decide(status)
    if ruling is not None:
        rulings.rule(ledger, batch, ruling.what, ruling.why, status.ruling_no)
        return True
    if is_to_be_carried_out(status) and rulings.ENDING not in rulings.carry_out(ledger, status):
        return not status.carried  # what had escaped is looked for again a little later
    rulings.batch_seen(ledger, batch, status.news)
    return False


def is_to_be_carried_out(batch: BatchStatus) -> bool:
    """Whether a ruling has not been carried out on all, or a VM came up in spite of it.

    What is about to succeed cannot be cancelled: it is removed when it has succeeded.
    """
    return bool(batch.ruling) and (
        not batch.carried or (batch.ruling == UNDO and batch.succeeded > 0)
    )
