"""Virtual GPUs are few: a launch waits for one, and a pool without refuses it."""

from collections import Counter
from typing import Any

from tests.flow.conftest import MakeStack
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

WHOLE: dict[str, Any] = {"gpu": {"type": "passthrough"}}


def hosts_of(stack: Stack) -> Counter[str]:
    """How many VMs run on each host."""
    hosts = stack.rows("host")
    running = [row for row in stack.vms().values() if row["power_state"] == "Running"]
    return Counter(hosts[row["resident_on"]]["name_label"] for row in running)


def test_a_launch_waits_until_a_gpu_is_free(make_stack: MakeStack) -> None:
    """Five at once are started, none of them on a host that has none free; the sixth waits."""
    stack = make_stack("--pool", "gpus")
    stack.start_worker()
    launches = stack.submit(6, **WHOLE)
    wait_until(
        lambda: sum(status.has_ended for status in stack.statuses(launches)) == 5,
        60,
        "five have ended",
    )
    [waiting] = [status for status in stack.statuses(launches) if not status.has_ended]
    assert "has no GPU free" in waiting.doing
    assert hosts_of(stack) == {"host-2": 3, "host-3": 2}
    refused = [
        call for call in stack.pool.calls() if call.get("error", "").startswith("VM_REQUIRES")
    ]
    assert refused == []

    running = next(ref for ref, row in stack.rows("VM").items() if row["name_label"] == "web-1")
    other = next(ref for ref, row in stack.rows("VM").items() if row["name_label"] == "web-2")
    stack.call("VM.hard_shutdown", other if waiting.name == "web-1" else running)
    assert {status.state for status in stack.ended(launches)} == {"succeeded"}


def test_the_gpu_of_a_template_counts_as_one_that_is_asked_for(make_stack: MakeStack) -> None:
    stack = make_stack("--pool", "gpus")
    [template] = stack.call("VM.get_by_name_label", "debian-12")
    group, kind = next(
        (group, kind)
        for group, row in stack.rows("GPU_group").items()
        for kind in row["enabled_VGPU_types"]
        if stack.rows("VGPU_type")[kind]["implementation"] == "passthrough"
    )
    stack.call("VGPU.create", template, group, "0", {}, kind)
    stack.start_worker()
    launches = stack.submit(6)
    wait_until(
        lambda: any("has no GPU free" in one.doing for one in stack.statuses(launches)),
        60,
        "one waits for a GPU",
    )
    assert sum(hosts_of(stack).values()) <= 5
    assert [
        call for call in stack.pool.calls() if call.get("error", "").startswith("VM_REQUIRES")
    ] == []


def test_a_type_that_two_groups_have_is_taken_where_it_is_free(make_stack: MakeStack) -> None:
    """Those of host-3 are a group of their own, which the larger one does not stand for."""
    stack = make_stack("--pool", "gpus")
    other = stack.call("GPU_group.create", "the other group")
    hosts = {ref: row["name_label"] for ref, row in stack.rows("host").items()}
    for ref, row in stack.rows("PGPU").items():
        if hosts[row["host"]] == "host-3":
            stack.call("PGPU.set_GPU_group", ref, other)
    stack.call("GPU_group.update_enabled_VGPU_types", other)
    stack.start_worker()
    [pinned] = stack.submit(name="pinned", host="host-3", pin=True, **WHOLE)
    ended = stack.ended([pinned, *stack.submit(4, **WHOLE)])

    assert [status.error for status in ended] == [None] * 5
    assert hosts_of(stack) == {"host-2": 3, "host-3": 2}
    starts = [call for call in stack.pool.calls() if call["method"] == "Async.VM.start_on"]
    assert [call["outcome"] for call in starts] == ["ok"] * 5
    vm = stack.call("VM.get_by_uuid", ended[0].vm_uuid)
    [gpu] = [row for row in stack.rows("VGPU").values() if row["VM"] == vm]
    assert gpu["GPU_group"] == other


def test_a_pool_without_gpus_says_so(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.start_worker()
    status = stack.launch(**WHOLE)

    assert status.error is not None
    assert status.error.message == "The pool has no GPU at all, and the request asks for one."
    assert stack.changing_calls() == []


def test_an_undo_takes_the_gpu_away(make_stack: MakeStack) -> None:
    stack = make_stack("--pool", "gpus")
    stack.start_worker()
    before = stack.lasting()
    stack.pool.faults({"method": "VM.start_on", "error": ["BOOTLOADER_FAILED", "vm", "no kernel"]})
    status = stack.launch(**WHOLE)

    assert (status.state, status.leftovers) == ("failed", ())
    assert not stack.pool.state().get("VGPU")
    assert stack.lasting() == before
    stack.assert_nothing_held()
