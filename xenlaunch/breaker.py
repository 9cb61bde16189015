"""A pool's breaker: while it is open nobody asks the pool for anything, but one who probes it.

It lies in the ledger, in the record of the deployment, which is told with every lease. Whatever
process finds that the pool does not answer opens it; the one that has the role of probing the pool
closes it again, and wakes who waits for that.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from xenlaunch import names
from xenlaunch.errors import Silent
from xenlaunch.ledger import Ledger
from xenlaunch.store import reachable


@dataclass(frozen=True)
class Breaker:
    """A breaker that is open."""

    pool: str
    since: int
    why: str

    @classmethod
    def of(cls, claims: Mapping[str, str], pool: str) -> Self | None:
        """The pool's breaker if it is open, from what is known of the deployment."""
        text = claims.get(names.breaker_field(pool))
        return cls(pool, **json.loads(text)) if text else None

    @property
    def time(self) -> str:
        """Since when it is open, as UTC in ISO 8601."""
        return f"{datetime.fromtimestamp(self.since / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"

    def error(self) -> Silent:
        said = f"The pool {self.pool} does not answer since {self.time}: {self.why}."
        return Silent("POOL_SILENT", [self.pool, self.time, self.why], said)


def open_breaker(ledger: Ledger, pool: str, why: str) -> bool:
    """Open a pool's breaker. False where it was open."""
    return bool(ledger.store.run("open_breaker", pool, names.breaker_field(pool), why))


def close_breaker(ledger: Ledger, pool: str) -> bool:
    """Close a pool's breaker. False where it was closed."""
    return bool(ledger.store.run("close_breaker", pool, names.breaker_field(pool)))


def shut_out(ledger: Ledger, pool: str) -> list[str]:
    """The launches that are parked until the pool's breaker is closed, the least turn first."""
    parked = ledger.parked(pool)
    waiting = [launch for ref, launch in parked.items() if ref.startswith(names.BREAKER)]
    with reachable(), ledger.store.redis.pipeline(transaction=False) as pipe:
        for launch in waiting:
            pipe.hget(ledger.store.key("launch", launch), "turn")
        turns = pipe.execute()
    return [
        launch
        for _, launch in sorted(zip((float(turn or 0) for turn in turns), waiting, strict=True))
    ]
