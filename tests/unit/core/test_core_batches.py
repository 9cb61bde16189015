"""Batches on a real Redis: their policies are kept, whoever dies while they are carried out."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from scheduler.batches import look_at_batches
from tests.unit.core.lives import (
    DEPLOYMENT,
    ERROR,
    FAILURE,
    POOL,
    Lives,
    call,
    made_vm,
    request,
    result,
)
from xenlaunch import names, rulings, states
from xenlaunch.batch_ledger import batch_status, submit_batch
from xenlaunch.batch_status import BatchStatus
from xenlaunch.batches import ANYHOW, BatchPolicy
from xenlaunch.errors import TokenReused

Fates = str
"""Of each launch, in order: ``u`` comes up, ``f`` fails, ``w`` waits, ``r`` runs and has a VM,
``e`` is about to succeed."""


class Batches:
    """Batches whose launches a test brings to where it wants them."""

    def __init__(self, lives: Lives) -> None:
        self.lives = lives
        self.ledger = lives.ledger
        self._number = itertools.count(1)

    def submit(self, count: int, policy: BatchPolicy = ANYHOW) -> tuple[str, list[str]]:
        wanted = [request(f"web-{number}") for number in range(1, count + 1)]
        token = f"batch {next(self._number)}"
        return submit_batch(self.ledger, DEPLOYMENT, "web", wanted, token, policy)

    def made(self, fates: Fates, policy: BatchPolicy = ANYHOW) -> tuple[str, list[str]]:
        """A batch whose launches have these fates, in this order."""
        batch, launches = self.submit(len(fates), policy)
        for launch, fate in zip(launches, fates, strict=True):
            self.bring(launch, fate)
        return batch, launches

    def bring(self, launch: str, fate: str) -> None:
        if fate == "f":
            self.ledger.refuse(launch, states.FAILED, FAILURE)
        elif fate != "w":
            self.ledger.join(launch, POOL, [])
            self.lives.admit(launch)
            self._go(launch, fate)

    def _go(self, launch: str, fate: str) -> None:
        for step, following in itertools.pairwise(names.STEPS):
            lease = self.lives.lease(launch, step)
            if step == names.CLONE:
                made_vm(lease, f"OpaqueRef:{launch}")
            lease.advance(lease.launch, following)
            if fate == "r" and step == names.CLONE:
                return
        lease = self.lives.lease(launch, names.POLL)
        lease.finishing()
        if fate == "e":
            self.lives.redis.hset(self.lives.key("launch", launch), "lease_until", 0)
        else:
            lease.succeed(lease.launch, result(lease))

    def status(self, batch: str) -> BatchStatus:
        return batch_status(self.ledger, batch)

    def work(self, launches: Sequence[str]) -> None:
        """What workers do meanwhile: undo what is to be undone, and finish what is about to be."""
        for record in self.ledger.records(launches):
            if record.state == states.UNDOING:
                lease = self.lives.lease(record.id, names.UNDO)
                if record.outcome == states.WAITING:
                    lease.again(names.CONNECT, list(lease.calls))
                else:
                    lease.undone(())
            elif record.state == states.FINISHING:
                lease = self.lives.lease(record.id, names.POLL)
                lease.succeed(lease.launch, result(lease))

    def settle(self, launches: Sequence[str]) -> None:
        """The role and the workers go on until nothing happens any more."""
        for _ in range(8):
            look_at_batches(self.ledger)
            self.work(launches)
        assert look_at_batches(self.ledger) == 0

    def clear(self) -> None:
        self.lives.redis.flushall()


@pytest.fixture
def batches(lives: Lives) -> Iterator[Batches]:
    made = Batches(lives)
    yield made
    made.clear()


def up(status: BatchStatus) -> tuple[str, int, int, int, int]:
    return status.state, status.succeeded, status.failed, status.cancelled, status.destroyed


LEAST_3 = BatchPolicy(min_count=3)
ALL = BatchPolicy(all_or_nothing=True)
ONE_MAY = BatchPolicy(tolerate=1)
A_QUARTER = BatchPolicy(tolerate="25%")
BOTH = BatchPolicy(min_count=2, tolerate=1)


@pytest.mark.parametrize(
    ("policy", "fates", "expected"),
    [
        (ANYHOW, "uuff", ("partial", 2, 2, 0, 0)),
        (ANYHOW, "uuuu", ("succeeded", 4, 0, 0, 0)),
        (LEAST_3, "uuuf", ("succeeded", 3, 1, 0, 0)),
        (LEAST_3, "uuff", ("failed", 0, 2, 0, 2)),
        (LEAST_3, "ffuw", ("failed", 0, 2, 1, 1)),
        (LEAST_3, "ffrw", ("failed", 0, 2, 2, 0)),
        (LEAST_3, "ffew", ("failed", 0, 2, 1, 1)),
        (LEAST_3, "ffff", ("failed", 0, 4, 0, 0)),
        (ALL, "uuuu", ("succeeded", 4, 0, 0, 0)),
        (ALL, "uufw", ("failed", 0, 1, 1, 2)),
        (ALL, "uefr", ("failed", 0, 1, 1, 2)),
        (ONE_MAY, "fuuu", ("succeeded", 3, 1, 0, 0)),
        (ONE_MAY, "ffuw", ("partial", 1, 2, 1, 0)),
        (ONE_MAY, "ffue", ("partial", 2, 2, 0, 0)),
        (ONE_MAY, "ffww", ("failed", 0, 2, 2, 0)),
        (A_QUARTER, "fuuw", ("running", 2, 1, 0, 0)),
        (A_QUARTER, "ffuw", ("partial", 1, 2, 1, 0)),
        (BOTH, "ffuu", ("partial", 2, 2, 0, 0)),
        (BOTH, "ffuw", ("failed", 0, 2, 1, 1)),
        (BOTH, "fuuw", ("running", 2, 1, 0, 0)),
    ],
)  # fmt: skip
def test_a_policy_is_kept(
    batches: Batches, policy: BatchPolicy, fates: Fates, expected: tuple[Any, ...]
) -> None:
    batch, launches = batches.made(fates, policy)
    batches.settle(launches)
    status = batches.status(batch)

    assert up(status) == expected
    there = [one.state for one in batches.ledger.statuses(launches)]
    assert {state: getattr(status, state) for state in states.PUBLIC} == {
        state: there.count(state) for state in states.PUBLIC
    }
    assert (status.ended is None) == (status.state == "running")


def test_what_has_begun_goes_on_when_the_rest_is_stopped(batches: Batches) -> None:
    batch, launches = batches.made("ffrw", ONE_MAY)
    batches.settle(launches)
    status = batches.status(batch)
    stopped = batches.ledger.status(launches[3])

    assert (status.state, status.running, status.cancelled) == ("running", 1, 1)
    assert status.reason == (
        "2 of 4 launches have failed, and 1 may: what had not begun is cancelled."
    )
    assert stopped.error is not None
    assert (stopped.error.code, stopped.error.params) == ("BATCH_STOPPED", (batch,))


def test_who_waits_for_a_slot_and_has_made_nothing_has_not_begun(batches: Batches) -> None:
    batch, launches = batches.submit(3, BatchPolicy(tolerate=0))
    batches.ledger.join(launches[0], POOL, [])
    batches.lives.admit(launches[0])
    lease = batches.lives.lease(launches[0])
    lease.remember("which copy", "the first")
    lease.intend("clone", call("Async.VM.clone"))
    lease.failed("clone", "OTHER_OPERATION_IN_PROGRESS")
    lease.park("a slot", "slot", 60.0)
    batches.bring(launches[1], "f")
    batches.settle(launches)

    assert up(batches.status(batch)) == ("failed", 0, 1, 2, 0)


class Died(Exception):
    """Whoever held the role was killed."""


class Mortal:
    """Dies at a round trip to the ledger: before it arrives, or before its answer does."""

    def __init__(self, lives: Lives, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self.after = -1, False
        store = type(lives.ledger.store)
        for name in ("run", "run_all"):
            monkeypatch.setattr(store, name, self._around(getattr(store, name)))

    def _around(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def mortal(store: Any, *given: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Died
            answer = plain(store, *given)
            if self.left == 0:
                raise Died
            return answer

        return mortal

    def dies(self, body: Callable[[], object], at: int, *, after: bool) -> bool:
        self.left, self.after = at, after
        try:
            body()
        except Died:
            return True
        finally:
            self.left = -1
        return False


@pytest.mark.parametrize(
    ("policy", "fates", "expected"),
    [
        (ALL, "uefw", ("failed", 0, 1, 1, 2)),
        (ONE_MAY, "ffuw", ("partial", 1, 2, 1, 0)),
        (BOTH, "ffuw", ("failed", 0, 2, 1, 1)),
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_the_end_is_the_same_wherever_the_roles_holder_dies(
    batches: Batches,
    policy: BatchPolicy,
    fates: Fates,
    expected: tuple[Any, ...],
    monkeypatch: pytest.MonkeyPatch,
    *,
    after: bool,
) -> None:
    mortal = Mortal(batches.lives, monkeypatch)
    deaths = 0
    for at in itertools.count(1):
        batch, launches = batches.made(fates, policy)
        died = mortal.dies(lambda: look_at_batches(batches.ledger), at, after=after)
        batches.settle(launches)

        assert up(batches.status(batch)) == expected, f"death at round trip {at}"
        batches.clear()
        deaths += died
        if not died:
            break
    assert deaths >= 3


def test_what_is_late_with_an_older_ruling_does_nothing(batches: Batches) -> None:
    """A holder of the role that stood still, and wakes up when its batch has begun again."""
    batch, launches = batches.made("uf", ALL)
    look_at_batches(batches.ledger)
    old = batches.status(batch)
    batches.settle(launches)
    assert rulings.rule(batches.ledger, batch, "again", "so") == "ok"
    rulings.carry_out(batches.ledger, batches.status(batch))
    batches.settle(launches)
    assert batches.status(batch).state == "waiting"

    assert set(rulings.carry_out(batches.ledger, old)) == {"stale"}
    assert rulings.rule(batches.ledger, batch, "undo", "late", old.ruling_no) == "stale"
    assert batches.status(batch).state == "waiting"


def test_what_its_owner_destroys_is_no_failure(batches: Batches) -> None:
    """One VM less, on its owner's word, and the others stay, all or nothing as it was."""
    batch, launches = batches.made("uuu", ALL)
    batches.ledger.reopen(launches[0], states.DESTROYED)
    batches.settle(launches)

    assert up(batches.status(batch)) == ("succeeded", 2, 0, 0, 1)
    assert batches.status(batch).lost == 0


