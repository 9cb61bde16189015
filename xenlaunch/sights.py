"""What a sweeper has seen in a pool, and since when: another process's sweeper goes on from there.

And the launches that have ended with leftovers, so that what is said of them stays true.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from xenlaunch.ledger import Ledger
from xenlaunch.model import Leftover
from xenlaunch.record import Record
from xenlaunch.store import reachable

KEEP_MS: Final = 3_600_000
"""How much longer than a grace a sight is remembered that nobody renews."""


class Sights:
    """The sweeper's part of the ledger, for one pool."""

    def __init__(self, ledger: Ledger, pool: str) -> None:
        self._ledger = ledger
        self._redis = ledger.store.redis
        self._seen = ledger.store.key("sights", pool)
        self._left = ledger.store.key("leftovers", pool)

    def now(self) -> int:
        """Redis' own clock, in milliseconds."""
        with reachable():
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def all(self) -> dict[str, int]:
        """From which moment on each object that was seen may be removed, by ref."""
        with reachable():
            return {ref: int(due) for ref, due in self._redis.hgetall(self._seen).items()}

    def replace(self, before: Mapping[str, int], after: Mapping[str, int], grace: int) -> None:
        """Remember these, and forget what is not seen any more."""
        gone = [ref for ref in before if ref not in after]
        with reachable(), self._redis.pipeline(transaction=True) as pipe:
            if gone:
                pipe.hdel(self._seen, *gone)
            if after:
                pipe.hset(self._seen, mapping=dict(after))
                pipe.pexpire(self._seen, grace + KEEP_MS)
            pipe.execute()

    def put_off(self, ref: str, due: int) -> None:
        """What could not be removed now is tried again later."""
        with reachable():
            if self._redis.exists(self._seen):
                self._redis.hset(self._seen, ref, due)

    # Leftovers

    def with_leftovers(self, limit: int) -> list[Record]:
        """Launches that have ended with leftovers, those first that were not looked at longest."""
        with reachable():
            found: Sequence[str] = self._redis.zrange(self._left, 0, limit - 1)
        records = self._ledger.records(found)
        expired = set(found) - {record.id for record in records}
        if expired:
            with reachable():
                self._redis.zrem(self._left, *expired)
        return records

    def still_left(self, record: Record, left: Sequence[Leftover]) -> None:
        """Say what is still left of a launch's leftovers, unless that has changed meanwhile."""
        before = record.fields.get("leftovers", "[]")
        after = json.dumps([one.model_dump() for one in left])
        self._ledger.store.run("leftovers", record.id, before, after)
