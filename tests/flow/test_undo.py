"""What fails or is cancelled leaves the pool as it was, and says what happened."""

import pytest

from tests.flow.conftest import MakeStack
from tests.support.stacks import Stack
from xenlaunch.names import STEPS

FAILING_START = {"method": "VM.start_on", "error": ["BOOTLOADER_FAILED", "vm", "no kernel"]}


def test_a_failed_start_is_undone(stack: Stack) -> None:
    """With the pool's own words, and a disk that was there before still there."""
    existing = next(row for row in stack.rows("VDI").values() if row["name_label"] == "tools.iso")
    before = stack.lasting()
    stack.pool.faults(FAILING_START)
    status = stack.launch(
        disks=[{"new": "1GiB"}, {"iso": existing["uuid"]}],
        nics=[{"network": "guest"}, {"network": "guest"}],
    )

    assert status.state == "failed"
    assert status.error is not None
    assert (status.error.code, status.error.params) == ("BOOTLOADER_FAILED", ("vm", "no kernel"))
    assert "no kernel" in status.error.message
    assert status.leftovers == ()
    assert stack.lasting() == before
    stack.assert_nothing_held()


def test_a_disk_that_was_there_before_survives_the_undo(stack: Stack) -> None:
    donor = stack.launch(name="donor", disks=[{"new": "2GiB"}])
    vdi = next(row for row in stack.rows("VDI").values() if row["name_label"] == "donor-1 data 0")
    assert donor.state == "succeeded", donor.error
    before = stack.lasting()
    stack.pool.faults(FAILING_START)
    status = stack.launch(disks=[{"vdi": vdi["uuid"], "mode": "RO"}])

    assert status.state == "failed"
    assert stack.lasting() == before


def test_what_is_gone_already_is_not_destroyed_once_more(stack: Stack) -> None:
    """Each such call would end in an error, and let all that had ended so before be sent again."""
    donor = stack.launch(name="donor", disks=[{"new": "1GiB"}] * 5)
    stack.call("VM.hard_shutdown", stack.call("VM.get_by_uuid", donor.vm_uuid))
    before = stack.lasting()
    stack.pool.faults(FAILING_START)
    left_out = [{"device": device, "keep": False} for device in (1, 2, 4, 5)]
    status = stack.launch(template="donor-1", template_disks=left_out)
    destroyed = [
        call["outcome"] for call in stack.changing_calls() if call["method"].endswith("VDI.destroy")
    ]

    assert (status.state, status.leftovers) == ("failed", ())
    assert destroyed == ["ok"] * 6
    assert stack.lasting() == before


def test_a_failed_launch_is_kept_when_asked(stack: Stack) -> None:
    stack.pool.faults(FAILING_START)
    status = stack.launch(on_failure="keep")

    assert status.state == "failed"
    assert [left.cls for left in status.leftovers] == ["VM"]
    assert [row["uuid"] for row in stack.vms().values()] == [status.leftovers[0].uuid]


@pytest.mark.parametrize(
    "method",
    ["VM.clone", "VM.provision", "VM.set_memory_limits", "VDI.create", "VBD.create", "VIF.create"],
)
def test_whatever_is_refused_leaves_nothing(stack: Stack, method: str) -> None:
    before = stack.lasting()
    stack.pool.faults({"method": method, "error": ["LICENCE_RESTRICTION", "test"]})
    status = stack.launch(
        memory="1GiB", disks=[{"new": "1GiB"}], nics=[{"network": "guest"}, {"network": "guest"}]
    )

    assert status.state == "failed"
    assert status.error is not None
    assert status.error.code == "LICENCE_RESTRICTION"
    assert stack.lasting() == before
    stack.assert_nothing_held()


