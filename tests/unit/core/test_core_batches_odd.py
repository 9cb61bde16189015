"""Batches that something went wrong with: their sender died, or they were begun again too early."""

from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.batches import look_at_batches
from tests.unit.core.lives import DEPLOYMENT, POOL, Lives, request
from tests.unit.core.test_core_batches import Batches, up
from xenlaunch import rulings, states
from xenlaunch.batch_ledger import submit_batch
from xenlaunch.batch_status import AGAIN, CANCEL
from xenlaunch.batches import BatchPolicy
from xenlaunch.errors import Refused

WANTED = [request(f"web-{number}") for number in range(1, 6)]


class Died(Exception):
    """The sender was killed."""


@pytest.fixture
def batches(lives: Lives) -> Iterator[Batches]:
    made = Batches(lives)
    yield made
    made.clear()


def submit(batches: Batches) -> tuple[str, list[str]]:
    return submit_batch(batches.ledger, DEPLOYMENT, "web", WANTED, "spring", ANY_OF_THEM)


ANY_OF_THEM = BatchPolicy(min_count=1)


@pytest.fixture
def half_written(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> str:
    """A batch of five whose sender died when three were written."""
    submit_all = type(batches.ledger).submit_all

    def dies(self: Any, deployment: str, pairs: Any, batch: str, places: Any) -> None:
        submit_all(self, deployment, list(pairs)[:3], batch, places[:3])
        raise Died

    with monkeypatch.context() as dying:
        dying.setattr(type(batches.ledger), "submit_all", dies)
        with pytest.raises(Died):
            submit(batches)
    [batch] = batches.lives.redis.zrange(batches.lives.key("batches"), 0, -1)
    return str(batch)


def test_what_was_never_written_is_on_its_way_and_keeps_no_batch_from_its_end(
    batches: Batches, half_written: str
) -> None:
    assert batches.status(half_written).going_on == 5
    rulings.rule(batches.ledger, half_written, CANCEL, "Cancelled by its owner.")
    batches.settle([])
    status = batches.status(half_written)

    assert up(status) == ("cancelled", 0, 0, 3, 0)
    assert (status.going_on, status.unknown, status.has_ended) == (0, 2, True)


def test_its_sender_may_come_back(batches: Batches, half_written: str) -> None:
    """What was ruled meanwhile holds for what comes late."""
    rulings.rule(batches.ledger, half_written, CANCEL, "Cancelled by its owner.")
    batches.settle([])
    batch, launches = submit(batches)
    batches.settle(launches)

    assert batch == half_written
    assert up(batches.status(batch)) == ("cancelled", 0, 0, 5, 0)


def test_it_can_be_begun_again_as_far_as_it_was_written(
    batches: Batches, half_written: str
) -> None:
    rulings.rule(batches.ledger, half_written, CANCEL, "Cancelled by its owner.")
    batches.settle([])

    assert rulings.rule(batches.ledger, half_written, AGAIN, "Again.") == "ok"
    batches.settle([])
    assert batches.status(half_written).waiting == 3


def test_who_is_still_being_stopped_begins_again_too(batches: Batches) -> None:
    batch, launches = batches.submit(3, BatchPolicy(tolerate=0))
    batches.ledger.join(launches[0], POOL, [])
    batches.lives.admit(launches[0])
    lease = batches.lives.lease(launches[0])
    batches.bring(launches[1], "f")
    look_at_batches(batches.ledger)
    stopped = batches.status(batch)
    assert (stopped.ruling, stopped.running, stopped.cancelled) == ("stop", 1, 1)

    rulings.rule(batches.ledger, batch, AGAIN, "Begun again by its owner.")
    verdicts = rulings.carry_out(batches.ledger, batches.status(batch))
    assert verdicts == ["ending", "waiting", "waiting"]
    assert look_at_batches(batches.ledger) == 1
    assert rulings.due_batches(batches.ledger) == []
    assert batches.status(batch).state == states.RUNNING

    lease.turn_to_undo(states.CANCELLED, Refused("CANCELLED").as_record())
    batches.work(launches)
    batches.settle(launches)
    assert batches.status(batch).waiting == 3
    assert batches.status(batch).ruling == ""


def test_a_batch_is_kept_while_any_of_it_goes_on(batches: Batches) -> None:
    batch, launches = batches.made("uw")
    redis, key = batches.lives.redis, batches.lives.key("batch", batch)
    batches.ledger.told(launches[0])
    assert redis.pttl(key) > 2 * batches.ledger.times.keep

    batches.bring(launches[1], "u")
    batches.ledger.told(launches[1])
    assert redis.pttl(key) <= batches.ledger.times.keep


def test_of_a_batch_that_has_expired_nothing_is_counted(batches: Batches) -> None:
    batch, launches = batches.made("ww")
    key = batches.lives.key("batch", batch)
    batches.lives.redis.delete(key)
    batches.bring(launches[0], "f")
    batches.bring(launches[1], "u")

    assert not batches.lives.redis.exists(key)
