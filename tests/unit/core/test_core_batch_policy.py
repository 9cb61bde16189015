"""What a batch's policy says, and what its counters come to: functions of the counters alone."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.batch_policy import decide
from scheduler.batches import is_to_be_carried_out
from xenlaunch import states
from xenlaunch.batch_status import STATES, BatchStatus
from xenlaunch.batches import BatchPolicy
from xenlaunch.errors import BadRequest

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ENDS = (states.SUCCEEDED, states.FAILED, states.CANCELLED)


def batch(count: int = 10, **fields: Any) -> BatchStatus:
    """A batch of which all that is not said has succeeded; failed and cancelled are lost."""
    lost = fields.get("failed", 0) + fields.get("cancelled", 0)
    said = sum(fields.get(state, 0) for state in states.PUBLIC)
    given = {"succeeded": count - said, "lost": lost, **fields}
    return BatchStatus(id="b-1", name="web", count=count, submitted=NOON, last_ended=NOON, **given)


@pytest.mark.parametrize(
    ("fields", "ruled", "state"),
    [
        ({}, None, "succeeded"),
        ({"waiting": 10}, None, "waiting"),
        ({"waiting": 9, "running": 1}, None, "running"),
        ({"undoing": 2}, None, "undoing"),
        ({"failed": 3}, None, "partial"),
        ({"failed": 10}, None, "failed"),
        ({"cancelled": 10}, None, "cancelled"),
        ({"cancelled": 4, "ruling": "cancel", "carried": True}, None, "cancelled"),
        ({"failed": 4, "cancelled": 6}, None, "failed"),
        ({"destroyed": 10}, None, "destroyed"),
        ({"destroyed": 3}, None, "succeeded"),
        ({"destroyed": 3, "failed": 7}, None, "destroyed"),
        # At least so many
        ({"least": 8, "failed": 2}, None, "succeeded"),
        ({"least": 8, "failed": 2, "waiting": 3}, None, "running"),
        ({"least": 8, "failed": 2, "cancelled": 1, "waiting": 7}, "undo", "running"),
        ({"least": 8, "failed": 3}, "undo", "undoing"),
        ({"least": 8, "failed": 3, "ruling": "undo"}, None, "undoing"),
        ({"least": 8, "failed": 3, "ruling": "stop"}, "undo", "undoing"),
        ({"least": 8, "failed": 3, "ruling": "cancel"}, "undo", "undoing"),
        ({"least": 8, "failed": 3, "destroyed": 7, "lost": 10, "ruling": "undo"}, None, "failed"),
        ({"least": 8, "cancelled": 3, "destroyed": 7, "lost": 10, "ruling": "undo"}, None,
         "cancelled"),
        ({"least": 10, "failed": 10}, None, "failed"),
        # What its owner destroys had come up
        ({"least": 10, "destroyed": 4}, None, "succeeded"),
        ({"least": 10, "destroyed": 4, "undoing": 1}, None, "undoing"),
        ({"least": 8, "failed": 3, "ruling": "destroy"}, None, "undoing"),
        # At most so many may fail
        ({"tolerated": 2, "failed": 2, "waiting": 3}, None, "running"),
        ({"tolerated": 2, "failed": 2}, None, "succeeded"),
        ({"tolerated": 2, "failed": 3, "waiting": 3}, "stop", "running"),
        ({"tolerated": 2, "failed": 3, "running": 1}, "stop", "running"),
        ({"tolerated": 2, "failed": 3, "waiting": 3, "ruling": "stop"}, None, "running"),
        ({"tolerated": 2, "failed": 3, "waiting": 3, "ruling": "cancel"}, None, "undoing"),
        ({"tolerated": 2, "failed": 3}, None, "partial"),
        ({"tolerated": 2, "failed": 3, "cancelled": 3, "ruling": "stop"}, None, "partial"),
        ({"tolerated": 0, "failed": 1, "cancelled": 9, "ruling": "stop"}, None, "failed"),
        # Both
        ({"least": 8, "tolerated": 1, "failed": 2, "waiting": 5}, "stop", "running"),
        ({"least": 8, "tolerated": 1, "failed": 2, "cancelled": 1, "ruling": "stop"}, "undo",
         "undoing"),
        # Begun again, and what a lost Redis took with it
        ({"failed": 3, "least": 10, "ruling": "again"}, None, "running"),
        ({"succeeded": 4, "unknown": 6}, None, "partial"),
        ({"succeeded": 0, "unknown": 10}, None, "cancelled"),
    ],
    ids=str,
)  # fmt: skip
def test_the_table(fields: dict[str, Any], ruled: str | None, state: str) -> None:
    found = batch(**fields)
    ruling = decide(found)

    assert (ruling and ruling.what) == ruled
    assert found.state == state
    assert found.has_ended == (found.ended is not None)
    assert found.has_ended == (state not in ("waiting", "running", "undoing"))


def every_batch(count: int) -> Iterator[BatchStatus]:
    """Each way in which so many launches can be spread over the states, with each policy."""
    limits = [None, *range(count + 1)]
    for least, tolerated in itertools.product(range(count + 1), limits):
        for spread in itertools.product(range(count + 1), repeat=5):
            if sum(spread) != count:
                continue
            waiting, running, succeeded, failed, cancelled = spread
            for ruling in ("", "stop", "undo", "cancel"):
                yield batch(
                    count,
                    waiting=waiting,
                    running=running,
                    succeeded=succeeded,
                    failed=failed,
                    cancelled=cancelled,
                    least=least,
                    tolerated=tolerated,
                    ruling=ruling,
                    carried=True,
                )


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_whatever_the_counters_say_nothing_ends_against_its_policy(count: int) -> None:
    for found in every_batch(count):
        ruling = decide(found)
        shown = (repr(found), ruling)
        can_come_up = found.waiting + found.running + found.succeeded
        too_few = can_come_up < found.least
        if ruling is None and found.has_ended:
            assert found.succeeded == 0 or found.succeeded >= found.least, shown
        if ruling and ruling.what == "undo":
            assert too_few, shown
        if ruling and ruling.what == "stop":
            assert found.tolerated is not None, shown
            assert found.failed > found.tolerated, shown
            assert not too_few, shown
        if too_few and found.going_on:
            assert found.ruling == "undo" or (ruling and ruling.what == "undo"), shown
        if ruling is not None:
            assert ruling.why.endswith("."), shown
            assert not found.has_ended or found.going_on == 0, shown
        assert found.state in STATES, shown


def test_a_ruling_is_carried_out_until_nothing_escapes_it() -> None:
    assert not is_to_be_carried_out(batch())
    assert is_to_be_carried_out(batch(ruling="stop"))
    assert not is_to_be_carried_out(batch(ruling="stop", carried=True))
    assert is_to_be_carried_out(batch(ruling="undo", carried=True))
    assert not is_to_be_carried_out(batch(ruling="undo", carried=True, succeeded=0, failed=10))


@pytest.mark.parametrize(
    ("policy", "least", "tolerated"),
    [
        ({}, 0, None),
        ({"min_count": 3}, 3, None),
        ({"all_or_nothing": True}, 20, None),
        ({"tolerate": 0}, 0, 0),
        ({"tolerate": 4}, 0, 4),
        ({"tolerate": "0%"}, 0, 0),
        ({"tolerate": "9%"}, 0, 1),
        ({"tolerate": "10 %"}, 0, 2),
        ({"tolerate": "100%"}, 0, 20),
        ({"min_count": 20, "tolerate": "50%"}, 20, 10),
    ],
    ids=str,
)
def test_a_policy_in_numbers(policy: dict[str, Any], least: int, tolerated: int | None) -> None:
    parsed = BatchPolicy.parse(policy)

    assert (parsed.least(20), parsed.tolerated(20)) == (least, tolerated)
    assert bool(parsed.canonical()) == bool(policy)


@pytest.mark.parametrize(
    "policy",
    [
        {"min_count": 0},
        {"min_count": "3"},
        {"tolerate": -1},
        {"tolerate": "101%"},
        {"tolerate": "10"},
        {"tolerate": True},
        {"all_or_nothing": True, "min_count": 3},
        {"all_or_nothing": True, "tolerate": 0},
        {"at_least": 3},
    ],
    ids=str,
)
def test_a_policy_that_is_none_is_refused_in_a_sentence(policy: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as refused:
        BatchPolicy.parse(policy)

    assert refused.value.message.endswith(".")
    assert {path[0] for path, _ in refused.value.findings} == {"batch"}


def test_more_than_there_are_cannot_come_up() -> None:
    with pytest.raises(BadRequest, match="At least 4 launches are to come up, and the batch has 3"):
        BatchPolicy(min_count=4).check(3)
