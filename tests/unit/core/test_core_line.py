"""The ledger's line, over a real server: it goes as `scheduler.fair` says, and gives up in time."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.deadline import give_up
from scheduler.fair import Line, Turn
from scheduler.recover import Recovery
from tests.unit.core.lives import ERROR, POOL, Lives, call, request
from tests.unit.core.test_core_recover import Recorded
from xenlaunch import names, states
from xenlaunch.lease import Lease

OWNERS = (None, "team-a", "a:b", "*")


@dataclass
class Twins:
    """The ledger's line and the pure one, with the same launches."""

    lives: Lives
    line: Line = field(default_factory=Line)
    waiting: dict[str, Turn] = field(default_factory=dict)
    in_flight: dict[str, Turn] = field(default_factory=dict)

    def join(self, owner: str | None, weight: float, priority: int) -> None:
        launch = self.lives.submitted(owner=owner, priority=priority)
        assert self.lives.ledger.join(launch, POOL, [], weight) == "ok"
        self.waiting[launch] = self.line.join(owner or "", weight, priority)

    def act(self, verb: str, pick: int) -> None:
        of = self.in_flight if verb in ("go", "come back", "end") else self.waiting
        if of:
            launch = sorted(of)[pick % len(of)]
            verbs = {
                "admit": self.admit,
                "leave": self.leave,
                "retry": self.retry,
                "go": self.go,
                "come back": self.come_back,
                "end": self.end,
            }
            verbs[verb](launch, of.pop(launch))

    def admit(self, launch: str, turn: Turn) -> None:
        assert self.lives.admit(launch) == names.CONNECT
        self.in_flight[launch] = turn

    def go(self, launch: str, turn: Turn) -> None:
        lease = self.lives.lease(launch)
        assert lease.slot("clone", {"sr:OpaqueRef:1": 99}, "its turn", 60)
        self.lives.ledger.let_go({launch: lease.fence})
        self.in_flight[launch] = self.line.go(turn)

    def end(self, launch: str, turn: Turn) -> None:
        assert self.lives.ledger.cancel(launch, ERROR) == "undoing"
        assert self.lives.lease(launch, names.UNDO).undone(())
        self.line.leave(turn)

    def leave(self, launch: str, turn: Turn) -> None:
        assert self.lives.ledger.cancel(launch, ERROR) == "done"
        self.line.leave(turn)

    def come_back(self, launch: str, turn: Turn) -> None:
        self.lives.lease(launch).another_host(names.CONNECT, "u-h1", "is full")
        self.waiting[launch] = self.line.come_back(turn)

    def retry(self, launch: str, turn: Turn) -> None:
        """It stands behind all others of its owner once more."""
        self.leave(launch, turn)
        assert self.lives.ledger.reopen(launch, states.WAITING) == "waiting"
        assert self.lives.ledger.join(launch, POOL, []) == "ok"
        self.waiting[launch] = self.line.join(turn.owner, priority=turn.priority)

    def agree(self) -> None:
        turns = {one.id: int(one.turn) for one in self.lives.ledger.records(list(self.waiting))}

        assert turns == {launch: turn.score for launch, turn in self.waiting.items()}
        assert self.lives.ledger.waiting(POOL) == sorted(
            self.waiting, key=lambda launch: (self.waiting[launch].score, launch)
        )


joins = st.builds(
    lambda *words: lambda twins: twins.join(*words),
    st.sampled_from(OWNERS),
    st.sampled_from((0.01, 0.3, 1.0, 3, 100)),
    st.sampled_from((0, 5, 9)),
)
others = st.builds(
    lambda *words: lambda twins: twins.act(*words),
    st.sampled_from(("admit", "admit", "go", "go", "leave", "come back", "retry", "end")),
    st.integers(0, 1 << 16),
)


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(acts=st.lists(st.one_of(joins, joins, others), max_size=30))
def test_the_ledgers_line_is_the_pure_one(
    lives: Lives, acts: list[Callable[[Twins], None]]
) -> None:
    lives.redis.flushall()
    twins = Twins(lives)
    for act in acts:
        act(twins)
        twins.agree()
    for launch, turn in twins.waiting.items():
        twins.leave(launch, turn)
    for launch, turn in list(twins.in_flight.items()):
        twins.end(launch, turn)

    assert not lives.redis.exists(lives.key("fair", POOL))
    lives.redis.flushall()


