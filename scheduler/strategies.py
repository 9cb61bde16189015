"""How hosts, and pools, are chosen among those that would do. Pure.

``spread`` shares launches out in proportion to the memory that is free: what a host has still to
start is counted, so that a batch of tiny VMs keeps all hosts busy. ``pack`` fills what is fullest,
so that the others stay empty.
"""

from dataclasses import dataclass
from typing import Final

SPREAD: Final = "spread"
PACK: Final = "pack"


@dataclass(frozen=True)
class Standing:
    """What one of several has: memory free and in all, in bytes, and how many launches to come."""

    free: int
    memory: int
    coming: int


def better(strategy: str, standing: Standing) -> tuple[float, ...]:
    """The greatest is the best.

    >>> big, small = Standing(64, 64, 2), Standing(16, 64, 0)
    >>> better(SPREAD, big) > better(SPREAD, small), better(PACK, big) > better(PACK, small)
    (True, False)
    """
    if strategy == PACK:
        return (-standing.free, standing.coming)
    return (share(standing), standing.free)


def share(standing: Standing) -> float:
    """The free memory there would be for each launch to come, with one more of them.

    Where none is free, as of a pool with a long line, all memory is taken for it, and comes last.
    """
    each = standing.free / (standing.coming + 1)
    return each if each > 0 else -(standing.coming + 1) / max(standing.memory, 1)
