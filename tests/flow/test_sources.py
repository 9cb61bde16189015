"""A launch from what an earlier launch has made, whose marks come with the clone."""

from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.flow.test_hunt import loose
from tests.support.stacks import Stack
from xenlaunch import LaunchStatus, names

DISKS = [{"new": "2GiB", "sr": "sr-1"}, {"new": "1GiB", "sr": "sr-2"}]
NICS = [{"network": "guest"}, {"network": "guest"}]
PHASES = ("disk", "row", "vbd", "vif", "result")


@pytest.fixture
def stack(make_stack: MakeStack) -> Stack:
    """A pool with a halted VM named golden-1 that a launch has made, with disks and NICs."""
    made = make_stack()
    made.start_worker()
    first = made.launch(name="golden", disks=DISKS, nics=NICS)
    assert first.state == "succeeded", first.error
    made.call("VM.hard_shutdown", made.call("VM.get_by_uuid", first.vm_uuid))
    return made


def launched(stack: Stack, **fields: Any) -> LaunchStatus:
    status = stack.launch(**{"name": "web", "template": "golden-1", **fields})
    assert status.state == "succeeded", status.error
    return status


@pytest.mark.parametrize("how", ["fast", "full"])
def test_a_vm_that_a_launch_made_is_a_source_like_any_other(stack: Stack, how: str) -> None:
    status = launched(stack, clone=how)
    vms = stack.vms()
    golden, web = vms["golden-1"], vms["web-1"]
    marks = web["other_config"]

    assert marks[names.OTHER_CONFIG_MARK] == f"tests/{status.id}/{web['uuid']}"
    assert status.id in marks[names.OTHER_CONFIG_FINISHED]
    assert len(web["VBDs"]) == len(golden["VBDs"]) == 3
    macs = [
        vif["MAC"]
        for ref, vif in stack.rows("VIF").items()
        if ref in (*golden["VIFs"], *web["VIFs"])
    ]
    assert len(macs) == len(set(macs)) == 4
    assert loose(stack) == []
    stack.assert_nothing_held()


@pytest.mark.parametrize("how", ["fast", "full"])
def test_its_undo_leaves_the_source_alone(stack: Stack, how: str) -> None:
    before = stack.lasting()
    failing = {"method": "VM.start_on", "error": ["BOOTLOADER_FAILED", "vm", "no kernel"]}
    stack.pool.faults(failing)
    status = stack.launch(name="web", template="golden-1", clone=how, nics=NICS)

    assert (status.state, status.leftovers) == ("failed", ())
    assert stack.lasting() == before
    stack.assert_nothing_held()


@pytest.mark.parametrize("how", ["fast", "full"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_clone_of_it_that_was_broken_off_leaves_nothing(
    stack: Stack, how: str, phase: str
) -> None:
    method = {"fast": "VM.clone", "full": "VM.copy"}[how]
    stack.pool.faults({"method": method, "phase": phase, "action": "restart", "times": 1})
    target = {"sr": "sr-2"} if how == "full" else {}
    status = launched(stack, clone=how, **target)

    assert status.leftovers == ()
    assert sorted(stack.vms()) == ["golden-1", "web-1"]
    assert loose(stack) == []
    stack.assert_nothing_held()


@pytest.mark.parametrize("method", ["VM.remove_from_other_config", "VM.add_to_other_config"])
def test_a_launch_that_ends_before_its_clone_is_marked_removes_it(
    stack: Stack, method: str
) -> None:
    """Until then the clone bears the mark of the launch that made its source."""
    before = stack.lasting()
    stack.pool.faults({"method": method, "error": ["LICENCE_RESTRICTION", "x"], "times": 1})
    status = stack.launch(name="web", template="golden-1")

    assert (status.state, status.leftovers) == ("failed", ())
    assert stack.lasting() == before
    stack.assert_nothing_held()


@pytest.mark.parametrize("method", ["VM.remove_from_other_config", "VM.add_to_other_config"])
def test_one_that_is_kept_then_bears_the_mark_of_its_own_launch(stack: Stack, method: str) -> None:
    stack.pool.faults({"method": method, "error": ["LICENCE_RESTRICTION", "x"], "times": 1})
    status = stack.launch(name="web", template="golden-1", on_failure="keep")
    [kept] = [row for name, row in stack.vms().items() if name != "golden-1"]

    assert [left.uuid for left in status.leftovers] == [kept["uuid"]]
    if method.startswith("VM.remove"):
        assert kept["other_config"][names.OTHER_CONFIG_MARK].endswith(kept["uuid"])
    assert status.id in kept["other_config"][names.OTHER_CONFIG_KEPT]
    assert names.OTHER_CONFIG_FINISHED not in kept["other_config"]
