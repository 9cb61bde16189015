"""What the launches in flight on a pool hold there, read at one moment.

Whoever gives room shows with it the version that was read: of two who do so at once, the ledger
lets one through, and the other has to look again.
"""

import json
from dataclasses import dataclass
from typing import Any

from xenlaunch.store import Store, reachable


@dataclass(frozen=True)
class Reservations:
    """By launch what it holds; the version is another one each time that more has been given."""

    held: dict[str, dict[str, Any]]
    version: str


def reservations(store: Store, pool: str) -> Reservations:
    with reachable(), store.redis.pipeline(transaction=True) as pipe:
        pipe.hgetall(store.key("inflight", pool))
        pipe.get(store.key("reserved", pool))
        held, version = pipe.execute()
    found = {launch: json.loads(reservation) for launch, reservation in held.items()}
    return Reservations(found, version or "")
