"""The least time in which a pool can bring up so many VMs, whoever asks for them.

An SR clones one disk at a time, so of ``srs`` SRs the i-th clone is there no sooner than::

    clone(i) = ceil(i / srs) x disks x VDI.clone

Each VM then needs its rows and its placement, and a start on a host; the pool places one VM at a
time, a host starts four at once. So there are three terms, and none of them can be undercut::

    SRs        clone(vms) + rest + start                    the last clone has still to be started
    hosts      clone(first) + rest + rounds x start         all hosts have to start in rounds
    placement  clone(1) + rows + vms x placement + start    one after the other

with ``rest = rows + placement``, ``start = VM.start + (disks - 1) x VM.start per disk``,
``rounds = ceil(vms / (4 x hosts))``, and ``first``, what is left for the first round when all later
ones are full. The bound is the largest. It leaves out all that is ours: messages, looks, records;
and the calls that only write rows. So who stays within a few per cent of it wastes nothing.
"""

import math
from collections.abc import Mapping

from scheduler.slots import AT_ONCE, HOST


def bound(vms: int, srs: int, hosts: int, figures: Mapping[str, float], disks: int = 1) -> float:
    """Seconds, for mean latencies by the simulator's names, from the request to the last VM up.

    >>> figures = {"VDI.clone": 1.2, "VM.clone rows": 0.2, "placement": 0.02, "VM.start": 5.0}
    >>> round(bound(500, 4, 16, figures), 2)
    155.22
    """
    return max(terms(vms, srs, hosts, figures, disks).values())


def terms(
    vms: int, srs: int, hosts: int, figures: Mapping[str, float], disks: int = 1
) -> dict[str, float]:
    """What each part of the pool takes at least, in seconds: the largest is the bound."""
    if vms == 0:
        return dict.fromkeys(("srs", "hosts", "placement"), 0.0)
    clone = disks * figures["VDI.clone"]
    rows, placement = figures["VM.clone rows"], figures["placement"]
    start = figures["VM.start"] + (disks - 1) * figures.get("VM.start per disk", 0.0)
    at_once = AT_ONCE[HOST] * hosts
    rounds = math.ceil(vms / at_once)
    first = vms - (rounds - 1) * at_once
    return {
        "srs": math.ceil(vms / srs) * clone + rows + placement + start,
        "hosts": math.ceil(first / srs) * clone + rows + placement + rounds * start,
        "placement": clone + rows + vms * placement + start,
    }
