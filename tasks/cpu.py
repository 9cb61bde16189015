"""CPU weight and cap, reckoned from the MHz that a VM was promised.

The formulas are those of CloudStack: the one of the article that xenlaunch began with, whose cap
counts in whole numbers, and its newest, which takes one per cent off the cap too. Products are
doubles, and what becomes of them is cut off, not rounded, as Java does.
"""

from typing import Final

from tasks import lookup
from xenlaunch.errors import Place
from xenlaunch.model import Launch

MAX_WEIGHT: Final = 256
MAX_CAP: Final = 65_535
"""Xen keeps a cap in sixteen bits: one above them would be cut to something else."""
DERATE: Final = 0.99

NO_SPEED: Final = "does not say how fast its CPUs are, which cpu_speed is reckoned with"


def promised_speed(launch: Launch, records: lookup.Cache) -> int:
    """The MHz of the chosen host's first CPU, which is the one that the formulas mean.

    0 where nothing is reckoned from it, or no host is chosen. A host that tells none is one to
    leave: raises `Place`.
    """
    if launch.request.cpu_speed is None or launch.host is None:
        return 0
    speed = lookup.host_speeds(records).get(launch.host.ref)
    if speed is None:
        raise Place("HOST_SPEED_UNKNOWN", [launch.host.uuid], f"It {NO_SPEED}.")
    return speed


def vcpu_params(
    speed: int, host_speed: int, vcpus: int, *, limited: bool, formula: str = "article"
) -> dict[str, str]:
    """The weight and cap of a VM that was promised so many MHz on a host of so many.

    Both are at least 1: to Xen a cap of 0 is no cap, and a weight of 0 is ignored.

    >>> vcpu_params(500, 2600, 2, limited=True)
    {'weight': '48', 'cap': '38'}
    >>> vcpu_params(20, 2600, 1, limited=True)
    {'weight': '1', 'cap': '1'}
    >>> vcpu_params(500, 2600, 2, limited=False)
    {'weight': '48', 'cap': '0'}
    >>> vcpu_params(1_000_000, 1000, 128, limited=True)
    {'weight': '256', 'cap': '65535'}
    >>> vcpu_params(1000, 2600, 2, limited=True, formula="newest")
    {'weight': '97', 'cap': '76'}
    """
    weight = min(max(int(speed * DERATE / host_speed * MAX_WEIGHT), 1), MAX_WEIGHT)
    if formula == "newest":
        share = int(speed * DERATE * vcpus / host_speed * 100)
    else:
        share = speed * 100 * vcpus // host_speed
    cap = min(max(share, 1), MAX_CAP) if limited else 0
    return {"weight": str(weight), "cap": str(cap)}
