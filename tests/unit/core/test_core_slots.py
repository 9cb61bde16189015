"""Slots of SRs and hosts: the scripts, over a real server, held to the pure functions."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.slots import Slots
from tests.unit.core.lives import FAILURE, POOL, Lives, call, made_vm
from xenlaunch import names, states
from xenlaunch.errors import CancelAsked
from xenlaunch.lease import Call, Lease
from xenlaunch.slots import PoolSlots
from xenlaunch.xapi.pending import Outcome

SR1, SR2 = "sr:OpaqueRef:1", "sr:OpaqueRef:2"


def cloning(lives: Lives, **fields: object) -> Lease:
    return lives.leased(names.CLONE, **fields)


def take(lease: Lease, *what: str, most: int = 1) -> str:
    return lease.slot("clone", dict.fromkeys(what, most), "its turn", 60)


def sent(lease: Lease, task: str = "OpaqueRef:task") -> None:
    lease.intend("clone", call("Async.VM.clone", task=task))


def held(lives: Lives, what: str) -> tuple[int, int]:
    return PoolSlots(lives.ledger, POOL).in_use()[what]


def again(lives: Lives, lease: Lease) -> Lease:
    """The lease of whoever goes on with a launch that was given its slot."""
    return lives.lease(lease.launch.id, lease.step)


def test_a_slot_is_held_by_who_took_it_however_often_it_asks(lives: Lives) -> None:
    lease = cloning(lives)

    assert [take(lease, SR1) for _ in range(2)] == [SR1, SR1]
    assert held(lives, SR1) == (1, 0)


def test_of_several_that_with_fewest_is_taken(lives: Lives) -> None:
    taken = [take(cloning(lives), SR1, SR2, most=2) for _ in range(4)]

    assert sorted(taken[:2]) == [SR1, SR2]
    assert (held(lives, SR1), held(lives, SR2)) == ((2, 0), (2, 0))


def test_who_finds_none_parks_and_gets_the_next_that_is_freed_in_the_order_of_the_line(
    lives: Lives,
) -> None:
    first, late, urgent = cloning(lives), cloning(lives), cloning(lives, priority=0)
    take(first, SR1)
    assert [take(late, SR1), take(urgent, SR1)] == ["", ""]
    assert (lives.ledger.record(late.launch.id).parked or {})["what"] == "its turn"
    sent(first)
    first.came_out("clone", "OpaqueRef:vm")

    assert PoolSlots(lives.ledger, POOL).await_given(5) == (urgent.launch.id, names.CLONE)
    assert lives.ledger.record(urgent.launch.id).parked is None
    assert held(lives, SR1) == (1, 1)
    assert take(again(lives, urgent), SR1) == SR1


def test_who_waits_in_several_lines_leaves_them_all(lives: Lives) -> None:
    first, second, waits = (cloning(lives) for _ in range(3))
    take(first, SR1)
    take(second, SR2)
    assert take(waits, SR1, SR2) == ""
    sent(second)
    second.came_out("clone", "OpaqueRef:vm")

    assert (held(lives, SR1), held(lives, SR2)) == ((1, 0), (1, 0))
    assert take(again(lives, waits), SR1, SR2) == SR2


def _came_out(lives: Lives, lease: Lease) -> None:
    lease.came_out("clone", "OpaqueRef:vm")


def _failed(lives: Lives, lease: Lease) -> None:
    lease.failed("clone", "SR_FULL")


def _noted(lives: Lives, lease: Lease) -> None:
    lives.ledger.note(lease.launch.id, "OpaqueRef:task", Outcome("success").to_json())


def _undone(lives: Lives, lease: Lease) -> None:
    lease.turn_to_undo(states.FAILED, FAILURE)
    undo = lives.lease(lease.launch.id, names.UNDO)
    assert held(lives, SR1)[0] == 1, "the pool may still work at it"
    undo.undone(())


@pytest.mark.parametrize("over", [_came_out, _failed, _noted, _undone])
def test_a_slot_is_freed_when_the_call_is_over_and_not_before(
    lives: Lives, over: Callable[[Lives, Lease], None]
) -> None:
    lease = cloning(lives)
    take(lease, SR1)
    sent(lease)
    lease.park("the clone", "OpaqueRef:task", 60)
    lives.ledger.wake(lease.launch.id)
    lease = again(lives, lease)
    assert held(lives, SR1) == (1, 0)
    over(lives, lease)

    assert held(lives, SR1) == (0, 0)


def test_who_has_sent_nothing_frees_its_slot_with_its_turn_to_undo(lives: Lives) -> None:
    lease = cloning(lives)
    take(lease, SR1)
    lease.turn_to_undo(states.FAILED, FAILURE)

    assert held(lives, SR1) == (0, 0)


def test_who_waits_a_while_with_nothing_sent_keeps_no_slot(lives: Lives) -> None:
    lease = cloning(lives)
    take(lease, SR1)
    lease.park("the pool", "", 60, retry=True)

    assert held(lives, SR1) == (0, 0)


def test_the_slot_of_another_call_is_freed(lives: Lives) -> None:
    lease = cloning(lives)
    take(lease, SR1)
    lease.slot("vdi:0", {SR2: 1}, "its turn", 60)

    assert (held(lives, SR1), held(lives, SR2)) == ((0, 0), (1, 0))


def test_who_is_cancelled_leaves_the_lines(lives: Lives) -> None:
    first, waits = cloning(lives), cloning(lives)
    take(first, SR1)
    take(waits, SR1)
    lives.ledger.cancel(waits.launch.id, FAILURE)
    lives.ledger.cancel(first.launch.id, FAILURE)

    assert held(lives, SR1) == (1, 0)
    with pytest.raises(CancelAsked):
        take(first, SR2)


def test_the_sweeper_borrows_the_next_one_and_gives_it_back(lives: Lives) -> None:
    first, waits = cloning(lives), cloning(lives)
    take(first, SR1)
    take(waits, SR1)
    assert not PoolSlots(lives.ledger, POOL).borrow(SR1, 1)
    made_vm(first)
    lives.ledger.note(first.launch.id, "none of its", "[]")
    first.turn_to_undo(states.FAILED, FAILURE)
    assert PoolSlots(lives.ledger, POOL).borrow(SR1, 1)
    assert PoolSlots(lives.ledger, POOL).await_given(0.01) is None
    PoolSlots(lives.ledger, POOL).give_back()

    assert PoolSlots(lives.ledger, POOL).await_given(5) == (waits.launch.id, names.CLONE)


def over_with(lives: Lives, code: str) -> None:
    lease = cloning(lives)
    take(lease, SR1, most=4)
    sent(lease)
    lease.failed("clone", code) if code else lease.came_out("clone", "OpaqueRef:vm")


def test_a_pool_that_says_it_is_too_much_gets_half_and_then_more_again(lives: Lives) -> None:
    def at_once() -> str | None:
        found: str | None = lives.redis.hget(lives.key("slots", POOL), f"now:{SR1}")
        return found

    seen = []
    for code in ("TOO_MANY_PENDING_TASKS", "OTHER_OPERATION_IN_PROGRESS", "TOO_MANY_PENDING_TASKS"):
        over_with(lives, code)
        seen.append(at_once())
    for _ in range(3):
        for _ in range(16):
            over_with(lives, "")
        seen.append(at_once())

    assert seen == ["2", "1", "1", "2", "3", None]


def test_what_is_set_lower_holds_at_once_also_while_it_is_found_out(lives: Lives) -> None:
    lease = cloning(lives)
    take(lease, SR1, most=8)
    sent(lease)
    lease.failed("clone", "TOO_MANY_PENDING_TASKS")

    assert [take(cloning(lives), SR1, most=1) for _ in range(3)] == [SR1, "", ""]


def _fails_as_written(lease: Lease) -> None:
    lease.failed("clone", "SR_FULL")


def _fails_for_all_we_know(lease: Lease) -> None:
    lease.failed("clone")


def _fails_as_noted(lease: Lease) -> None:
    noted = Outcome("failure", "", "SR_FULL").to_json()
    lease.ledger.note(lease.launch.id, "OpaqueRef:task", noted)


@pytest.mark.parametrize("fails", [_fails_as_written, _fails_for_all_we_know, _fails_as_noted])
def test_what_fails_for_another_reason_does_not_say_that_the_pool_bears_more(
    lives: Lives, fails: Callable[[Lease], None]
) -> None:
    over_with(lives, "TOO_MANY_PENDING_TASKS")
    for _ in range(20):
        lease = cloning(lives)
        take(lease, SR1, most=4)
        sent(lease)
        fails(lease)

    assert held(lives, SR1) == (0, 0)
    assert lives.redis.hget(lives.key("slots", POOL), f"now:{SR1}") == "2"


# The scripts and the pure functions


class Both:
    """The same launches in the ledger and in `scheduler.slots`."""

    def __init__(self, lives: Lives, limits: dict[str, int]) -> None:
        lives.redis.flushall()
        self.lives = lives
        self.limits = limits
        self.pure = Slots(limits)
        self.leases = {lease.launch.id: lease for lease in (cloning(lives) for _ in range(5))}
        self.attempt = 0

    def turn(self, launch: str) -> float:
        record = self.lives.ledger.record(launch)
        return int(record.priority) * 1e13 + int(record.submitted)

    def take(self, launch: str, what: list[str]) -> None:
        lease = self.leases.get(launch)
        if lease is None or self.pure.held(launch):
            return
        taken = lease.slot("clone", {one: self.limits[one] for one in what}, "its turn", 60)
        self.pure.take(launch, what, self.turn(launch))
        if not taken:
            del self.leases[launch]

    def over(self, launch: str) -> None:
        lease = self.leases.get(launch)
        if lease is None or not self.pure.held(launch):
            return
        self.attempt += 1
        lease.intend("clone", Call("VM.clone", self.attempt, "", 0.0))
        lease.failed("clone")
        for on in self.pure.free(launch):
            self.leases[on.launch] = self.lives.lease(on.launch, names.CLONE)

    def agree(self) -> None:
        for what in self.limits:
            holders = self.lives.redis.zrange(self.lives.key("slot", POOL, what), 0, -1)
            assert sorted(holders) == sorted(self.pure.holders(what))
            waiting = self.lives.redis.zrange(self.lives.key("slotline", POOL, what), 0, -1)
            assert set(waiting) == {
                launch for launch in self.known if what in self.pure.waits_for(launch)
            }

    @property
    def known(self) -> list[str]:
        return self.lives.ledger.all_launches()


WHATS = st.lists(st.sampled_from([SR1, SR2, "host:1"]), min_size=1, max_size=2, unique=True)


@given(
    limits=st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 3)),
    moves=st.lists(st.tuples(st.integers(0, 4), st.none() | WHATS), max_size=25),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_scripts_give_slots_as_the_pure_functions_do(
    lives: Lives, limits: tuple[int, int, int], moves: list[tuple[int, list[str] | None]]
) -> None:
    both = Both(lives, dict(zip((SR1, SR2, "host:1"), limits, strict=True)))
    everyone = both.known
    for pick, what in moves:
        if what is None:
            both.over(everyone[pick])
        else:
            both.take(everyone[pick], what)
        both.agree()