def test_an_owner_with_many_waiting_does_not_starve_another(lives: Lives) -> None:
    for _ in range(12):
        lives.joined(owner="many")
    few = [lives.joined(owner="few") for _ in range(2)]
    some = [lives.joined(owner="some") for _ in range(4)]
    line = lives.ledger.waiting(POOL)

    assert {line.index(launch) for launch in few} == {1, 4}
    assert {line.index(launch) for launch in some} == {2, 5, 7, 9}


def test_who_was_submitted_first_goes_first_whoever_was_accepted_first(lives: Lives) -> None:
    launches = [lives.submitted(owner="team-a") for _ in range(5)]
    for place, launch in enumerate(launches):
        lives.redis.hincrby(lives.key("launch", launch), "submitted", place)
    for place in (3, 0, 4, 2, 1):
        lives.ledger.join(launches[place], POOL, [])

    assert lives.ledger.waiting(POOL) == launches
    turns = [int(record.turn) for record in lives.ledger.records(launches)]
    assert turns == sorted(turns)


def begin_again(lives: Lives, lease: Lease) -> None:
    """The launch is undone, and its owner wants it once more."""
    lease.turn_to_undo(states.FAILED, ERROR)
    assert lives.lease(lease.launch.id, names.UNDO).undone(())
    assert lives.ledger.reopen(lease.launch.id, states.WAITING) == "waiting"


@pytest.mark.parametrize("owner", [None, "team-a"])
def test_who_is_tried_again_stands_behind_all_who_wait(lives: Lives, owner: str | None) -> None:
    first, *others = [lives.joined(owner=owner) for _ in range(3)]
    lives.admit(first)
    begin_again(lives, lives.lease(first))
    lives.ledger.join(first, POOL, [])

    assert lives.ledger.waiting(POOL) == [*others, first]


def test_a_batch_that_is_resumed_shares_the_line_with_the_other_owners(lives: Lives) -> None:
    leases = [lives.leased(owner="many") for _ in range(6)]
    for lease in leases:
        lease.slot("clone", {"sr:1": 99}, "its turn", 60)
    others = [lives.joined(owner="few") for _ in range(6)]
    for lease in leases:
        begin_again(lives, lease)
        lives.ledger.join(lease.launch.id, POOL, [])
    again = [lease.launch.id for lease in leases]

    assert lives.ledger.waiting(POOL) == [
        launch for pair in zip(others, again, strict=True) for launch in pair
    ]


# The time in which a launch must have begun


def late(lives: Lives, launch: str) -> str:
    """The same launch, whose time is over."""
    lives.redis.hset(lives.key("launch", launch), "start_by", 1)
    lives.redis.zadd(lives.key("due"), {launch: 1})
    return launch


@pytest.fixture
def actions(lives: Lives) -> Recorded:
    return Recorded(lives)


@pytest.fixture
def recovery(lives: Lives, actions: Recorded) -> Recovery:
    return Recovery(lives.ledger, actions)


def test_who_waits_in_line_is_looked_at_when_its_time_is_over(lives: Lives) -> None:
    launch = lives.joined(start_within=30)
    record = lives.ledger.record(launch)

    assert int(record.start_by) == int(record.submitted) + 30_000
    assert lives.redis.zscore(lives.key("due"), launch) == int(record.start_by)
    assert lives.ledger.status(launch).doing.startswith("waiting for its turn; it must begin by 20")


def test_who_has_waited_too_long_in_line_fails_with_what_it_waited_for(
    lives: Lives, recovery: Recovery, actions: Recorded
) -> None:
    launch = late(lives, lives.joined(start_within=30))
    lives.ledger.say_why({launch: "waiting for the pool lab: it does not answer"})
    recovery.sweep()
    error = lives.ledger.status(launch).error

    assert error is not None
    assert error.code == "WAITED_TOO_LONG"
    assert error.params == ("30", "waiting for the pool lab: it does not answer")
    assert error.message.startswith(
        "It was not begun within 30 s, as start_within asks for; it was waiting for the pool lab: "
    )
    assert actions.done == [("tell", launch, states.FAILED)]
    assert lives.ledger.waiting(POOL) == []


def test_who_has_waited_too_long_in_a_line_that_stands_still_fails_with_why(
    lives: Lives, recovery: Recovery
) -> None:
    launch = late(lives, lives.joined(start_within=30))
    lives.ledger.say_why_all(POOL, "waiting for the pool lab: it does not answer")
    recovery.sweep()
    error = lives.ledger.status(launch).error

    assert error is not None
    assert error.params == ("30", "waiting for the pool lab: it does not answer")


