"""After the end: what came up is destroyed on its owner's word, what failed is tried again."""

from typing import Any

import pytest
from celery.result import AsyncResult

from tests.flow.conftest import MakeStack
from tests.support.stacks import Stack
from tests.support.waiting import wait_until
from xenlaunch import LaunchRequest
from xenlaunch.errors import LaunchDestroyed, StillRunning, TooLate

FAILING_START = {"method": "VM.start_on", "error": ["BOOTLOADER_FAILED", "vm", "no kernel"]}
RICH: dict[str, Any] = {
    "disks": [{"new": "1GiB"}, {"iso": "tools.iso"}],
    "blocked_operations": {"destroy": "ask first", "hard_shutdown": "ask first"},
}


def disk(stack: Stack, name: str) -> tuple[str, Any]:
    [found] = [(ref, row) for ref, row in stack.rows("VDI").items() if row["name_label"] == name]
    return found


def destroyed(stack: Stack, launch: str) -> Any:
    stack.client.destroy(launch)
    return stack.ended([launch])[0]


def test_a_batch_is_destroyed(stack: Stack) -> None:
    """The pool is as it was, and upstream's result is still that the launch succeeded."""
    before = stack.lasting()
    requests = [{"name": f"web-{n}", "template": "debian-12", **RICH} for n in (1, 2, 3)]
    batch = stack.client.submit_batch([LaunchRequest.parse(one) for one in requests])
    assert {one.state for one in stack.ended(list(batch.launches))} == {"succeeded"}
    stack.client.destroy(batch.id)
    ended = stack.ended(list(batch.launches))

    assert [(one.state, one.leftovers, one.error) for one in ended] == [("destroyed", (), None)] * 3
    assert stack.lasting() == before
    assert {one.state for one in stack.client.destroy(batch.id)} == {"destroyed"}
    told: AsyncResult[Any] = AsyncResult(f"{batch.launches[0]}.poll", app=stack.client.celery_app)
    assert told.get(timeout=10)["vm_uuid"] == ended[0].vm_uuid
    with pytest.raises(LaunchDestroyed):
        stack.client.result(batch.launches[0])
    stack.assert_nothing_held()


def test_disks_of_others_stay(stack: Stack) -> None:
    """One that was there before, one that somebody has put on the VM, one that was taken off it."""
    donor = stack.launch(name="donor", disks=[{"new": "2GiB"}])
    stack.call("VM.hard_shutdown", stack.call("VM.get_by_uuid", donor.vm_uuid))
    _, lent = disk(stack, "donor-1 data 0")
    status = stack.launch(
        disks=[{"new": "1GiB"}, {"new": "3GiB"}, {"vdi": lent["uuid"], "mode": "RO"}]
    )
    taken, row = disk(stack, "web-1 data 1")
    stack.call("VBD.unplug", row["VBDs"][0])
    stack.call("VBD.destroy", row["VBDs"][0])
    ended = destroyed(stack, status.id)

    assert ended.state == "destroyed"
    assert [(left.cls, left.uuid) for left in ended.leftovers] == [("VDI", row["uuid"])]
    assert "web-1 data 0" not in {row["name_label"] for row in stack.rows("VDI").values()}
    assert disk(stack, "donor-1 data 0")[1]["uuid"] == lent["uuid"]
    assert [one["uuid"] for one in stack.vms().values()] == [donor.vm_uuid]
    stack.call("VDI.destroy", taken)


def test_a_vm_that_was_kept_is_destroyed(stack: Stack) -> None:
    before = stack.lasting()
    stack.pool.faults(FAILING_START)
    status = stack.launch(on_failure="keep", **RICH)
    assert [left.cls for left in status.leftovers] == ["VM"]
    ended = destroyed(stack, status.id)

    assert (ended.state, ended.leftovers) == ("destroyed", ())
    assert stack.lasting() == before


def test_a_vm_that_became_a_template_stays(stack: Stack) -> None:
    status = stack.launch()
    vm = stack.call("VM.get_by_uuid", status.vm_uuid)
    stack.call("VM.hard_shutdown", vm)
    stack.call("VM.set_is_a_template", vm, True)
    ended = destroyed(stack, status.id)

    assert [(left.cls, left.uuid) for left in ended.leftovers] == [("VM", status.vm_uuid)]
    assert stack.call("VM.get_name_label", vm) == "web-1"


def test_what_cannot_be_destroyed_or_tried_again_says_why(stack: Stack) -> None:
    stack.pool.faults(FAILING_START)
    failed = stack.launch()
    stack.pool.control("DELETE", "/faults")
    stack.pool.control("PUT", "/latency", {"VM.start": 5})
    [running] = stack.submit(name="slow")
    stack.until(running, "start")

    with pytest.raises(TooLate, match="has left nothing that could be destroyed"):
        stack.client.destroy(failed.id)
    with pytest.raises(StillRunning, match="cancel it first, or wait"):
        stack.client.destroy(running)
    with pytest.raises(StillRunning, match="cancel it first, or wait"):
        stack.client.retry(running)
    assert stack.ended([running])[0].state == "succeeded"
    with pytest.raises(TooLate, match="has not failed"):
        stack.client.retry(running)


