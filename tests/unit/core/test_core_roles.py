"""Roles: one process of many has each, and another takes it over when that one is gone."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.waiting import wait_until
from tests.unit.core.lives import Lives
from workers import roles
from workers.roles import Role, Roles
from xenlaunch.errors import StoreUnreachable
from xenlaunch.ledger import Ledger


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles, "KEEP_EVERY", 0.02)
    monkeypatch.setattr(roles, "LEASE_MS", 400)


class Turning:
    """A role that counts its turns, each of which may go wrong."""

    def __init__(self, name: str = "recover", fails: Exception | None = None) -> None:
        self.name = name
        self.fails = [fails] if fails else []
        self.turns = 0
        self.pause = threading.Event()

    def turn(self, held: Callable[[], bool]) -> None:
        assert held()
        self.turns += 1
        if self.fails:
            raise self.fails.pop()
        self.pause.wait(0.01)

    def let_go(self) -> None:
        """Nothing is remembered."""


Start = Callable[..., Roles]


@pytest.fixture
def start(ledger: Ledger) -> Iterator[Start]:
    """Starts processes, as far as roles are concerned, and stops them after the test."""
    with ExitStack() as stack:

        def process(holder: str, *its: Role, beat: Callable[[], None] = lambda: None) -> Roles:
            started = Roles(ledger, holder, its, beat)
            started.start()
            stack.callback(stop, started)
            return started

        yield process


def stop(started: Roles) -> None:
    started.stop()
    for thread in started._threads:
        thread.join(10)
        assert not thread.is_alive()


def test_one_of_two_has_a_role(start: Start) -> None:
    first, second = Turning(), Turning()
    has_it = start("w1", first)
    wait_until(lambda: first.turns > 3, 5, "the first has its turns")
    stands_by = start("w2", second)
    turns = first.turns
    wait_until(lambda: first.turns > turns + 10, 5, "the first goes on")

    assert (has_it.held("recover"), stands_by.held("recover")) == (True, False)
    assert second.turns == 0


def test_another_takes_over_when_the_holder_stops(start: Start, lives: Lives) -> None:
    first, second = Turning(), Turning()
    has_it = start("w1", first)
    wait_until(lambda: first.turns, 5, "the first has its turns")
    start("w2", second)
    stop(has_it)
    wait_until(lambda: second.turns, 5, "the second has its turns")

    assert not has_it.held("recover")
    assert lives.redis.get(lives.key("role", "recover")) == "w2"


def test_another_takes_over_when_the_holders_lease_runs_out(start: Start, lives: Lives) -> None:
    """A process that was killed gives nothing up."""
    lives.ledger.take_role("recover", "killed", 60)
    role = Turning()
    start("w2", role)
    wait_until(lambda: role.turns, 5, "the role was taken over")

    assert lives.redis.get(lives.key("role", "recover")) == "w2"


def test_who_has_lost_its_role_has_no_more_turns(start: Start, lives: Lives) -> None:
    role = Turning()
    beats: list[int] = []
    started = start("w1", role, beat=lambda: beats.append(1))
    wait_until(lambda: role.turns, 5, "it has its turns")
    lives.redis.set(lives.key("role", "recover"), "w2", px=60_000)
    wait_until(lambda: not started.held("recover"), 5, "it knows that it has lost the role")
    turns, beaten = role.turns, len(beats)
    wait_until(lambda: len(beats) > beaten + 10, 5, "its heart beats on")

    assert not started.held("recover")
    assert role.turns <= turns + 1


def test_who_does_not_have_a_role_remembers_nothing_of_it(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives.ledger.take_role("recover", "w2", 60_000)
    role = Turning()
    started = Roles(lives.ledger, "w1", [role], lambda: None)
    monkeypatch.setattr(started._changed, "wait_for", lambda *_: None)
    monkeypatch.setattr(role, "let_go", started._stopping.set)
    started._work(role)

    assert role.turns == 0


@pytest.mark.parametrize("fault", [RuntimeError("ours"), StoreUnreachable()])
def test_a_role_outlives_a_fault_in_a_turn(start: Start, fault: Exception) -> None:
    role = Turning(fails=fault)
    start("w1", role)

    assert wait_until(lambda: role.turns > 1, 10, "it has another turn")


def test_each_role_is_a_holders_own(start: Start) -> None:
    start("w1", first := Turning("dispatch:lab"))
    wait_until(lambda: first.turns, 5, "the first role has its turns")
    start("w2", Turning("dispatch:lab"), other := Turning("dispatch:attic"))

    assert wait_until(lambda: other.turns, 5, "the other role has its turns")


@pytest.mark.parametrize("fault", [StoreUnreachable(), OSError("disk full")])
def test_a_holder_that_cannot_keep_its_role_holds_nothing_meanwhile(
    start: Start, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    role = Turning()
    started = start("w1", role)
    wait_until(lambda: role.turns, 5, "it has its turns")

    def broken_take(*_: object) -> bool:
        raise fault

    with monkeypatch.context() as broken:
        broken.setattr(ledger, "take_role", broken_take)
        wait_until(lambda: not started.held("recover"), 5, "it holds nothing")
    turns = role.turns
    wait_until(lambda: role.turns > turns, 5, "it has it again")


def test_a_holder_beats_whether_or_not_it_has_a_role(start: Start) -> None:
    """With each beat the leases of the process are prolonged."""
    beats: list[int] = []
    start("w1", beat=lambda: beats.append(1))

    assert wait_until(lambda: len(beats) > 3, 5, "the heart beats")


def test_a_role_is_taken_once_and_left_by_its_holder_alone(ledger: Ledger) -> None:
    taken = [ledger.take_role("recover", holder, 60_000) for holder in ("w1", "w1", "w2")]
    ledger.leave_role("recover", "w2")
    still = ledger.take_role("recover", "w2", 60_000)
    ledger.leave_role("recover", "w1")

    assert taken == [True, True, False]
    assert still is False
    assert ledger.take_role("recover", "w2", 60_000)
