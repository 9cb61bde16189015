"""Whatever befalls the pool itself in the middle of launches: they still end, and rightly."""

from collections import Counter
from functools import partial
from typing import Any, Final

import pytest

from tests.flow.conftest import MakeStack
from tests.support.agreement import Agreement
from tests.support.by_hand import ByHand
from tests.support.leaving_out import FULL
from tests.support.stacks import SMALL, Stack
from tests.support.troubles import aimed
from tests.support.waiting import wait_until
from xenlaunch import LaunchStatus

MANY: Final = 200 if FULL else 60
SECONDS: Final = 600
DISK: Final[dict[str, Any]] = {"disks": [{"new": "1GiB"}]}
TOLD: Final = ["LICENCE_RESTRICTION", "this"]

PHASES: Final = (
    *(("VM.clone", "clone", phase) for phase in ("disk", "row", "vbd", "vif", "result")),
    *(("VM.provision", "provision", phase) for phase in ("done", "")),
    *(("VM.start_on", "start*", phase) for phase in ("placed", "started")),
    ("VDI.create", "vdi:0", ""),
    ("VM.hard_shutdown", "undo:stop:*", "stopped"),
    ("VDI.destroy", "undo:disk:*", ""),
    *(("VM.destroy", "undo:vm:*", phase) for phase in ("rows", "after vbd", "after vif")),
)
"""A call, its key, and a moment within it just before which the toolstack may restart."""


def restart(launch: str, method: str, key: str, **where: str) -> dict[str, Any]:
    mark = f"tests/{launch}/{key}/*"
    return {"method": method, "mark": mark, "action": "restart", "times": 1, **where}


Moment = tuple[str, str, str, str]


def launch_amid_restarts(stack: Stack, moments: list[Moment]) -> list[LaunchStatus]:
    """One launch for each moment; the restarts hit all the others as well."""

    def trouble(launch: str, moment: Moment) -> list[dict[str, Any]]:
        method, key, phase, when = moment
        rules = [restart(launch, method, key, phase=phase, when=when)]
        if key.startswith("undo"):
            rules.append(aimed(launch, "name", "VM.set_name_label", "answer", TOLD))
        return rules

    launches = [stack.submit_with(partial(trouble, moment=one), **DISK) for one in moments]
    ended = stack.ended(launches, SECONDS)
    wrong = {
        moment: (status.state, status.error)
        for moment, status in zip(moments, ended, strict=True)
        if (status.state == "succeeded") == moment[1].startswith("undo")
    }
    assert wrong == {}
    return ended


def missed(stack: Stack, moments: list[Moment]) -> list[Moment]:
    """Moments that never came: a restart for another launch was there first, amid the same call."""
    faults = stack.pool.control("GET", "/faults")
    rules = [rule for rule in faults if rule["action"] == "restart"]
    return [one for one, rule in zip(moments, rules, strict=True) if not rule["struck"]]


