"""More calls wait in a pool than it lets wait: others fill its queue, and a batch comes on top."""

from collections import Counter

import pytest

from simulator.locks import WAITERS_MAX
from tests.flow.conftest import MakeStack
from tests.flow.test_crashes import assert_all_up
from tests.support.by_hand import ByHand
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until


def fill(stack: Stack, by_hand: ByHand) -> list[str]:
    """Ask for so many disks on one SR at once that no further call may wait; their pool tasks."""
    record = {
        "name_label": "theirs",
        "SR": by_hand.named("SR", "sr-1"),
        "virtual_size": str(1 << 20),
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {},
    }
    tasks = [by_hand.call("Async.VDI.create", record) for _ in range(WAITERS_MAX + 1)]
    wait_until(lambda: refusals(stack) or by_hand_waits(by_hand, tasks), 20, "the queue is full")
    return tasks


def all_ended(by_hand: ByHand, tasks: list[str]) -> bool:
    return all(by_hand.call("task.get_status", task) != "pending" for task in tasks)


def by_hand_waits(by_hand: ByHand, tasks: list[str]) -> bool:
    """Whether all of these have been begun, and nearly all of them wait for their turn."""
    states = Counter(by_hand.call("task.get_status", task) for task in tasks)
    return states["pending"] >= WAITERS_MAX - 5


def refusals(stack: Stack) -> int:
    return sum("TOO_MANY_PENDING_TASKS" in str(call) for call in stack.pool.calls())


@pytest.mark.timeout(300)
def test_a_batch_comes_up_beside_others_who_fill_the_queue(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.pool.control("PUT", "/latency", {"VDI.create": 8})
    stack.start_worker()
    by_hand = ByHand(stack.pool)
    tasks = fill(stack, by_hand)
    launches = stack.submit(20, **SMALL, disks=[{"new": "1GiB", "sr": "sr-1"}])
    wait_until(lambda: refusals(stack), 60, "one of ours is refused")
    stack.pool.control("PUT", "/latency", {"VDI.create": 0.1})
    ended = stack.ended(launches, 200)

    assert Counter(status.state for status in ended) == {"succeeded": 20}
    wait_until(lambda: all_ended(by_hand, tasks), 60, "nothing is made for the others any more")
    disks = Counter(row["name_label"] for row in stack.rows("VDI").values() if not row["VBDs"])
    assert disks["theirs"] > WAITERS_MAX // 2
    for disk in (ref for ref, row in stack.rows("VDI").items() if row["name_label"] == "theirs"):
        stack.call("VDI.destroy", disk)
    assert_all_up(stack, launches)
