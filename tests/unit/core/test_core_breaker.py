"""A pool that does not answer is left alone: its breaker, the bulkhead, and who probes it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.unit.core.lives import POOL, Lives
from workers.breakers import Breakers
from workers.bulkhead import Bulkhead
from workers.prober import WAKE_AT_ONCE, Probing
from xenlaunch import names
from xenlaunch.breaker import Breaker, close_breaker, open_breaker
from xenlaunch.errors import Busy, Silent
from xenlaunch.xapi.refusals import refusal


class Pulsing:
    """A pool's pulse, as a test says that it is."""

    def __init__(self) -> None:
        self.why = ""
        self.restarts = 0

    def trouble(self) -> str:
        return self.why

    def restart(self) -> None:
        self.restarts += 1


@pytest.fixture
def pulse() -> Pulsing:
    return Pulsing()


@pytest.fixture
def breakers(lives: Lives, pulse: Pulsing) -> Breakers:
    lives.ledger.register("tests", "generation", [POOL])
    return Breakers(lives.ledger, lives.ledger.claims, lambda: {POOL: cast("Any", pulse)})


# The breaker


def test_an_open_breaker_is_told_with_every_lease(lives: Lives, breakers: Breakers) -> None:
    opened = open_breaker(lives.ledger, POOL, "no answer in time")
    again = open_breaker(lives.ledger, POOL, "something else")
    found = Breaker.of(lives.leased().claims, POOL)

    assert (opened, again) == (True, False)
    assert found is not None
    assert (found.pool, found.why) == (POOL, "no answer in time")
    with pytest.raises(Silent) as silent:
        breakers.check(POOL)
    assert silent.value.message == (
        f"The pool lab does not answer since {found.time}: no answer in time."
    )
    assert silent.value.as_record()["code"] == "POOL_SILENT"


def test_a_breaker_that_is_closed_is_no_more(lives: Lives, breakers: Breakers) -> None:
    open_breaker(lives.ledger, POOL, "no answer in time")

    assert [close_breaker(lives.ledger, POOL) for _ in range(2)] == [True, False]
    breakers.check(POOL)
    assert lives.ledger.deployment() is not None


def test_the_breaker_of_a_silent_pool_is_opened_once(
    lives: Lives, breakers: Breakers, pulse: Pulsing
) -> None:
    breakers.beat()
    well = breakers.find(POOL)
    pulse.why = "refused"
    breakers.beat()
    first = breakers.find(POOL)
    breakers.beat()

    assert well is None
    assert first is not None
    assert breakers.find(POOL) == first
    assert lives.ledger.await_nudge(f"probe:{POOL}", 1)


def test_what_hangs_from_before_does_not_open_it_again(
    lives: Lives, breakers: Breakers, pulse: Pulsing
) -> None:
    pulse.why = "no answer in time"
    breakers.beat()
    close_breaker(lives.ledger, POOL)
    breakers.beat()

    assert (pulse.restarts, breakers.find(POOL)) == (1, None)
    breakers.beat()
    assert breakers.find(POOL) is not None


# The prober


class Probed:
    """What a prober has of its process; the pool answers when a test lets it."""

    def __init__(self, lives: Lives, breakers: Breakers) -> None:
        self.lives = lives
        self.answers = False
        self.probes = 0
        self.begun: list[tuple[str, str]] = []
        session = SimpleNamespace(probe=self._probe)
        runtime = SimpleNamespace(
            generations=SimpleNamespace(refresh=lambda: True),
            breakers=breakers,
            reach=lambda _: SimpleNamespace(session=session),
        )
        duties = SimpleNamespace(
            runtime=runtime, ledger=lives.ledger, begin=lambda *one: self.begun.append(one)
        )
        self.pauses: list[float] = []
        self.role = Probing(cast("Any", duties), POOL, pause=self.pauses.append)

    def _probe(self, _seconds: float) -> None:
        self.probes += 1
        if not self.answers:
            raise refusal("", "POOL_UNREACHABLE", [POOL, "a", "no answer in time"])

    def turn(self) -> None:
        self.role.turn(lambda: True)


@pytest.fixture
def probed(lives: Lives, breakers: Breakers, monkeypatch: pytest.MonkeyPatch) -> Probed:
    monkeypatch.setattr("workers.prober.EVERY_SECONDS", 0.01)
    return Probed(lives, breakers)


def shut_out(lives: Lives) -> str:
    lease = lives.leased()
    lease.park("the pool", names.breaker_ref(lease.launch.id), 60)
    return lease.launch.id