@pytest.mark.timeout(2 * SECONDS)
def test_xapi_restarts_between_any_two_phases(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.start_worker()
    before = stack.lasting()
    moments = [(*one, "before") for one in PHASES]
    moments += [(*one, "after") for one in PHASES if not one[2]]

    ended = launch_amid_restarts(stack, moments)
    for moment in missed(stack, moments):
        stack.pool.control("DELETE", "/faults")
        ended += launch_amid_restarts(stack, [moment])
        assert missed(stack, [moment]) == []

    Agreement(stack, before, ended).assert_holds(("Disk", "Disk"))


@pytest.mark.parametrize("phase", ["row", "vif"])
def test_what_a_broken_clone_left_goes_with_its_tasks(make_stack: MakeStack, phase: str) -> None:
    """A disk may be gone, and with it its VBD, before anybody has read the task that removed it."""
    stack = make_stack()
    stack.start_worker()
    before = stack.lasting()
    ended = launch_amid_restarts(stack, [("VM.clone", "clone", phase, "before")])

    removed = [call for call in stack.changing_calls() if call["method"] == "Async.VDI.destroy"]
    assert removed
    Agreement(stack, before, ended).assert_holds(("Disk", "Disk"))


@pytest.mark.timeout(SECONDS + 60)
def test_the_master_moves_in_the_middle_of_a_batch(make_stack: MakeStack) -> None:
    stack = make_stack("--listen-all", "--host-workers", "64", time_scale=0.02)
    stack.start_worker(concurrency=16)
    before = stack.lasting()
    launches = stack.submit(MANY, **SMALL)
    for master, so_many in (("host-3", MANY // 4), ("host-2", MANY // 2)):
        wait_until(lambda: len(stack.vms()) >= so_many, SECONDS, f"{so_many} VMs are there")  # noqa: B023  it is called before the loop goes on
        stack.pool.control("POST", f"/master/{master}")
    ended = stack.ended(launches, SECONDS)

    assert Counter(status.state for status in ended) == {"succeeded": MANY}
    Agreement(stack, before, ended).assert_holds()


# Hosts

STARTS = 4
"""So many start at once on one host: fewer than its slots."""


def starting_on(stack: Stack, host: str) -> int:
    vms = stack.vms().values()
    ref = next(ref for ref, row in stack.rows("host").items() if row["name_label"] == host)
    return sum(vm["scheduled_to_be_resident_on"] == ref for vm in vms)


@pytest.mark.parametrize("back", [False, True])
def test_a_host_dies_while_its_vms_start(make_stack: MakeStack, *, back: bool) -> None:
    stack = make_stack()
    before = stack.lasting()
    stack.pool.control("PUT", "/latency", {"VM.start": 300})
    stack.start_worker()
    launches = stack.submit(STARTS, host="host-2", **SMALL)
    wait_until(lambda: starting_on(stack, "host-2") == STARTS, 60, "all VMs start on host-2")
    stack.pool.control("PUT", "/latency", {"VM.start": None})
    stack.pool.control("POST", "/hosts/host-2/kill")
    if back:
        stack.pool.control("POST", "/hosts/host-2/revive")
    ended = stack.ended(launches, 110)

    assert Counter(status.state for status in ended) == {"succeeded": STARTS}, ended
    assert back or "host-2" not in {status.host for status in ended}
    Agreement(stack, before, ended).assert_holds()
    assert "VM.power_state_reset" not in {call["method"] for call in stack.pool.calls()}


def test_a_vm_whose_host_goes_down_after_the_start_comes_up_on_another(
    make_stack: MakeStack,
) -> None:
    """Only when the host is back is it known that the VM does not run there."""
    stack = make_stack()
    before = stack.lasting()
    stack.pool.control("PUT", "/latency", {"guest.boot": 300})
    stack.start_worker()
    launch = stack.submit(host="host-2", wait_for="address", wait_seconds=5, **SMALL)[0]
    stack.until(launch, "poll", "its address", 60)
    stack.pool.control("POST", "/hosts/host-2/kill")
    stack.until(launch, "poll", "host-2 is down", 60)
    stack.pool.control("POST", "/hosts/host-2/revive")
    ended = stack.ended([launch])

    assert ended[0].state == "succeeded", ended[0].error
    assert ended[0].host != "host-2"
    Agreement(stack, before, ended).assert_holds()


# Tasks


def test_tasks_that_xapi_collects_before_anybody_has_read_them(make_stack: MakeStack) -> None:
    stack = make_stack()
    before = stack.lasting()
    stack.pool.control("PUT", "/latency", {"VM.start": 2})
    away = stack.start_worker()
    launches = stack.submit(4, **SMALL)
    for launch in launches:
        stack.until(launch, "start", "the VM to start", 60)
    away.kill()
    wait_until(
        lambda: [vm["power_state"] for vm in stack.vms().values()] == ["Running"] * 4,
        60,
        "the VMs run, though nobody looks",
    )
    operator = ByHand(stack.pool)
    for number in range(201):
        task = operator.call("task.create", f"task {number}", "")
        operator.call("task.set_status", task, "success")
    stack.pool.control("POST", "/tasks/collect")
    assert "Async.VM.start_on" not in tasks_of(stack)
    stack.start_worker()
    ended = stack.ended(launches)

    assert Counter(status.state for status in ended) == {"succeeded": 4}, ended
    Agreement(stack, before, ended).assert_holds()


def tasks_of(stack: Stack) -> set[str]:
    return {row["name_label"] for row in stack.pool.state().get("task", {}).values()}


def test_the_pool_has_too_many_tasks_in_the_middle_of_clones(stack: Stack) -> None:
    before = stack.lasting()
    full = {"method": "VDI.clone", "error": ["TOO_MANY_PENDING_TASKS"], "times": 8}
    stack.pool.faults(full)
    ended = stack.ended(stack.submit(12, **SMALL), 110)

    assert Counter(status.state for status in ended) == {"succeeded": 12}
    assert stack.pool.control("GET", "/faults")[0]["struck"] == 8
    Agreement(stack, before, ended).assert_holds()


# Storage


def test_a_storage_fills_up_in_the_middle_of_a_batch(make_stack: MakeStack) -> None:
    stack = make_stack(time_scale=0.02)
    before = stack.lasting()
    stack.start_worker()
    launches = stack.submit(16, disks=[{"new": "1GiB", "sr": "sr-1"}], **SMALL)
    wait_until(lambda: len(stack.vms()) >= 4, 60, "some are under way")
    stack.pool.control("POST", "/srs/sr-1/fill")
    ended = stack.ended(launches, 110)
    stack.pool.control("POST", "/srs/sr-1/empty")

    failed = [status.error for status in ended if status.state == "failed"]
    assert failed
    assert {error.code for error in failed if error} <= {"SR_BACKEND_FAILURE_44", "SR_FULL"}
    Agreement(stack, before, ended).assert_holds(("Disk", "Disk"))
    assert stack.launch(name="after", disks=[{"new": "1GiB", "sr": "sr-1"}]).state == "succeeded"


def test_a_storage_that_stays_broken_ends_the_launch_with_its_own_words(stack: Stack) -> None:
    before = stack.lasting()
    broken = ["SR_BACKEND_FAILURE_46", "", "the array is gone", ""]
    stack.pool.faults({"method": "VDI.create", "error": broken})
    launch = stack.submit(**DISK)[0]
    ended = stack.ended([launch], 110)

    assert ended[0].error is not None
    assert (ended[0].error.code, "the array is gone" in ended[0].error.message) == (broken[0], True)
    assert stack.lasting() == before
    stack.assert_nothing_held()
