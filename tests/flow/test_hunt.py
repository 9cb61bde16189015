"""A toolstack that restarts in the middle of a clone leaves disks that bear no mark of ours."""

from collections import Counter
from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.support.stacks import Stack

PHASES = ("disk", "row", "vbd", "vif", "result")


def restart_in(phase: str, **fields: Any) -> dict[str, Any]:
    rule = {"method": "VM.clone", "phase": phase, "action": "restart", "times": 1}
    return {**rule, **fields}


def loose(stack: Stack) -> list[str]:
    """The disks that no VM has, but for the ISO that lies in its library."""
    rows = stack.rows("VDI").values()
    return [row["uuid"] for row in rows if not row["VBDs"] and row["name_label"] != "tools.iso"]


def copies_by_hand(stack: Stack) -> list[str]:
    """Clone the template's disk on each SR, as an administrator would; the copies' uuids."""
    vms, drives = stack.rows("VM").values(), stack.rows("VBD")
    templates = [row for row in vms if row["name_label"] == "debian-12"]
    disks = [drives[vbd]["VDI"] for row in templates for vbd in row["VBDs"]]
    made = [stack.call("VDI.clone", disk) for disk in disks if disk in stack.rows("VDI")]
    return [stack.rows("VDI")[ref]["uuid"] for ref in made]


@pytest.mark.parametrize("phase", PHASES)
def test_a_clone_that_was_broken_off_leaves_nothing(stack: Stack, phase: str) -> None:
    stack.pool.faults(restart_in(phase))
    status = stack.launch()

    assert status.state == "succeeded", status.error
    assert status.leftovers == ()
    assert list(stack.vms()) == ["web-1"]
    assert loose(stack) == []
    stack.assert_nothing_held()


def test_many_clones_that_were_broken_off_leave_nothing(make_stack: MakeStack) -> None:
    stack = make_stack(time_scale=0.05)
    stack.pool.faults(
        [restart_in("row", nth=3), restart_in("vbd", nth=5), restart_in("row", nth=9)]
    )
    stack.start_worker()
    launches = stack.submit(12)
    ended = stack.ended(launches, 120)

    assert Counter(status.state for status in ended) == {"succeeded": 12}
    assert len(stack.vms()) == 12
    assert loose(stack) == []
    assert [status.leftovers for status in ended if status.leftovers] == []
    stack.assert_nothing_held()


def test_the_second_clone_has_a_working_name_of_its_own(stack: Stack) -> None:
    stack.pool.faults(restart_in("row"))
    launch = stack.submit()[0]
    stack.ended([launch])
    cloned = [call for call in stack.pool.calls() if call["method"] == "Async.VM.clone"]

    assert len(cloned) == 2
    assert stack.ledger.status(launch).state == "succeeded"


def test_a_launch_that_is_undone_hunts_too(stack: Stack) -> None:
    before = stack.lasting()
    refused = {"method": "VM.clone", "error": ["LICENCE_RESTRICTION", "x"], "nth": 2}
    stack.pool.faults([restart_in("row"), refused])
    status = stack.launch()

    assert status.state == "failed"
    assert status.leftovers == ()
    assert stack.lasting() == before
    stack.assert_nothing_held()


def test_a_copy_that_somebody_made_before_stays(stack: Stack) -> None:
    """It has the name, the size and the SR of a lost disk, but it was there first."""
    theirs = copies_by_hand(stack)
    stack.pool.faults(restart_in("row"))
    status = stack.launch()

    assert status.state == "succeeded", status.error
    assert sorted(loose(stack)) == sorted(theirs)
    assert theirs