def test_a_pool_is_probed_while_its_breaker_is_open_and_not_else(
    lives: Lives, probed: Probed
) -> None:
    probed.turn()
    before = probed.probes
    open_breaker(lives.ledger, POOL, "no answer in time")
    probed.turn()
    probed.turn()
    silent = Breaker.of(lives.ledger.claims(), POOL)
    probed.answers = True
    probed.turn()

    assert (before, probed.probes) == (0, 3)
    assert silent is not None
    assert Breaker.of(lives.ledger.claims(), POOL) is None


def test_who_waits_for_a_pool_is_woken_at_a_measured_pace(lives: Lives, probed: Probed) -> None:
    open_breaker(lives.ledger, POOL, "no answer in time")
    waiting = {shut_out(lives) for _ in range(WAKE_AT_ONCE + 3)}
    other = lives.leased()
    other.park("a pool task", "OpaqueRef:task", 60)
    probed.turn()
    asleep = list(probed.begun)
    probed.answers = True
    steps = []
    for _ in range(4):
        probed.turn()
        steps.append(len(probed.begun))

    assert asleep == []
    assert steps == [0, WAKE_AT_ONCE, WAKE_AT_ONCE + 3, WAKE_AT_ONCE + 3]
    assert len(probed.pauses) == 2
    assert {launch for launch, _ in probed.begun} == waiting
    assert {step for _, step in probed.begun} == {names.CONNECT}
    assert lives.ledger.parked(POOL) == {"OpaqueRef:task": other.launch.id}


def test_who_waits_for_a_pool_is_woken_in_the_order_of_the_line(
    lives: Lives, probed: Probed
) -> None:
    """Who was to go first may hold a slot that the others wait for."""
    leases = [lives.leased() for _ in range(WAKE_AT_ONCE * 2)]
    for lease in reversed(leases):
        lease.park("the pool", names.breaker_ref(lease.launch.id), 60)
    for _ in range(2):
        probed.turn()

    assert [launch for launch, _ in probed.begun] == [lease.launch.id for lease in leases]


def test_the_next_holder_wakes_who_still_waits(lives: Lives, probed: Probed) -> None:
    """The one before has closed the breaker, and died."""
    launch = shut_out(lives)
    probed.turn()

    assert probed.begun == [(launch, names.CONNECT)]


def test_who_has_lost_the_role_does_nothing(lives: Lives, probed: Probed) -> None:
    open_breaker(lives.ledger, POOL, "no answer in time")
    probed.role.turn(lambda: False)

    assert probed.probes == 0


# The bulkhead


@contextmanager
def held(bulkhead: Bulkhead, pool: str, times: int) -> Iterator[None]:
    """So many places of a pool are taken."""
    if not times:
        yield
        return
    with bulkhead.place(pool), held(bulkhead, pool, times - 1):
        yield


def never(_pool: str) -> bool:
    return False


def test_a_pool_has_its_share_and_the_others_have_theirs() -> None:
    bulkhead = Bulkhead(4, 2, never)
    with held(bulkhead, "hung", bulkhead.share):
        with pytest.raises(Busy) as full, bulkhead.place("hung"):
            pass
        with held(bulkhead, "well", 3):
            pass

    assert full.value.code == "POOL_BUSY_HERE"
    with bulkhead.place("hung"):
        pass


def test_who_finds_a_quick_pool_full_waits_for_a_place() -> None:
    waits = threading.Event()
    entered = threading.Event()

    def is_quick(_pool: str) -> bool:
        waits.set()
        return True

    bulkhead = Bulkhead(2, 2, is_quick)

    def enter() -> None:
        with bulkhead.place("quick"):
            entered.set()

    thread = threading.Thread(target=enter)
    with bulkhead.place("quick"):
        thread.start()
        assert waits.wait(10)
        early = entered.is_set()
    thread.join(10)

    assert (early, entered.is_set()) == (False, True)


def test_nobody_waits_for_ever() -> None:
    ticks = iter(range(100))
    bulkhead = Bulkhead(2, 2, lambda _: True, clock=lambda: float(next(ticks)))
    with bulkhead.place("quick"), pytest.raises(Busy), bulkhead.place("quick"):
        pass


@pytest.mark.parametrize("solo", [1, 2, 64])
def test_a_single_pool_has_all_threads(solo: int) -> None:
    assert Bulkhead(solo, 1, never).share == solo
