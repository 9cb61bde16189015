"""Batches that are resumed, on a real Redis: what is missing begins again, all of it."""

from collections.abc import Iterator

import pytest

from scheduler.batches import look_at_batches
from tests.unit.core.lives import Lives
from tests.unit.core.test_core_batches import ALL, Batches, Fates, up
from xenlaunch import rulings, states
from xenlaunch.batches import BatchPolicy


@pytest.fixture
def batches(lives: Lives) -> Iterator[Batches]:
    made = Batches(lives)
    yield made
    made.clear()


@pytest.mark.parametrize("fates", ["uff", "fff", "ufw"])
def test_a_batch_that_was_undone_is_resumed_whole(batches: Batches, fates: Fates) -> None:
    """They are the same launches; also what had come up, and was destroyed with the batch."""
    batch, launches = batches.made(fates, ALL)
    batches.settle(launches)
    assert batches.status(batch).state == "failed"
    assert rulings.rule(batches.ledger, batch, "again", "so") == "ok"
    batches.settle(launches)
    status = batches.status(batch)
    assert (status.waiting, status.lost, status.ruling) == (3, 0, "")
    for launch in launches:
        batches.bring(launch, "u")
    batches.settle(launches)

    assert up(batches.status(batch)) == ("succeeded", 3, 0, 0, 0)


def test_a_resume_may_fail_again_and_is_undone_again(batches: Batches) -> None:
    batch, launches = batches.made("uf", ALL)
    batches.settle(launches)
    rulings.rule(batches.ledger, batch, "again", "so")
    batches.settle(launches)
    batches.bring(launches[0], "u")
    batches.bring(launches[1], "f")
    batches.settle(launches)

    assert up(batches.status(batch)) == ("failed", 0, 1, 0, 1)


def test_nobody_resumes_what_is_being_undone(batches: Batches) -> None:
    batch, launches = batches.made("ruf", ALL)
    look_at_batches(batches.ledger)

    assert rulings.rule(batches.ledger, batch, "again", "so") == "lives"
    batches.settle(launches)
    assert rulings.rule(batches.ledger, batch, "again", "so") == "ok"
    assert rulings.rule(batches.ledger, "b-none", "again", "so") == "gone"


def ruled(batches: Batches, batch: str, what: str) -> list[str]:
    """The owner's word, carried out."""
    assert rulings.rule(batches.ledger, batch, what, "so") == "ok"
    return rulings.carry_out(batches.ledger, batches.status(batch))


@pytest.mark.parametrize(("fates", "what"), [("urrf", "cancel"), ("uuuf", "destroy")])
def test_nobody_resumes_what_its_owner_has_undone_just_now(
    batches: Batches, fates: Fates, what: str
) -> None:
    """A launch that is still undone would be left out, and nobody would be told."""
    batch, launches = batches.made(fates)
    ruled(batches, batch, what)
    assert rulings.rule(batches.ledger, batch, "again", "so") == "lives"
    batches.settle(launches)
    verdicts = ruled(batches, batch, "again")
    batches.settle(launches)
    status = batches.status(batch)

    assert "lives" not in verdicts
    assert (status.waiting, status.succeeded) == ((3, 1) if what == "cancel" else (1, 0))


def test_a_batch_that_was_read_back_and_is_not_whole_is_resumed_when_it_is_undone(
    batches: Batches,
) -> None:
    batch, launches = batches.made("ffr", BatchPolicy(min_count=3))
    batches.lives.redis.hincrby(batches.lives.key("batch", batch), "count", 1)
    batches.lives.redis.hincrby(batches.lives.key("batch", batch), "waiting", 1)
    batches.settle(launches)
    assert batches.status(batch).unknown == 1

    assert rulings.rule(batches.ledger, batch, "again", "so") == "ok"


def test_one_launch_of_a_cancelled_batch_that_is_tried_again_makes_it_run(batches: Batches) -> None:
    """The others are resumed beside it."""
    batch, launches = batches.made("uww")
    ruled(batches, batch, "cancel")
    batches.settle(launches)
    assert batches.status(batch).state == "cancelled"
    assert batches.ledger.reopen(launches[1], states.WAITING) == "waiting"
    batches.settle(launches)

    assert batches.status(batch).state == "running"
    assert ruled(batches, batch, "again").count("waiting") == 1
    batches.settle(launches)
    for launch in launches[1:]:
        batches.bring(launch, "u")
    assert batches.status(batch).state == "succeeded"