def test_one_launch_that_is_tried_again_has_the_policy_asked_anew(batches: Batches) -> None:
    batch, launches = batches.made("fufu", ONE_MAY)
    batches.settle(launches)
    assert batches.status(batch).state == "partial"
    assert batches.ledger.reopen(launches[0], states.WAITING) == "waiting"
    batches.settle(launches)
    batches.bring(launches[0], "u")
    batches.settle(launches)

    assert up(batches.status(batch)) == ("succeeded", 3, 1, 0, 0)


def test_a_launch_that_is_written_after_the_batch_was_stopped_is_stopped_too(
    batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand are written in several round trips, and the first may have failed by then."""
    ledger = batches.ledger
    policy = BatchPolicy(tolerate=0)
    wanted = [request(f"web-{number}") for number in (1, 2, 3)]
    submit_all = type(ledger).submit_all

    def slowly(self: Any, deployment: str, pairs: Any, batch: str, places: Any) -> list[str]:
        first, *others = zip(pairs, places, strict=True)
        [launch] = submit_all(self, deployment, [first[0]], batch, [first[1]])
        if self.record(launch).state == states.WAITING:
            self.refuse(launch, states.FAILED, FAILURE)
            look_at_batches(self)
        rest = submit_all(self, deployment, [p for p, _ in others], batch, [p for _, p in others])
        return [launch, *rest]

    monkeypatch.setattr(type(ledger), "submit_all", slowly)
    batch, launches = submit_batch(ledger, DEPLOYMENT, "web", wanted, "slow", policy)
    batches.settle(launches)

    assert up(batches.status(batch)) == ("failed", 0, 1, 2, 0)


def test_the_same_token_with_another_policy_is_refused(batches: Batches) -> None:
    wanted = [request("web-1"), request("web-2")]
    first = submit_batch(batches.ledger, DEPLOYMENT, "web", wanted, "order-1", ALL)

    assert submit_batch(batches.ledger, DEPLOYMENT, "web", wanted, "order-1", ALL) == first
    for other in (ANYHOW, BatchPolicy(min_count=2), BatchPolicy(tolerate=0)):
        with pytest.raises(TokenReused):
            submit_batch(batches.ledger, DEPLOYMENT, "web", wanted, "order-1", other)


def test_a_batch_that_has_expired_is_due_no_more(batches: Batches) -> None:
    batch, _ = batches.made("uf", ALL)
    batches.lives.redis.delete(batches.lives.key("batch", batch))
    look_at_batches(batches.ledger)

    assert rulings.due_batches(batches.ledger) == []


def test_an_owners_cancel_of_a_batch_outlives_the_client(batches: Batches) -> None:
    """What is ruled is carried out by whoever looks at the batch next."""
    batch, launches = batches.made("urww")
    rulings.rule(batches.ledger, batch, "cancel", "Cancelled by its owner.")
    batches.settle(launches)

    assert up(batches.status(batch)) == ("cancelled", 1, 0, 3, 0)
    assert batches.ledger.cancel(launches[1], ERROR) == "done"
