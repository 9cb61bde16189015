"""The bound cannot be undercut, and a pool that wastes nothing comes close to it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.bound import bound, terms
from simulator.latency import FIGURES

USUAL = {name: figure.seconds for name, figure in FIGURES.items()}

figures = st.fixed_dictionaries(
    {
        "VDI.clone": st.floats(0.1, 5),
        "VM.clone rows": st.floats(0, 1),
        "placement": st.floats(0, 0.1),
        "VM.start": st.floats(0.1, 20),
        "VM.start per disk": st.floats(0, 2),
    }
)


def best(vms: int, srs: int, hosts: int, figures: dict[str, float], disks: int = 1) -> float:
    """The makespan of the pool that never waits: for equal jobs no order is quicker than this."""
    start = figures["VM.start"] + (disks - 1) * figures["VM.start per disk"]
    placed, workers = 0.0, [0.0] * (4 * hosts)
    for number in range(1, vms + 1):
        cloned = math.ceil(number / srs) * disks * figures["VDI.clone"] + figures["VM.clone rows"]
        placed = max(placed, cloned) + figures["placement"]
        worker = workers.index(min(workers))
        workers[worker] = max(workers[worker], placed) + start
    return max(workers)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 5), st.integers(1, 6), figures, st.integers(1, 3))
def test_no_schedule_is_quicker_than_the_bound(
    vms: int, srs: int, hosts: int, figures: dict[str, float], disks: int
) -> None:
    assert bound(vms, srs, hosts, figures, disks) <= best(vms, srs, hosts, figures, disks) + 1e-6


@pytest.mark.parametrize("hosts", [1, 4, 16])
@pytest.mark.parametrize("srs", [1, 2, 4])
def test_the_best_schedule_is_within_two_per_cent_of_it(srs: int, hosts: int) -> None:
    least = bound(500, srs, hosts, USUAL)

    assert least <= best(500, srs, hosts, USUAL) <= 1.02 * least


def test_it_says_what_is_the_narrowest() -> None:
    by_srs, by_hosts = terms(500, 4, 16, USUAL), terms(500, 4, 1, USUAL)

    assert max(by_srs, key=by_srs.__getitem__) == "srs"
    assert max(by_hosts, key=by_hosts.__getitem__) == "hosts"


def test_nothing_takes_no_time() -> None:
    assert bound(0, 1, 1, USUAL) == 0
