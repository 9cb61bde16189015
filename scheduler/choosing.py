"""Which pool a launch goes to that names several, or none: chosen by what each has room for.

A thousand launches that are accepted at once are shared out over the pools in proportion to the
memory that they have free, less what their lines wait for. Where that is used up, it goes on by the
memory that they have in all. A pool that does not answer or stands still is passed over, and so is
one that could never have the VM.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from scheduler.placement import NoRoom
from scheduler.strategies import Standing, share
from scheduler.view import Pools, View
from xenlaunch.errors import Busy, PoolError, Refused
from xenlaunch.groups import TOGETHER
from xenlaunch.model import LaunchRequest


class Choosing:
    """The pools as one process sees them."""

    def __init__(self, pools: Pools, clock: Callable[[], float] = time.monotonic) -> None:
        self._pools = pools
        self._views = {pool: View(pool, pools, clock) for pool in pools.pools}
        self._lock = threading.Lock()  # held for a moment, never while a pool is asked

    def pool_for(self, request: LaunchRequest) -> str:
        """The pool of a launch. Raises `Refused` for an unknown name, `Busy` if none answers."""
        names = named(request.pool, self._pools.pools)
        if len(names) == 1:
            return names[0]
        if request.group is not None and request.group.keep == TOGETHER:
            return home(request.group.mark, names)
        return self._by_room(request, names)

    def never(self, request: LaunchRequest, pool: str) -> NoRoom | None:
        """Why no host of a pool could ever have the VM, if that can be told now."""
        look = self._views[pool].look(request)
        return None if isinstance(look, PoolError) else look[1].never

    def _by_room(self, request: LaunchRequest, names: Sequence[str]) -> str:
        looks = {pool: self._views[pool].look(request) for pool in names}
        answering = {pool: look for pool, look in looks.items() if not isinstance(look, PoolError)}
        if not answering:
            raise nobody_answers(looks)
        suited = {pool: look for pool, look in answering.items() if look[1].suits} or answering
        with self._lock:
            chosen = roomiest({pool: seen.standing for pool, (seen, _) in suited.items()})
            seen, fit = suited[chosen]
            seen.promise(fit.memory)
        return chosen


def named(wanted: str | tuple[str, ...] | None, pools: tuple[str, ...]) -> tuple[str, ...]:
    """The pools that a launch may go to.

    >>> named(("attic", "lab"), ("lab", "attic", "cellar"))
    ('attic', 'lab')
    """
    if wanted is None:
        return pools
    listed = (wanted,) if isinstance(wanted, str) else wanted
    for pool in listed:
        if pool not in pools:
            there = ", ".join(sorted(pools)) or "none"
            sentence = f"There is no pool {pool!r}; there is {there}."
            raise Refused("POOL_NOT_FOUND", [pool], sentence)
    return tuple(dict.fromkeys(listed))


def home(group: str, pools: Sequence[str]) -> str:
    """The pool of a group that is kept together: always the same of these, whoever asks.

    >>> home("together db", ("lab", "attic")) == home("together db", ("attic", "lab"))
    True
    """
    return max(pools, key=lambda pool: hashlib.sha256(f"{group}\0{pool}".encode()).digest())


def roomiest(standings: Mapping[str, Standing]) -> str:
    """The pool with most memory for each launch that is to have some, with this one.

    >>> big, small = Standing(200, 200, 3), Standing(100, 100, 0)
    >>> roomiest({"big": big, "small": small})
    'small'
    """
    return max(standings, key=lambda pool: (share(standings[pool]), pool))


def nobody_answers(looks: Mapping[str, object]) -> Busy:
    reasons = (look.message for look in looks.values() if isinstance(look, PoolError))
    sentence = f"None of the pools can be used now: {' '.join(reasons)}"
    return Busy("NO_POOL_ANSWERS", sorted(looks), sentence)