def test_who_is_in_no_line_yet_fails_too(lives: Lives, recovery: Recovery) -> None:
    launch = late(lives, lives.submitted(start_within=30))
    recovery.sweep()

    assert lives.state(launch) == states.FAILED


@pytest.mark.parametrize("step", [names.CONNECT, names.CLONE])
def test_who_is_parked_before_its_clone_fails_without_asking_the_pool(
    lives: Lives, recovery: Recovery, step: str
) -> None:
    lease = lives.leased(step, start_within=30)
    lease.park("a slot of the SR", "slot sr:1", 600)
    launch = lease.launch.id
    due = lives.redis.zscore(lives.key("due"), launch)
    at = int(lives.ledger.record(launch).start_by)
    late(lives, launch)
    recovery.sweep()
    error = lives.ledger.status(launch).error

    assert due == at
    assert error is not None
    assert error.params == ("30", "waiting for a slot of the SR")
    assert lives.state(launch) == states.FAILED
    assert lives.ledger.in_flight(POOL) == {}
    assert lives.ledger.parked(POOL) == {}


def test_who_waits_for_a_worker_fails_though_its_message_lies_in_the_queue(
    lives: Lives, recovery: Recovery
) -> None:
    launch = lives.running(start_within=30)
    queue = lives.key(names.pool_queue(POOL))
    lives.redis.rpush(queue, "a message")
    late(lives, launch)
    recovery.sweep()
    lives.redis.delete(queue)
    error = lives.ledger.status(launch).error

    assert error is not None
    assert error.params == ("30", "waiting for a worker")


def test_who_is_a_workers_just_now_goes_on(lives: Lives, recovery: Recovery) -> None:
    lease = lives.leased(names.CLONE, start_within=30)
    late(lives, lease.launch.id)
    recovery.sweep()
    lease.intend("clone", call())

    assert lives.state(lease.launch.id) == states.RUNNING


def test_who_has_begun_to_be_cloned_may_take_its_time(lives: Lives) -> None:
    lease = lives.leased(names.CLONE, start_within=30)
    lease.intend("clone", call())
    record = lives.ledger.record(lease.launch.id)

    assert record.start_by == ""
    assert not give_up(lives.ledger, record)


def test_whose_clone_the_pool_has_refused_has_not_begun(lives: Lives) -> None:
    lease = lives.leased(names.CLONE, start_within=30)
    start_by = lives.ledger.record(lease.launch.id).start_by
    lease.remember("which copy", "the first")
    assert lives.ledger.record(lease.launch.id).start_by == start_by
    lease.intend("clone", call())
    lease.failed("clone", "OTHER_OPERATION_IN_PROGRESS")

    assert lives.ledger.record(lease.launch.id).start_by == start_by
    lease.intend("clone", call())
    lease.came_out("clone", "OpaqueRef:vm")
    assert lives.ledger.record(lease.launch.id).start_by == ""


def test_who_is_sent_to_another_host_before_its_clone_has_no_more_time(lives: Lives) -> None:
    lease = lives.leased(names.CLONE, start_within=30)
    lease.another_host(names.CLONE, "u-h1", "is full")
    start_by = int(lives.ledger.record(lease.launch.id).start_by)

    assert lives.redis.zscore(lives.key("due"), lease.launch.id) == start_by


def test_who_was_cancelled_ends_cancelled(lives: Lives, recovery: Recovery) -> None:
    lease = lives.leased(start_within=30)
    lives.ledger.cancel(lease.launch.id, ERROR)
    lives.ledger.let_go({lease.launch.id: lease.fence})
    late(lives, lease.launch.id)
    recovery.sweep()

    assert lives.state(lease.launch.id) == states.RUNNING
    lives.claim(lease.launch.id)
    assert lives.ledger.record(lease.launch.id).outcome == states.CANCELLED


def test_a_retry_has_its_time_anew(lives: Lives, recovery: Recovery) -> None:
    launch = late(lives, lives.joined(start_within=30))
    recovery.sweep()
    assert lives.ledger.reopen(launch, states.WAITING) == "waiting"
    record = lives.ledger.record(launch)

    assert int(record.start_by) >= int(record.submitted) + 30_000
    assert not give_up(lives.ledger, record)


def test_a_request_says_it_in_whole_seconds() -> None:
    assert json.loads(request(start_within=30).canonical())["start_within"] == 30
    assert "start_within" not in request().canonical()
