"""Whoever asks about a template's copies: in one pool, or in all that have such a template."""

from collections.abc import Callable
from typing import Any

from scheduler.overview import Sight
from scheduler.spread import Spreading
from xenlaunch.errors import PoolError, Refused
from xenlaunch.xapi.reach import Reach

Rows = list[dict[str, Any]]
Question = Callable[[Spreading], Rows]


def look_at_copies(
    sight: Sight, deployment: str, reach: Callable[[str], Reach], pool: str | None, ask: Question
) -> Rows:
    """What is answered of each pool that has the template, or of one.

    A pool that cannot answer has ``pool`` and ``error`` only; so has one that has no such template,
    if none has.
    """
    found: Rows = []
    without: Rows = []
    for name in [pool] if pool else sight.pools:
        try:
            found += ask(spreading(sight, deployment, reach, name))
        except PoolError as error:
            told = {"pool": name, "error": error.message}
            (without if error.code == "TEMPLATE_NOT_FOUND" else found).append(told)
    return found or without


def change_copies(
    sight: Sight,
    deployment: str,
    reach: Callable[[str], Reach],
    pool: str | None,
    template: str,
    ask: Question,
) -> Rows:
    """What is answered of the pool that was named, or of the only one that has the template."""
    if pool is None:
        has = look_at_copies(sight, deployment, reach, None, lambda one: one.report(template))
        having = sorted({row["pool"] for row in has if "sr" in row})
        if len(having) != 1:
            several = f"The template is in the pools {', '.join(having)}: name one of them."
            return [{"pool": "", "error": several}] if having else has
        [pool] = having
    return look_at_copies(sight, deployment, reach, pool, ask)


def spreading(sight: Sight, deployment: str, reach: Callable[[str], Reach], pool: str) -> Spreading:
    if pool not in sight.pools:
        raise Refused("POOL_NOT_FOUND", [pool], f"The pools file names no pool {pool!r}.")
    return Spreading(sight.ledger, reach(pool), sight.inventory(pool), deployment)
