"""Slots: how many calls of ours an SR or a host may have at once.

XAPI works on one disk of an SR at a time, whichever host does it, and a host starts four VMs at a
time; whoever comes in addition waits inside of XAPI, which bears some hundred of those in all and
then refuses. So there is one more than what works: it is there when the one before it is done.
"""

from dataclasses import dataclass
from typing import Final

SR: Final = "sr:"
HOST: Final = "host:"

AT_ONCE_SR: Final = 1
AT_ONCE_HOST: Final = 4
ON_DECK: Final = 1
"""How many wait in the pool behind those that it works on, so that it need not wait for us."""


@dataclass(frozen=True)
class Slots:
    """How many slots each SR and each host of a pool has; the defaults are XAPI's and one more."""

    sr: int = AT_ONCE_SR + ON_DECK
    host: int = AT_ONCE_HOST + ON_DECK

    def most(self, what: str) -> int:
        return self.sr if what.startswith(SR) else self.host


def sr_slot(ref: str) -> str:
    """What a call occupies that has an SR make, copy, resize or remove a disk."""
    return SR + ref


def host_slot(ref: str) -> str:
    """What a call occupies that has a host start or stop a VM, or a device of it."""
    return HOST + ref
