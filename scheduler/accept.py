"""Accepting a launch: it gets its pool and a place in that pool's line, or is refused at once."""

from collections.abc import Callable, Mapping

from xenlaunch import states
from xenlaunch.errors import Refused
from xenlaunch.ledger import Ledger
from xenlaunch.record import Record

Roominess = Callable[[], Mapping[str, int]]
"""The bytes of memory that are free on each pool that can be reached."""


def accept(ledger: Ledger, record: Record, pools: tuple[str, ...], room: Roominess) -> bool:
    """Put a submitted launch into its pool's line. False where it was refused, and has ended."""
    try:
        pool = choose_pool(record.request.pool, pools, room)
        _join(ledger, record, pool)
    except Refused as refused:
        ledger.refuse(record.id, states.FAILED, refused.as_record())
        return False
    return True


def _join(ledger: Ledger, record: Record, pool: str) -> None:
    macs = [nic.mac for nic in record.request.nics or () if nic.mac]
    verdict = ledger.join(record.id, pool, macs)
    if verdict not in ("ok", "stale"):
        raise Refused(
            "MAC_IN_USE",
            [verdict],
            f"The MAC address {verdict} is asked for by another launch that has not ended.",
        )


def choose_pool(wanted: str | None, pools: tuple[str, ...], room: Roominess) -> str:
    """The pool that was asked for, or the only one, or the one with most room.

    >>> choose_pool(None, ("lab", "attic"), lambda: {"lab": 5, "attic": 7})
    'attic'
    """
    if wanted is None:
        if len(pools) == 1:
            return pools[0]
        free = room()
        return max(pools, key=lambda pool: (free.get(pool, -1), pool))
    if wanted not in pools:
        raise Refused(
            "POOL_NOT_FOUND",
            [wanted],
            f"There is no pool {wanted!r}; there is {', '.join(sorted(pools)) or 'none'}.",
        )
    return wanted
