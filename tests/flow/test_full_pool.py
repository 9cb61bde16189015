"""A pool that is filled to the last VM: as many come up as fit, the rest wait, with the figures."""

from typing import Any

from scheduler.placement import MIB, overhead
from tests.flow.conftest import MakeStack
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

EACH = 7
"""So many fit on a host."""


def size_for(free: int) -> int:
    """The memory of a VM of which so many just fit, overhead included."""
    size = free // EACH // MIB * MIB
    while size + overhead(size, 1) > free // EACH:
        size -= MIB
    return size


def free_memory(stack: Stack) -> list[int]:
    return [int(stack.call("host.compute_free_memory", host)) for host in stack.rows("host")]


def free_as_the_worker_has_it(stack: Stack) -> int:
    [pool] = stack.client.pools(timeout=20)
    return int(pool["memory_free"])


def somebody_elses(stack: Stack, size: int) -> str:
    """A VM that somebody starts by hand."""
    rows = stack.rows("VM").items()
    template = next(ref for ref, row in rows if row["name_label"] == "debian-12")
    vm = str(stack.call("VM.clone", template, "by hand"))
    stack.call("VM.provision", vm)
    stack.call("VM.set_memory_limits", vm, str(size), str(size), str(size), str(size))
    stack.call("VM.set_VCPUs_at_startup", vm, "1")
    stack.call("VM.set_VCPUs_max", vm, "1")
    stack.call("VM.start", vm, False, False)
    return vm


def test_as_many_come_up_as_fit_and_the_rest_wait(make_stack: MakeStack) -> None:
    stack = make_stack("--pool", "generation-8.2")
    stack.start_worker()
    free = free_memory(stack)
    size = size_for(min(free))
    fit = EACH * len(free)
    known = free_as_the_worker_has_it(stack)
    foreign = somebody_elses(stack, size)
    # Whoever is quicker than the pool's events is refused a start, and goes elsewhere.
    wait_until(lambda: free_as_the_worker_has_it(stack) < known, 20, "the worker has seen that VM")
    launches = stack.submit(fit + 2, memory=size, vcpus=1)

    def counts() -> dict[str, int]:
        states = [status.state for status in stack.statuses(launches)]
        return {state: states.count(state) for state in set(states)}

    wait_until(lambda: counts() == {"succeeded": fit - 1, "waiting": 3}, 180, "the pool is full")
    assert len(starts(stack)) == fit - 1, "no start was refused"
    waiting = [status for status in stack.statuses(launches) if status.state == "waiting"]
    wait_until(lambda: told_figures(stack, waiting[0].id), 20, "who waits is told the figures")
    taken = 1 - sum(free_memory(stack)) / sum(free)

    assert taken > 0.98, taken
    assert all(left >= 0 for left in free_memory(stack))

    stack.call("VM.hard_shutdown", foreign)
    wait_until(lambda: counts() == {"succeeded": fit, "waiting": 2}, 60, "what is free is seen")

    assert len(starts(stack)) == fit
    for status in stack.statuses(launches):
        if not status.has_ended:
            stack.client.cancel(status.id)


def told_figures(stack: Stack, launch: str) -> bool:
    doing = stack.ledger.status(launch).doing
    return doing.startswith("waiting for room: host-1: has ") and "MiB of memory free" in doing


def starts(stack: Stack) -> list[dict[str, Any]]:
    return [call for call in stack.changing_calls() if call["method"] == "Async.VM.start_on"]
