"""Whose turn it is in a pool's line. Pure: the ledger's scripts do the same on records.

The least priority goes first; among those of one priority each owner has its share, by weight,
however many it has waiting. That is *self-clocked fair queueing*: a launch that joins the line is
given a *tag*, the virtual time at which its owner has had its share of what is before it, and the
least tag goes first. An owner's tags are ``1 / weight`` apart, so who has a thousand waiting has a
thousand tags in a row, and the three of another are among the first of them. The virtual time is
the tag of the latest to go: who comes later, or has waited for nothing, saves nothing up.

A launch that was admitted has not gone yet: it waits for a slot, and there too the least turn is
first. It goes when it gets its first slot. Were it to go before, whoever comes while hundreds are
in flight would have its turn behind them all.

Of an owner of whom nobody has still to go nothing is remembered, and nothing at all of a pool that
has nothing waiting and nothing in flight.
"""

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

UNIT: Final = 1_000_000
"""The distance of two tags of an owner whose weight is 1. Tags are whole numbers."""

PRIORITY: Final = 500_000_000_000_000
"""The distance of two priorities: ten of them are exact as a score in Redis, which has 53 bits."""


class Turn(NamedTuple):
    """A launch's place in the line: the least score goes first, of two equal ones either.

    The score is made of the priority, the tag and, so that of equal tags the first to come is
    the first to go, how many had joined before. Over 500 million launches in a line that is never
    empty, their order within a priority is no longer kept.
    """

    score: int
    priority: int
    owner: str
    tag: int
    has_gone: bool = False


@dataclass
class _Owner:
    """Of one priority: how many of it have still to go, and their latest tag."""

    ahead: int
    last: int


@dataclass
class Line:
    """The line of one pool, and who is in flight from it."""

    _joined: int = 0
    _there: int = 0
    _now: dict[int, int] = field(default_factory=dict)  # the virtual time of each priority
    _owners: dict[tuple[int, str], _Owner] = field(default_factory=dict)

    def join(self, owner: str = "", weight: float = 1, priority: int = 5) -> Turn:
        """The turn of a launch that comes now, and was submitted after all others of its owner.

        >>> line = Line()
        >>> turns = [line.join(owner) for owner in ("a", "a", "a", "b", "b")]
        >>> "".join(turn.owner for turn in sorted(turns))
        'ababa'
        """
        known = self._owners.setdefault((priority, owner), _Owner(0, 0))
        known.last = max(self._now.get(priority, 0), known.last) + math.floor(UNIT / weight)
        known.ahead += 1
        self._there += 1
        self._joined += 1
        return self._turn(priority, owner, known.last, self._joined)

    def go(self, turn: Turn) -> Turn:
        """A launch gets a slot, whether it is its turn or those before it cannot: time goes on."""
        self._now[turn.priority] = max(self._now.get(turn.priority, 0), turn.tag)
        return self._gone(turn)

    def come_back(self, turn: Turn) -> Turn:
        """The turn of a launch that was in flight and waits once more: as early as it was.

        What is before it are only those that it had passed, or that came back like it.
        """
        tag = min(turn.tag, self._now.get(turn.priority, 0))
        self._gone(turn)
        return self._turn(turn.priority, turn.owner, tag, 0)._replace(has_gone=True)

    def leave(self, turn: Turn) -> None:
        """A launch neither waits nor is in flight any more."""
        self._gone(turn)
        self._there -= 1
        if not self._there:
            self._joined = 0
            self._now.clear()

    def _gone(self, turn: Turn) -> Turn:
        if not turn.has_gone:
            known = self._owners[turn.priority, turn.owner]
            known.ahead -= 1
            if not known.ahead:
                del self._owners[turn.priority, turn.owner]
        return turn._replace(has_gone=True)

    @staticmethod
    def _turn(priority: int, owner: str, tag: int, joined: int) -> Turn:
        place = min(tag + joined, PRIORITY - 1)
        return Turn(priority * PRIORITY + place, priority, owner, tag)