@pytest.mark.parametrize("method", ["VM.clone", "VDI.create", "VBD.create", "VIF.create"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_makes_nothing_twice(stack: Stack, method: str, when: str) -> None:
    stack.pool.faults({"method": method, "action": "drop", "when": when, "times": 1})
    status = stack.launch(disks=[{"new": "1GiB"}], nics=[{"network": "guest"}])

    assert status.state == "succeeded", status.error
    assert list(stack.vms()) == ["web-1"]
    vm = stack.vms()["web-1"]
    assert (len(vm["VBDs"]), len(vm["VIFs"])) == (2, 1)
    assert len([row for row in stack.rows("VDI").values() if not row["VBDs"]]) == 1  # the ISO


@pytest.mark.parametrize("method", ["VM.start_on", "VM.set_name_label", "VM.provision"])
def test_a_lost_answer_of_a_change_is_no_failure(stack: Stack, method: str) -> None:
    stack.pool.faults({"method": method, "action": "drop", "when": "after", "times": 1})
    status = stack.launch()

    assert status.state == "succeeded", status.error
    assert list(stack.vms()) == ["web-1"]


@pytest.mark.parametrize("method", ["VM.clone", "VDI.create", "VM.start_on", "VDI.destroy"])
def test_a_task_that_lost_its_session_is_sent_again(stack: Stack, method: str) -> None:
    """It was taken on, and logged out before another host came to do it: nothing ran."""
    before = stack.lasting()
    lost = {"method": method, "error": ["SESSION_INVALID", "OpaqueRef:s"], "times": 1}
    stack.pool.faults([lost, FAILING_START] if method == "VDI.destroy" else lost)
    status = stack.launch(disks=[{"new": "1GiB"}])

    assert status.leftovers == ()
    if method == "VDI.destroy":
        assert stack.lasting() == before
    else:
        assert status.state == "succeeded", status.error


def test_an_undo_that_meets_an_obstacle_goes_on_and_names_it(stack: Stack) -> None:
    stuck = {
        "method": "VDI.destroy",
        "object": "web-1 data 0",
        "error": ["LICENCE_RESTRICTION", "x"],
    }
    stack.pool.faults([FAILING_START, stuck])
    status = stack.launch(disks=[{"new": "1GiB"}, {"new": "2GiB"}])

    left = next(row for row in stack.rows("VDI").values() if row["name_label"] == "web-1 data 0")
    assert status.state == "failed"
    assert [(found.cls, found.uuid) for found in status.leftovers] == [("VDI", left["uuid"])]
    assert "by hand" in status.leftovers[0].advice
    assert stack.vms() == {}


def test_a_vm_whose_own_disk_stays_is_left_to_tell_of_it(stack: Stack) -> None:
    """A disk that came with a clone bears no mark: without its VM nobody would know whose it is."""
    stuck = {"method": "VDI.destroy", "error": ["LICENCE_RESTRICTION", "x"]}
    stack.pool.faults([FAILING_START, stuck])
    status = stack.launch()

    assert status.state == "failed"
    assert {found.cls for found in status.leftovers} == {"VM", "VDI"}
    assert [len(vm["VBDs"]) for vm in stack.vms().values()] == [1]


@pytest.mark.parametrize("step", STEPS[1:-1])
def test_a_launch_is_cancelled_in_any_step(make_stack: MakeStack, step: str) -> None:
    """Each step is held up in the pool by one slow call of its own."""
    slow = {
        "clone": "VM.clone",
        "vbds": "VDI.create",
        "vifs": "VIF.create",
        "network": "VIF.get_all_records_where",
        "start": "VM.start_on",
    }
    stack = make_stack()
    stack.start_worker()
    before = stack.lasting()
    stack.pool.faults({"method": slow[step], "action": "delay", "seconds": 1.5, "times": 1})
    launch = stack.submit(disks=[{"new": "1GiB"}], nics=[{"network": "guest"}])[0]
    if step != "network":
        stack.until(launch, step)
    stack.client.cancel(launch)
    status = stack.ended([launch])[0]

    assert status.state == "cancelled"
    assert status.error is not None
    assert status.error.code == "CANCELLED"
    assert stack.lasting() == before
    stack.assert_nothing_held()


def test_a_launch_that_waits_is_cancelled_at_once(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.ledger.register("tests", "generation", ["lab"])
    launch = stack.submit()[0]
    stack.client.cancel(launch)

    assert stack.ledger.status(launch).state == "cancelled"
    stack.start_worker()
    stack.ended([launch])
    assert stack.changing_calls() == []


def test_a_disk_that_nobody_heard_of_is_undone_too(stack: Stack) -> None:
    """The pool made it, and then forgot the task that would have said so."""
    before = stack.lasting()
    stack.pool.faults(
        [
            {"method": "VDI.create", "action": "restart", "when": "after", "times": 1},
            {"method": "VBD.create", "error": ["LICENCE_RESTRICTION", "x"]},
        ]
    )
    launch = stack.submit(disks=[{"new": "1GiB"}])[0]
    status = stack.ended([launch])[0]

    assert status.state == "failed"
    assert stack.lasting() == before
