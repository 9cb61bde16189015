"""Accepting a launch: it gets its pool and a place in that pool's line, or is refused at once."""

from collections.abc import Mapping
from typing import Final, Protocol

from scheduler.dispatch import never_fits
from scheduler.placement import NoRoom
from xenlaunch import states
from xenlaunch.errors import Busy, Refused
from xenlaunch.ledger import Ledger
from xenlaunch.model import LaunchRequest
from xenlaunch.record import Record


class Chooser(Protocol):
    """Whoever knows the pools."""

    def pool_for(self, request: LaunchRequest) -> str: ...

    def never(self, request: LaunchRequest, pool: str) -> NoRoom | None: ...


EQUAL: Final[Mapping[str, float]] = {}
"""The weights of owners where nothing is said of any: each has 1."""


def accept(
    ledger: Ledger, record: Record, pools: Chooser, weights: Mapping[str, float] = EQUAL
) -> bool:
    """Put a submitted launch into its pool's line. False where it was refused, and has ended.

    Where none of its pools answers it stays due, and is looked at again.
    """
    try:
        pool = pools.pool_for(record.request)
        hopeless = pools.never(record.request, pool)
        if hopeless is not None:
            raise never_fits(hopeless, avoided=False)
        _join(ledger, record, pool, weights.get(record.owner, 1))
    except Refused as refused:
        ledger.refuse(record.id, states.FAILED, refused.as_record())
        return False
    except Busy as nobody:
        ledger.say_why({record.id: f"waiting for a pool: {nobody.message}"})
    return True


def _join(ledger: Ledger, record: Record, pool: str, weight: float) -> None:
    macs = [nic.mac for nic in record.request.nics or () if nic.mac]
    verdict = ledger.join(record.id, pool, macs, weight)
    if verdict not in ("ok", "stale"):
        raise Refused(
            "MAC_IN_USE",
            [verdict],
            f"The MAC address {verdict} is asked for by another launch that has not ended.",
        )
