"""Slots: how many calls of ours an SR or a host may have at once.

XAPI works on one disk of an SR at a time, whichever host does it, and a host starts four VMs at a
time; whoever comes in addition waits inside of XAPI, which bears some hundred of those in all and
then refuses. So there is one more than what works: it is there when the one before it is done.

Whole disks are copied beside all that, as many at once as are asked for, and each slows down the
others, and the VMs that run there. So they are counted apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xenlaunch.ledger import Ledger
from xenlaunch.store import reachable

SR: Final = "sr:"
HOST: Final = "host:"
COPY: Final = "copy:"

AT_ONCE_SR: Final = 1
AT_ONCE_HOST: Final = 4
AT_ONCE_COPY: Final = 4
ON_DECK: Final = 1
"""How many wait in the pool behind those that it works on, so that it need not wait for us."""


@dataclass(frozen=True)
class Slots:
    """How many slots each SR and each host of a pool has.

    For an SR and a host they are what XAPI works on, and one more. A copy takes minutes, so that no
    other need be there when it ends.
    """

    sr: int = AT_ONCE_SR + ON_DECK
    host: int = AT_ONCE_HOST + ON_DECK
    copy: int = AT_ONCE_COPY

    def most(self, what: str) -> int:
        """
        >>> Slots(sr=3).most("sr:OpaqueRef:1")
        3
        """
        return {SR: self.sr, HOST: self.host, COPY: self.copy}[what[: what.index(":") + 1]]


def sr_slot(ref: str) -> str:
    """What a call occupies that has an SR make, clone, resize or remove a disk."""
    return SR + ref


def copy_slot(ref: str) -> str:
    """What a call occupies that has whole disks written to an SR."""
    return COPY + ref


def host_slot(ref: str) -> str:
    """What a call occupies that has a host start or stop a VM, or a device of it."""
    return HOST + ref


class PoolSlots:
    """The slots of one pool, for whoever has no lease."""

    def __init__(self, ledger: Ledger, pool: str) -> None:
        self._store = ledger.store
        self._pool = pool

    def in_use(self) -> Mapping[str, tuple[int, int]]:
        """Of each SR and host that had one ever: how many launches hold one, and how many wait.

        The sweeper is not counted: what one that died had borrowed the next pass gives back.
        """
        redis = self._store.redis
        with reachable():
            known = redis.hkeys(self._store.key("slots", self._pool))
            whats = [name.partition(":")[2] for name in known if name.startswith("most:")]
            return {
                what: (self._launches("slot", what), self._launches("slotline", what))
                for what in sorted(whats)
            }

    def _launches(self, kind: str, what: str) -> int:
        found: list[str] = self._store.redis.zrange(self._key(kind, what), 0, -1)
        return sum(not one.startswith("@") for one in found)

    def borrow(self, what: str, most: int) -> bool:
        """Take a slot for the sweeper: whether it has it now, else it is its turn next."""
        return bool(self._store.run("borrow", self._pool, what, most))

    def give_back(self) -> None:
        """The sweeper has none any more, also none that one who died had borrowed."""
        self._store.run("borrow", self._pool, "", 0)

    def await_given(self, seconds: float) -> tuple[str, str] | None:
        """A launch that was given the slot that it waited for, with its step; None if none was.

        One at a time: what is in the list counts as sent, what was taken out of it does not.
        """
        with reachable():
            taken = self._store.redis.blpop([self._store.key("given", self._pool)], timeout=seconds)
        if taken is None:
            return None
        launch, _, step = taken[1].partition(" ")
        return launch, step

    def _key(self, kind: str, what: str) -> str:
        return self._store.key(kind, self._pool, what)
