"""Whose a pool is: what this ledger knows of it, and what the pool bears.

A pool bears the *generation* of the ledger that launches on it: a random word that a new Redis
makes up. And it bears that ledger's *epoch*: a number that grows while there is work, so that an
older copy of the same Redis is told from this one. Redis holds the next epoch as a wish before the
pool bears it, so what the pool bears is the epoch or the wish, whoever dies when.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xenlaunch import names

OURS: Final = "ours"
FREE: Final = "free"
ANOTHER: Final = "another"
ADOPTING: Final = "adopting"
LOST: Final = "lost"
ROLLED_BACK: Final = "rolled back"

_CLOSED: Final = "!"
"""In front of the generation of a ledger that is adopting the pool, and has not finished."""


@dataclass(frozen=True)
class Known:
    """What the ledger knows of one pool's generation."""

    generation: str
    claimed: bool = False
    epoch: str = ""
    wish: str = ""

    @classmethod
    def of(cls, claims: Mapping[str, str], pool: str) -> "Known":
        return cls(
            claims.get("generation", ""),
            f"claimed:{pool}" in claims,
            claims.get(f"epoch:{pool}", ""),
            claims.get(f"wish:{pool}", ""),
        )


@dataclass(frozen=True)
class Borne:
    """What a pool bears of this deployment's generation."""

    generation: str = ""
    epoch: str = ""

    @classmethod
    def of(cls, other_config: Mapping[str, str], deployment: str) -> "Borne":
        return cls(
            str(other_config.get(names.generation_key(deployment), "")),
            str(other_config.get(names.epoch_key(deployment), "")),
        )


def closed(generation: str) -> str:
    """What a pool bears while it is being adopted: nobody's generation.

    >>> closed("5d0c")
    '!5d0c'
    """
    return _CLOSED + generation


def judge(known: Known, borne: Borne) -> str:
    """Whose the pool is, as seen by this ledger.

    >>> judge(Known("5d0c", claimed=True, epoch="7"), Borne("5d0c", "9"))
    'rolled back'
    """
    if not borne.generation:
        return LOST if known.claimed or borne.epoch else FREE
    if borne.generation.startswith(_CLOSED):
        return ADOPTING
    if borne.generation != known.generation:
        return ANOTHER
    if not borne.epoch:  # between two epochs the pool bears none for a moment
        return OURS if known.wish or not known.epoch else LOST
    return OURS if borne.epoch in {known.epoch, known.wish} else ROLLED_BACK


SAYS: Final = {
    ANOTHER: "The pool {pool} was last used through another Redis, or this one has lost its data: "
    "nothing is begun there",
    ADOPTING: "The pool {pool} is being adopted: nothing is begun there",
    LOST: "The pool {pool} no longer knows of this deployment: nothing is begun there",
    ROLLED_BACK: "Redis is an older copy of itself than the pool {pool} has seen: nothing is begun "
    "there",
}
"""Why a pool stands still; the sentence goes on in `trouble`."""


def trouble(pool: str, verdict: str) -> str:
    """Why nothing is begun on a pool, and what to do."""
    return SAYS[verdict].format(pool=pool) + " until 'xenlaunch adopt' has read the pool."
