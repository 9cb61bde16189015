"""CPU weight and cap, as the article that xenlaunch began with reckons them."""

from typing import Final

MAX_WEIGHT: Final = 256
DERATE: Final = 0.99


def vcpu_params(speed: int, host_speed: int, vcpus: int, *, limited: bool) -> dict[str, str]:
    """The weight and cap of a VM that was promised so many MHz on a host of so many.

    Both are at least 1: to Xen a cap of 0 is no cap, and a weight of 0 is ignored.

    >>> vcpu_params(500, 2600, 2, limited=True)
    {'weight': '48', 'cap': '38'}
    >>> vcpu_params(20, 2600, 1, limited=True)
    {'weight': '1', 'cap': '1'}
    >>> vcpu_params(500, 2600, 2, limited=False)
    {'weight': '48', 'cap': '0'}
    """
    weight = min(max(int(speed * DERATE / host_speed * MAX_WEIGHT), 1), MAX_WEIGHT)
    cap = max(speed * 100 * vcpus // host_speed, 1) if limited else 0
    return {"weight": str(weight), "cap": str(cap)}
