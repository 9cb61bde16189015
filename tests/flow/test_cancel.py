"""A launch is cancelled at any moment: it ends cancelled or succeeded, and the pool agrees."""

import random
import secrets
from collections import Counter
from typing import Any, Final

import pytest

from tests.flow.conftest import MakeStack
from tests.support.agreement import Agreement
from tests.support.leaving_out import FULL
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until
from xenlaunch import LaunchRequest
from xenlaunch.errors import TooLate

MANY: Final = 200 if FULL else 60
SECONDS: Final = 600
DISK: Final[dict[str, Any]] = {"disks": [{"new": "1GiB"}], **SMALL}


def cancelled(stack: Stack, launch: str) -> bool:
    """Whether the cancel was taken."""
    try:
        stack.client.cancel(launch)
    except TooLate:
        return False
    return True


@pytest.mark.timeout(SECONDS + 60)
def test_many_launches_cancelled_at_random_moments(make_stack: MakeStack) -> None:
    seed = secrets.randbits(32)
    chance = random.Random(seed)
    stack = make_stack("--host-workers", "64", time_scale=0.05)
    stack.start_worker(concurrency=16)
    before = stack.lasting()
    launches = stack.submit(MANY, **DISK)
    order = chance.sample(launches, MANY)
    taken = {}
    for number, launch in enumerate(order):
        # At that moment the batch has come so far; one in three goes on undisturbed.
        so_far = number * 2 // 3
        wait_until(lambda: ended_of(stack) >= so_far, SECONDS, f"{so_far} have ended")  # noqa: B023  it is called before the loop goes on
        if chance.random() < 2 / 3:
            taken[launch] = cancelled(stack, launch)
    ended = {status.id: status for status in stack.ended(launches, SECONDS)}

    expected = dict.fromkeys(launches, "succeeded")
    expected |= {launch: "cancelled" for launch, was_taken in taken.items() if was_taken}
    assert {launch: status.state for launch, status in ended.items()} == expected, f"seed {seed}"
    assert sum(taken.values()) > 0
    Agreement(stack, before, list(ended.values())).assert_holds(("Disk", "Disk"))


def ended_of(stack: Stack) -> int:
    store = stack.ledger.store
    states = ("succeeded", "failed", "cancelled")
    return sum(int(store.redis.zcard(store.key("state", state))) for state in states)


def test_a_batch_is_cancelled(make_stack: MakeStack) -> None:
    """By its ID; those that park on a pool task have it cancelled."""
    stack = make_stack()
    stack.pool.control("PUT", "/latency", {"VM.start": 60})
    stack.start_worker()
    before = stack.lasting()
    request = LaunchRequest.parse({"name": "web", "template": "debian-12", **SMALL})
    batch = stack.client.submit_batch(request, 5, token="spring")
    launches = list(batch.launches)
    for launch in launches:
        stack.until(launch, "start", "the VM to start", 60)
    starts = {
        call["task"] for call in stack.changing_calls() if call["method"].endswith("start_on")
    }
    assert {status.id for status in stack.client.cancel(batch.id)} == set(launches)
    ended = stack.ended(launches)

    assert Counter(status.state for status in ended) == {"cancelled": 5}
    assert stack.client.batch_status(batch.id).cancelled == 5
    calls = stack.pool.calls()
    assert starts <= {call["object"] for call in calls if call["method"] == "task.cancel"}
    Agreement(stack, before, ended).assert_holds()


def test_a_clone_that_can_no_longer_be_stopped_is_awaited_and_removed(
    make_stack: MakeStack,
) -> None:
    stack = make_stack()
    before = stack.lasting()
    slow = {"method": "VM.clone", "phase": "result", "action": "delay", "seconds": 3}
    stack.pool.faults(slow)
    stack.start_worker()
    launch = stack.submit(**SMALL)[0]
    stack.until(launch, "clone", "the clone")
    wait_until(lambda: working_names(stack), 20, "all of the clone but its result is there")
    assert cancelled(stack, launch)
    ended = stack.ended([launch])

    assert ended[0].state == "cancelled"
    clone, *undo = stack.changing_calls()
    assert (clone["method"], clone["outcome"]) == ("Async.VM.clone", "ok")
    assert [call["method"] for call in undo] == ["Async.VDI.destroy", "VM.destroy"]
    Agreement(stack, before, ended).assert_holds()


def working_names(stack: Stack) -> list[str]:
    labels = [str(row["name_label"]) for row in stack.rows("VM").values()]
    return [label for label in labels if label.startswith("xenlaunch:")]


def test_a_cancel_during_the_undo_changes_the_end_and_nothing_else(make_stack: MakeStack) -> None:
    stack = make_stack()
    before = stack.lasting()
    stack.pool.control("PUT", "/latency", {"VM.hard_shutdown": 2})
    stack.pool.faults({"method": "VM.set_name_label", "error": ["LICENCE_RESTRICTION", "this"]})
    stack.start_worker()
    launch = stack.submit(**SMALL)[0]
    stack.until(launch, "undo", "the VM to stop")
    assert cancelled(stack, launch)
    ended = stack.ended([launch])

    assert ended[0].state == "failed"
    assert ended[0].error is not None
    assert ended[0].error.code == "LICENCE_RESTRICTION"
    Agreement(stack, before, ended).assert_holds()


def test_who_is_about_to_succeed_is_not_cancelled(make_stack: MakeStack) -> None:
    stack = make_stack()
    before = stack.lasting()
    slow = {"method": "VM.set_name_label", "action": "delay", "seconds": 3, "times": 1}
    stack.pool.faults(slow)
    stack.start_worker()
    launch = stack.submit(**SMALL)[0]
    wait_until(lambda: stack.ledger.record(launch).state == "finishing", 30, "it is sure")

    assert not cancelled(stack, launch)
    ended = stack.ended([launch])
    assert ended[0].state == "succeeded"
    Agreement(stack, before, ended).assert_holds()
