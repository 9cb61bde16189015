"""Which launches are still to clone a template, or may be about to choose it."""

from typing import Final

from xenlaunch import names, states
from xenlaunch.ledger import Ledger
from xenlaunch.record import Record
from xenlaunch.store import reachable

SLACK_MS: Final = 2_000
"""For how long a process may believe what the pool's events have not told it yet."""


def users(ledger: Ledger, pool: str, template: str, since: float) -> list[str]:
    """The launches of a pool that chose this template before that moment (seconds), or may have."""
    store = ledger.store
    with reachable(), store.redis.pipeline(transaction=True) as both:  # one moves to the other
        both.hkeys(store.key("inflight", pool))
        both.zrange(store.key("waiting", pool), 0, -1)
        in_flight, waiting = both.execute()
    records = ledger.records([*in_flight, *waiting])
    return [one.id for one in records if is_user(one, template, int(since * 1000))]


def is_user(record: Record, template: str, since: int) -> bool:
    """Whoever connects now knows the template under the name that it had, if it began before."""
    if record.state not in (states.WAITING, states.RUNNING):
        return False
    if record.step == names.CONNECT:
        return bool(record.lease) and int(record.step_since or 0) < since + SLACK_MS
    return record.step == names.CLONE and template in record.fields.get("learnt", "")