@pytest.mark.parametrize(
    "method",
    [
        "VM.set_name_label",
        "VM.remove_from_other_config",
        "VM.set_blocked_operations",
        "VM.hard_shutdown",
        "VDI.destroy",
        "VM.destroy",
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_dies_at_a_call_of_a_destroy(
    make_stack: MakeStack, method: str, when: str
) -> None:
    stack = make_stack()
    doomed = stack.start_worker()
    before = stack.lasting()
    status = stack.launch(**RICH)
    assert status.state == "succeeded", status.error
    stuck = {"method": method, "action": "delay", "seconds": 4, "when": when, "times": 1}
    stack.pool.faults(stuck)
    count = len(stack.changing_calls())
    stack.client.destroy(status.id)
    wait_until(
        lambda: any(
            call["method"].removeprefix("Async.") == method
            for call in stack.changing_calls()[count:]
        ),
        20,
        f"{method} has begun",
    )
    doomed.kill()
    stack.start_worker()

    assert stack.ended([status.id])[0].state == "destroyed"
    assert stack.lasting() == before
    stack.assert_nothing_held()


def test_what_was_undone_begins_again(stack: Stack) -> None:
    """Under the same id; who waits for its result waits for the new one."""
    stack.pool.faults(FAILING_START)
    status = stack.launch(**RICH, nics=[{"network": "guest", "mac": "02:16:3e:00:00:01"}])
    assert status.state == "failed"
    told: AsyncResult[Any] = AsyncResult(f"{status.id}.poll", app=stack.client.celery_app)
    wait_until(lambda: told.state == "FAILURE", 10, "the failure is told")
    stack.pool.control("DELETE", "/faults")
    stack.client.retry(status.id)
    ended = stack.ended([status.id])[0]

    assert (ended.state, ended.error, ended.name) == ("succeeded", None, "web-1")
    told = AsyncResult(f"{status.id}.poll", app=stack.client.celery_app)  # the old one remembers
    assert told.get(timeout=10)["vm_uuid"] == ended.vm_uuid
    assert list(stack.vms()) == ["web-1"]
    stack.assert_nothing_held()


def test_a_retry_may_fail_again(stack: Stack) -> None:
    before = stack.lasting()
    stack.pool.faults(FAILING_START)
    status = stack.launch(**RICH)
    for _ in range(2):
        stack.client.retry(status.id)
        assert stack.ended([status.id])[0].state == "failed"
        assert stack.lasting() == before
    stack.assert_nothing_held()


def test_what_was_refused_at_once_begins_again(stack: Stack) -> None:
    """It had not even a pool."""
    status = stack.launch(pool="attic")
    assert status.error is not None
    assert status.error.code == "POOL_NOT_FOUND"
    stack.client.retry(status.id)
    ended = stack.ended([status.id])[0]

    assert ended.error is not None
    assert ended.error.code == "POOL_NOT_FOUND"


@pytest.mark.parametrize("step", ["VM.start_on", "VIF.create", "VM.set_name_label"])
def test_a_vm_that_was_kept_is_gone_on_with(stack: Stack, step: str) -> None:
    stack.pool.faults({"method": step, "error": ["LICENCE_RESTRICTION", "test"]})
    status = stack.launch(on_failure="keep", **RICH, nics=[{"network": "guest"}] * 2)
    [left] = status.leftovers
    stack.pool.control("DELETE", "/faults")
    stack.client.retry(status.id)
    ended = stack.ended([status.id])[0]

    assert ended.state == "succeeded", ended.error
    assert (ended.vm_uuid, ended.leftovers) == (left.uuid, ())
    [vm] = stack.vms().values()
    assert (vm["name_label"], len(vm["VIFs"]), len(vm["VBDs"])) == ("web-1", 2, 3)
    assert sorted(key for key in vm["other_config"] if key.startswith("xenlaunch")) == [
        "xenlaunch",
        "xenlaunch-finished",
    ]
    stack.assert_nothing_held()


def test_a_vm_that_was_kept_and_runs_takes_no_second_room(make_stack: MakeStack) -> None:
    """It has its memory, and its place in its group, on the only host there is."""
    stack = make_stack("--hosts", "1")
    stack.start_worker()
    stack.pool.faults({"method": "VM.set_name_label", "error": ["LICENCE_RESTRICTION", "test"]})
    group = {"name": "db", "keep": "apart"}
    status = stack.launch(on_failure="keep", memory="80GiB", group=group, **RICH)
    assert [left.cls for left in status.leftovers] == ["VM"]
    stack.pool.control("DELETE", "/faults")
    stack.client.retry(status.id)
    ended = stack.ended([status.id])[0]

    assert (ended.state, ended.host) == ("succeeded", "host-1")
    assert list(stack.vms()) == ["web-1"]
    stack.assert_nothing_held()


@pytest.mark.parametrize("step", ["VM.start_on", "VM.clone"])
def test_a_worker_dies_in_a_retry(make_stack: MakeStack, step: str) -> None:
    stack = make_stack()
    doomed = stack.start_worker()
    stack.pool.faults(FAILING_START)
    status = stack.launch(**RICH)
    stack.pool.control("DELETE", "/faults")
    stack.pool.faults({"method": step, "action": "delay", "seconds": 4, "times": 1})
    count = len(stack.changing_calls())
    stack.client.retry(status.id)
    wait_until(
        lambda: any(call["method"] == f"Async.{step}" for call in stack.changing_calls()[count:]),
        20,
        f"{step} has begun again",
    )
    doomed.kill()
    stack.start_worker()

    assert stack.ended([status.id])[0].state == "succeeded"
    assert list(stack.vms()) == ["web-1"]
