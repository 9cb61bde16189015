"""Waiting for launches: by the ledger's stream of events, and now and then by looking.

An event says only that there is something to see; what is seen is the record. A Redis that
restarts in the middle is waited for, half a minute.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, TypeVar

from xenlaunch.batch_ledger import batch_status
from xenlaunch.errors import StillRunning, StoreUnreachable, UnknownLaunch
from xenlaunch.ledger import Ledger
from xenlaunch.model import LaunchStatus

T = TypeVar("T")

AWAY_SECONDS: Final = 30.0
"""How long Redis may be away before a wait gives up."""

LOOK_EVERY: Final = 5.0
"""Seconds after which all launches are read even where no event has come."""

AT_ONCE: Final = 1000
"""The most records that are read in one round trip."""


def read(ledger: Ledger, launches: Sequence[str]) -> list[LaunchStatus]:
    """Where these launches are; those that ended long ago and have expired are left out."""
    parts = [launches[start : start + AT_ONCE] for start in range(0, len(launches), AT_ONCE)]
    return [status for part in parts for status in ledger.statuses(part)]


def follow(ledger: Ledger, which: str, timeout: float | None = None) -> Iterator[LaunchStatus]:
    """The status of a launch, or of each of a batch: now, and again at every change.

    Ends when all have ended; raises `StillRunning` where they have not after so many seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    position = ledger.last_event()
    look_at: Sequence[str] = ledger.launches_of(which)
    all_of_it, going_on = tuple(look_at), set(look_at)
    while True:
        found = _patiently(lambda launches: read(ledger, launches), look_at)
        yield from found
        expired = set(look_at) - {status.id for status in found}
        going_on -= {status.id for status in found if status.has_ended} | expired
        if not going_on:
            if _is_over(ledger, which):
                return
            going_on = set(all_of_it)  # its policy has more to say
        position, look_at = _next_changes(ledger, position, going_on, deadline)
        if not look_at:
            raise _still_running(len(going_on), len(all_of_it), timeout or 0)


def _is_over(ledger: Ledger, which: str) -> bool:
    """Whether nothing more comes of what has ended: a batch may still be undone by its policy."""
    try:
        return _patiently(lambda: batch_status(ledger, which)).has_ended
    except UnknownLaunch:  # a launch alone, or what has expired
        return True


def _next_changes(
    ledger: Ledger, position: str, launches: Collection[str], deadline: float | None
) -> tuple[str, Sequence[str]]:
    """Wait for news: the new position, and which launches to look at. None at the deadline."""
    look_again = time.monotonic() + LOOK_EVERY
    until = look_again if deadline is None else min(look_again, deadline)
    while (left := until - time.monotonic()) > 0:
        block_ms = max(1, int(min(left, 1.0) * 1000))
        news = _patiently(lambda after, ms: list(ledger.events(after, ms)), position, block_ms)
        position = news[-1][0] if news else position
        changed = {event["launch"]: None for _, event in news if event["launch"] in launches}
        if changed:
            return position, list(changed)
    return position, () if until == deadline else list(launches)


def _patiently(ask: Callable[..., T], *arguments: object) -> T:
    """Ask, and again while Redis is away: it may be restarting."""
    give_up = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            return ask(*arguments)
        except StoreUnreachable:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def _still_running(going_on: int, count: int, seconds: float) -> StillRunning:
    if count == 1:
        return StillRunning(f"The launch has not ended after {seconds:g} s; it goes on.")
    return StillRunning(
        f"{going_on} of {count} launches have not ended after {seconds:g} s; they go on."
    )
