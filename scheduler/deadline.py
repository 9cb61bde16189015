"""Giving up a launch that has not begun in the time that its request gives it.

It waits for its pool's line, for room, for a pool that cannot be reached: no pool is asked here, so
that none can hold this up.
"""

import json

from xenlaunch.errors import Refused
from xenlaunch.ledger import Ledger
from xenlaunch.record import Record, waits_for


def give_up(ledger: Ledger, record: Record) -> bool:
    """Whether the launch is over: its time is, and nothing has been cloned for it."""
    error = json.dumps(too_long(*ledger.explained([record])).as_record())
    return str(ledger.store.run("too_late", record.id, error)) != "stale"


def too_long(record: Record) -> Refused:
    """What a launch has waited for in vain."""
    seconds = int(record.start_within) // 1000
    reason = waits_for(record) or "waiting for a worker"
    return Refused(
        "WAITED_TOO_LONG",
        [str(seconds), reason],
        f"It was not begun within {seconds} s, as start_within asks for; it was {reason}. "
        "Launch it again, with more time or when what it waited for is there.",
    )
