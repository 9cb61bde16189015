"""Workers that are asked to end, as at every roll-out of a new version."""

import os
import signal
import time

import pytest

from tests.flow.conftest import MakeStack
from tests.flow.test_crashes import assert_all_up
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until
from tests.support.worker_processes import WorkerProcess

pytestmark = pytest.mark.timeout(400)

GRACE = 15.0
"""What a worker takes at most, but for the time to end at all."""


def holders(stack: Stack, launches: list[str]) -> set[str]:
    """The process ids of the workers that hold a lease, or a role."""
    held = {record.worker for record in stack.ledger.records(launches) if record.lease}
    held |= {stack.ledger.store.redis.get(key) or "" for key in stack.keys("role:*")}
    return {worker.split("/")[1] for worker in held if worker}


def end(stack: Stack, worker: WorkerProcess, launches: list[str]) -> float:
    """End a worker as a supervisor does; for how many seconds it went on."""
    began = time.monotonic()
    os.kill(worker.pid, signal.SIGTERM)
    wait_until(lambda: not worker.running, GRACE + 15, "the worker has ended")

    assert str(worker.pid) not in holders(stack, launches)
    assert worker.child.returncode == 0
    return time.monotonic() - began


def test_a_roll_out_under_a_running_batch_loses_nothing(make_stack: MakeStack) -> None:
    """Each of two workers is replaced, twice; what one was at, another has at once."""
    stack = make_stack(time_scale=0.02)
    stack.pool.control("PUT", "/latency", {"VM.start": 3})
    workers = [stack.start_worker(), stack.start_worker()]
    launches = stack.submit(40, **SMALL)
    wait_until(lambda: stack.ledger.parked("lab"), 60, "the first wait for the pool")
    took = []
    for turn in range(2):
        for place, worker in enumerate(workers):
            workers[place] = stack.start_worker()
            launches += stack.submit(20, name=f"web-{turn}-{place}", **SMALL)
            took.append(end(stack, worker, launches))
    going_on = sum(not status.has_ended for status in stack.statuses(launches))

    assert going_on > 0, "the batch ended before the last worker was replaced"
    assert_all_up(stack, launches, 150)
    assert max(took) < GRACE, took
    # Nothing of it was recovery's work: no lease had to run out before another could go on.
    assert [one.id for one in stack.ledger.records(launches) if one.taken_over] == []


def test_steps_that_hang_are_let_go(make_stack: MakeStack) -> None:
    """The pool answers nothing any more, and the worker ends nevertheless."""
    stack = make_stack()
    stack.pool.control("PUT", "/latency", {"VM.start": 2})
    doomed = stack.start_worker(env={"XENLAUNCH_STOP_SECONDS": "1"})
    launches = stack.submit(6)
    stack.until(launches[0], "start", "the VM to start")
    os.kill(stack.pool.child.pid, signal.SIGSTOP)
    try:
        # What is woken now asks the pool how its start has ended, and hangs.
        for launch in launches:
            stack.ledger.wake(launch)
            stack.ledger.store.redis.zadd(stack.ledger.store.key("due"), {launch: 1}, xx=True)
        wait_until(lambda: len(held(stack, launches)) >= 3, 20, "some steps hang in a call")
        took = end(stack, doomed, launches)
    finally:
        os.kill(stack.pool.child.pid, signal.SIGCONT)
    stack.start_worker()

    assert_all_up(stack, launches)
    assert "Did not wait any longer for" in doomed.log()
    assert took < 1 + GRACE


def held(stack: Stack, launches: list[str]) -> list[str]:
    return [record.id for record in stack.ledger.records(launches) if record.lease]
