"""The ledger under random operations: what must hold in every state holds after each of them."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from scheduler.deadline import give_up
from tests.support.leaks import leaked_keys
from tests.unit.core.lives import (
    DEPLOYMENT,
    ERROR,
    FAILURE,
    POOL,
    Lives,
    call,
    request,
    result,
)
from xenlaunch import names, states
from xenlaunch.batch_ledger import batch_status, failed_of, submit_batch
from xenlaunch.errors import CancelAsked, LeaseLost
from xenlaunch.lease import Lease, Made
from xenlaunch.ledger import Ledger
from xenlaunch.record import Record
from xenlaunch.store import Store

MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
LIVE = frozenset(states.STATES) - states.ENDED
picks = st.integers(0, 1 << 16)


class Launches(RuleBasedStateMachine):
    """Workers, schedulers, watchers and owners, each doing anything that they may, in any order."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.lives = Lives(Ledger(Store(url)))
        self.lives.redis.flushall()
        self.launches: list[str] = []
        self.batches: list[str] = []
        self.leases: list[Lease] = []
        self.count = itertools.count(1)

    def teardown(self) -> None:
        for launch in self.launches:
            self.end(launch)
        for launch in self.launches:
            self.lives.ledger.told(launch)
            self.only_records_remain(launch)
        assert leaked_keys(self.url) == []
        self.lives.ledger.store.redis.connection_pool.disconnect()

    def end(self, launch: str) -> None:
        """Whatever has become of a launch, its owner can end it, or it ends by itself."""
        self.lives.redis.hset(self.lives.key("launch", launch), "lease_until", 0)
        verdict = self.lives.ledger.cancel(launch, ERROR)
        if verdict == "late":
            self.lives.ledger.wake(launch)
            lease = self.lives.lease(launch, names.POLL)
            lease.succeed(lease.launch, result(lease))
        elif verdict == "undoing":
            self.lives.ledger.wake(launch)
            assert self.lives.lease(launch, names.UNDO).undone(())
        assert self.lives.state(launch) in states.ENDED

    def only_records_remain(self, launch: str) -> None:
        left = {key.removeprefix("xenlaunch:") for key in self.lives.mentions(launch)}
        own = {f"launch:{launch}{part}" for part in ("", ":calls", ":notes", ":made", ":history")}
        batch = self.lives.ledger.record(launch).batch
        assert left <= own | {
            "events",
            f"state:{self.lives.state(launch)}",
            f"batch:{batch}:launches",
            f"batch:{batch}:failed",
        }

    def launch(self, pick: int) -> str:
        return self.launches[pick % len(self.launches)] if self.launches else "l-none"

    def write(self, pick: int, act: Callable[[Lease], object], *steps: str) -> None:
        """One of the leases ever taken, still held or long lost, writes what its step may write."""
        leases = [lease for lease in self.leases if lease.step in steps]
        if leases:
            try:
                act(leases[pick % len(leases)])
            except (LeaseLost, CancelAsked):
                return

    # What owners do

    @rule(
        mac=st.sampled_from(("", *MACS)),
        priority=st.integers(0, 9),
        owner=st.sampled_from((None, "team-a", "team-b")),
        within=st.sampled_from((None, 1000)),
        far=st.sampled_from((-1, 0, *range(1, 9), 7, 7, 7)),
    )
    def submit(
        self, mac: str, priority: int, owner: str | None, within: int | None, far: int
    ) -> None:
        """A new launch, brought so many steps far, so that all that follows meets them all."""
        nics = [{"network": "guest", "mac": mac}] if mac else []
        wanted = request(priority=priority, nics=nics, owner=owner, start_within=within)
        token = f"token-{next(self.count)}"
        launch = self.lives.ledger.submit(DEPLOYMENT, wanted, token)
        self.launches.append(launch)
        if far >= 0:
            self.lives.ledger.join(launch, POOL, [mac] if mac else [])
        if far >= 1 and self.lives.admit(launch) == names.CONNECT:
            self.walk(launch, names.STEPS[:far])

    def walk(self, launch: str, steps: tuple[str, ...]) -> None:
        for step, following in itertools.pairwise(steps):
            lease = self.lives.lease(launch, step)
            lease.advance(lease.launch, following)
        self.leases.append(self.lives.lease(launch, steps[-1]))

    @rule(count=st.integers(1, 3))
    def submit_batch(self, count: int) -> None:
        wanted = [request(f"web-{number}") for number in range(count)]
        token = f"token-{next(self.count)}"
        batch, launches = submit_batch(self.lives.ledger, DEPLOYMENT, "web", wanted, token)
        self.batches.append(batch)
        self.launches += launches

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        self.lives.ledger.cancel(self.launch(pick), ERROR)

    # What the scheduler does

    @rule(pick=picks)
    def join(self, pick: int) -> None:
        launch = self.launch(pick)
        if self.launches:
            nics = self.lives.ledger.record(launch).request.nics or ()
            self.lives.ledger.join(launch, POOL, [nic.mac for nic in nics if nic.mac])

    @rule(pick=picks, cap=st.integers(1, 4))
    def admit(self, pick: int, cap: int) -> None:
        line = self.lives.ledger.waiting(POOL) or [self.launch(pick)]
        self.lives.admit(line[pick % len(line)], cap + 1)

    @rule(pick=picks)
    def refuse(self, pick: int) -> None:
        self.lives.ledger.refuse(self.launch(pick), states.FAILED, FAILURE)

    @rule(pick=picks)
    def time_is_over(self, pick: int) -> None:
        """A launch that has not begun in time ends, if it is no worker's just now.

        Of one that is to be cancelled nobody asks how late it is: it ends in any case.
        """
        if self.launches:
            key = self.lives.key("launch", self.launch(pick))
            late, cancelled = self.lives.redis.hmget(key, "start_by", "cancel")
            if not late or cancelled:
                return
            self.lives.redis.hset(key, "start_by", 1)
            give_up(self.lives.ledger, self.lives.ledger.record(self.launch(pick)))

    @rule(pick=picks)
    def wake(self, pick: int) -> None:
        self.lives.ledger.wake(self.launch(pick))

    @rule(pick=picks)
    def note(self, pick: int) -> None:
        launch = self.launch(pick)
        self.lives.ledger.note(launch, f"OpaqueRef:task-{launch}", "ended")

    # What workers do

    @rule(pick=picks)
    def claim(self, pick: int) -> None:
        launch = self.launch(pick)
        step = self.lives.ledger.record(launch).step if self.launches else names.CONNECT
        lease = self.lives.claim(launch, step)
        if isinstance(lease, Lease):
            self.leases.append(lease)

    @rule(pick=picks)
    def run_out(self, pick: int) -> None:
        """A worker dies, and its lease with it."""
        if self.launches:
            key = self.lives.key("launch", self.launch(pick))
            if self.lives.redis.hexists(key, "lease_until"):
                self.lives.redis.hset(key, "lease_until", 0)

    @rule(pick=picks)
    def postpone(self, pick: int) -> None:
        """What is due is looked at, whoever held it."""
        self.run_out(pick)
        if self.launches:
            launch = self.launch(pick)
            self.lives.redis.zadd(self.lives.key("due"), {launch: 1}, xx=True)
            self.lives.ledger.postpone(launch)

    @rule(pick=picks)
    def let_go(self, pick: int) -> None:
        """A worker ends, and gives back what it holds."""
        if self.leases:
            lease = self.leases[pick % len(self.leases)]
            self.lives.ledger.let_go({lease.launch.id: lease.fence})

    @rule(pick=picks)
    def make(self, pick: int) -> None:
        def make(lease: Lease) -> None:
            lease.intend("clone", call())
            lease.came_out("clone", "OpaqueRef:vm", [Made("VM", "OpaqueRef:vm")])

        self.write(pick, make, *names.STEPS)

    @rule(pick=picks)
    def advance(self, pick: int) -> None:
        def advance(lease: Lease) -> None:
            lease.advance(lease.launch, names.STEPS[names.STEPS.index(lease.step) + 1])

        self.write(pick, advance, *names.STEPS[:-1])

    @rule(pick=picks, known=st.booleans(), retry=st.booleans())
    def park(self, pick: int, *, known: bool, retry: bool) -> None:
        def park(lease: Lease) -> None:
            ref = f"OpaqueRef:task-{lease.launch.id}" if known else ""
            lease.park("something", ref, 60, retry=retry)

        self.write(pick, park, *names.STEPS, names.UNDO)

    @rule(pick=picks)
    def replace(self, pick: int) -> None:
        def replace(lease: Lease) -> None:
            back_to = lease.step if lease.step in (names.CONNECT, names.CLONE) else names.NETWORK
            lease.another_host(back_to, "u-h1", "is full")

        self.write(pick, replace, *names.STEPS)

    @rule(pick=picks)
    def fail(self, pick: int) -> None:
        self.write(pick, lambda lease: lease.turn_to_undo(states.FAILED, FAILURE), *names.STEPS)

    @rule(pick=picks)
    def undone(self, pick: int) -> None:
        self.write(pick, lambda lease: lease.undone(()), names.UNDO)

    @rule(pick=picks)
    def finish(self, pick: int) -> None:
        def finish(lease: Lease) -> None:
            lease.finishing()
            lease.succeed(lease.launch, result(lease))

        self.write(pick, finish, names.POLL)

    @rule(pick=picks)
    def finishing(self, pick: int) -> None:
        self.write(pick, lambda lease: lease.finishing(), names.POLL)

    # What must hold

    @invariant()
    def all_is_in_its_place(self) -> None:
        ledger, redis = self.lives.ledger, self.lives.redis
        records = {record.id: record for record in ledger.records(self.launches)}
        listed = [one for name in states.PUBLIC for one in ledger.all_launches(name)]

        assert sorted(listed) == sorted(self.launches)
        assert set(ledger.waiting(POOL)) == where(records, in_line)
        assert set(ledger.in_flight(POOL)) <= where(records, is_live)
        assert set(ledger.in_flight(POOL)) >= where(records, has_slot)
        assert set(ledger.parked(POOL).values()) == where(records, is_parked_on_something)
        assert set(redis.hvals(self.lives.key("macs", POOL))) == where(records, claims_macs)
        due = set(redis.zrange(self.lives.key("due"), 0, -1))
        assert due == set(records) - where(records, lambda one: in_line(one) and not one.start_by)

    @invariant()
    def of_a_pool_that_is_idle_no_turns_are_remembered(self) -> None:
        redis, key = self.lives.redis, self.lives.key
        lines = [*redis.scan_iter(key("line", "*"))]
        waiting = set(self.lives.ledger.waiting(POOL))
        there = waiting | set(self.lives.ledger.in_flight(POOL))
        fair = redis.hgetall(key("fair", POOL))
        ahead = Counter(
            "{priority}:{owner}".format(**record)
            for launch in self.launches
            if "ahead" in (record := redis.hgetall(key("launch", launch)))
        )

        assert {one for line in lines for one in redis.zrange(line, 0, -1)} <= waiting
        assert sum(ahead.values()) <= len(there)
        assert {field for field in fair if field.startswith("last:")} == {
            f"last:{owner}" for owner in ahead
        }
        assert {f"ahead:{owner}": str(many) for owner, many in ahead.items()} == {
            field: many for field, many in fair.items() if field.startswith("ahead:")
        }
        assert bool(there) >= bool(fair)

    @invariant()
    def who_has_not_begun_is_looked_at_in_time(self) -> None:
        for record in self.lives.ledger.records(self.launches):
            if record.start_by and not record.lease:
                due = self.lives.redis.zscore(self.lives.key("due"), record.id)
                assert due <= max(int(record.start_by), int(record.submitted)) or record.resent

    @invariant()
    def who_waits_for_a_message_is_ready(self) -> None:
        records = {one.id: one for one in self.lives.ledger.records(self.launches)}
        ready = set(self.lives.redis.smembers(self.lives.key("ready", POOL)))

        assert ready >= where(records, is_ready)
        # Also one whose lease has run out, to whom a message was sent again.
        assert ready <= where(records, lambda record: is_live(record) and not record.parked)

    @invariant()
    def each_launch_is_listed_under_its_state(self) -> None:
        for record in self.lives.ledger.records(self.launches):
            key = self.lives.key("state", states.public(record.state))
            assert self.lives.redis.zscore(key, record.id) is not None

    @invariant()
    def a_lease_is_looked_at_when_it_runs_out(self) -> None:
        for record in self.lives.ledger.records(self.launches):
            if int(record.lease_until or 0):
                due = self.lives.redis.zscore(self.lives.key("due"), record.id)
                assert due == int(record.lease_until)

    @invariant()
    def batches_count_right(self) -> None:
        for batch in self.batches:
            records = self.lives.ledger.records(self.lives.ledger.launches_of(batch))
            counted = Counter(states.public(record.state) for record in records)
            found = batch_status(self.lives.ledger, batch)
            failed = {record.id for record in records if record.state == states.FAILED}
            lasting = counted[states.FAILED] + counted[states.CANCELLED]
            assert {state: getattr(found, state) for state in states.PUBLIC} == {
                state: counted[state] for state in states.PUBLIC
            }
            assert found.lost == sum(bool(record.lost) for record in records) >= lasting
            assert set(failed_of(self.lives.ledger, batch, 1000)) == failed
            assert (found.last_ended is None) == any(not record.ended for record in records)


def where(records: dict[str, Record], holds: Callable[[Record], object]) -> set[str]:
    return {launch for launch, record in records.items() if holds(record)}


def in_line(record: Record) -> bool:
    return record.state == states.WAITING and bool(record.pool)


def is_live(record: Record) -> bool:
    return record.state in LIVE - {states.WAITING}


def is_ready(record: Record) -> bool:
    return is_live(record) and not record.parked and not record.lease


def has_slot(record: Record) -> bool:
    return record.state in (states.RUNNING, states.FINISHING)


def is_parked_on_something(record: Record) -> Any:
    return record.parked and record.parked["ref"]


def claims_macs(record: Record) -> bool:
    return record.state in LIVE and bool(record.macs)


@pytest.fixture
def own_store(redis_url: str) -> Iterator[str]:
    yield redis_url
    with Lives(Ledger(Store(redis_url))).redis as client:
        client.flushall()
        client.connection_pool.disconnect()


@pytest.mark.timeout(300)
def test_whatever_happens_nothing_is_lost_and_nothing_is_left(own_store: str) -> None:
    class LaunchesHere(Launches):
        def __init__(self) -> None:
            super().__init__(own_store)

    run_state_machine_as_test(
        LaunchesHere,
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
