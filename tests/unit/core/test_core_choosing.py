"""Which pool a launch goes to that may go to several."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scheduler.choosing import Choosing, home
from scheduler.placement import HostRoom, Need, place
from tests.unit.core.lives import Lives, request
from xenlaunch.errors import Busy, Refused
from xenlaunch.ledger import Ledger

GIB = 1 << 30


class Pools:
    """Pools of one host each, by their free memory in GiB; None is one that does not answer."""

    def __init__(self, ledger: Ledger, **free: int | None) -> None:
        self.ledger = ledger
        self.free = free
        self.without_template: set[str] = set()
        self.hung = ""
        self.asked = threading.Event()
        self.answers = threading.Event()
        self.looks: Counter[str] = Counter()

    @property
    def pools(self) -> tuple[str, ...]:
        return tuple(self.free)

    def is_quick(self, pool: str) -> bool:
        return pool != self.hung

    def answering(self, pool: str) -> Any:
        self.looks[pool] += 1
        free = self.free[pool]
        if free is None:
            raise Busy("POOL_UNREACHABLE", [pool], f"The pool {pool} is not followed.")
        if pool == self.hung:
            self.asked.set()
            assert self.answers.wait(30), "the pool that hangs answers at last"
        room = HostRoom(pool, f"u-{pool}", pool, memory=free * GIB, free=free * GIB, pcpus=8)
        return SimpleNamespace(
            hosts=lambda _: {pool: room},
            copies=lambda _: () if pool in self.without_template else ("a copy",),
            place=lambda hosts, need, _: place(hosts.values(), need),
            need=lambda wanted, _: Need(wanted.least_memory or GIB, wanted.vcpus or 1),
        )


@pytest.fixture
def choose(ledger: Ledger) -> Callable[..., Choosing]:
    def made(**free: int | None) -> Choosing:
        return Choosing(Pools(ledger, **free), clock=lambda: 0.0)

    return made


Choose = Callable[..., Choosing]


def pools_of(choosing: Choosing) -> Pools:
    return cast("Pools", choosing._pools)


def chosen(choosing: Choosing, count: int = 1, **fields: Any) -> Counter[str]:
    """How many of so many launches each pool gets."""
    wanted = [request(f"web-{number}", **fields) for number in range(count)]
    return Counter(choosing.pool_for(one) for one in wanted)


def test_hundreds_at_once_are_spread_by_capacity_with_one_look(choose: Choose) -> None:
    choosing = choose(big=1000, small=500)
    found = chosen(choosing, 300)

    assert abs(found["big"] - 200) <= 20
    assert pools_of(choosing).looks == {"big": 1, "small": 1}


def test_more_than_all_have_room_for_is_still_spread(choose: Choose) -> None:
    found = chosen(choose(big=40, small=20), 600)

    assert abs(found["big"] - 400) <= 40


def test_what_waits_in_a_line_is_reckoned_with(choose: Choose, lives: Lives) -> None:
    for _ in range(60):
        lives.joined(memory=2 * GIB)
    found = chosen(choose(lab=400, attic=400), 60)

    assert found["attic"] > 50


@pytest.mark.parametrize(
    ("fields", "pool"),
    [
        ({"pool": "small"}, "small"),
        ({"pool": ["small", "tiny"]}, "small"),
        ({"pool": ["tiny", "small"], "vcpus": 64}, "small"),
        ({}, "big"),
        ({"memory": 60 * GIB}, "big"),
    ],
)
def test_the_pool_of_a_launch(choose: Choose, fields: dict[str, Any], pool: str) -> None:
    assert chosen(choose(tiny=1, small=50, big=100), **fields) == {pool: 1}


def test_an_unknown_pool_is_refused_wherever_it_stands(choose: Choose) -> None:
    for wanted in ("cellar", ["lab", "cellar"]):
        with pytest.raises(Refused) as refused:
            chosen(choose(lab=1, attic=1), pool=wanted)

        assert refused.value.code == "POOL_NOT_FOUND"
        assert refused.value.message == "There is no pool 'cellar'; there is attic, lab."


def test_a_pool_that_does_not_answer_is_passed_over(choose: Choose) -> None:
    assert chosen(choose(big=None, small=1), 5) == {"small": 5}


def test_where_no_pool_answers_it_is_said_of_each(choose: Choose) -> None:
    with pytest.raises(Busy) as nobody:
        chosen(choose(lab=None, attic=None))

    assert nobody.value.message == (
        "None of the pools can be used now: "
        "The pool lab is not followed. The pool attic is not followed."
    )


def test_a_pool_without_the_template_is_passed_over_while_another_has_it(choose: Choose) -> None:
    choosing = choose(big=100, small=10)
    pools_of(choosing).without_template = {"big"}

    assert chosen(choosing, 3) == {"small": 3}


def test_a_group_that_is_kept_together_has_one_pool(choose: Choose) -> None:
    group = {"name": "db", "keep": "together"}
    found = chosen(choose(big=100, small=10, gone=None), 20, group=group)

    assert found == {home("together db", ("big", "small", "gone")): 20}
    names = {home(f"together {number}", ("big", "small")) for number in range(30)}
    assert names == {"big", "small"}


def test_what_could_never_fit_is_known_of_a_pool_that_answers(choose: Choose) -> None:
    choosing = choose(lab=1, gone=None)
    much = request(memory=2 * GIB)
    verdict = choosing.never(much, "lab")

    assert verdict is not None
    assert str(verdict) == "lab: has 1024 MiB of memory free, the VM needs 2048 MiB"
    assert choosing.never(much, "gone") is None
    assert choosing.never(request(), "lab") is None


def test_a_pool_that_hangs_is_waited_for_by_one_and_the_others_go_on(choose: Choose) -> None:
    choosing = choose(small=10, big=100, stuck=1)
    pools = pools_of(choosing)
    pools.hung = "stuck"
    with ThreadPoolExecutor(1) as patient:
        first = patient.submit(choosing.never, request(memory=2 * GIB), "stuck")
        assert pools.asked.wait(30)
        try:
            assert choosing.never(request(memory=2 * GIB), "stuck") is None
            assert chosen(choosing, 3) == {"big": 3}
        finally:
            pools.answers.set()

        assert first.result(30) is not None
    assert pools.looks == {"stuck": 1, "small": 1, "big": 1}
