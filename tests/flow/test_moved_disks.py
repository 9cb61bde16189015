"""One of the template's disks goes to another SR, and something breaks on the way."""

from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.flow.test_hunt import loose
from tests.support.stacks import Stack
from xenlaunch import LaunchRequest

BREAKS: list[dict[str, Any]] = [
    {"method": method, "action": action, "when": when, "times": 1}
    for method in ("VDI.create", "VDI.copy", "VDI.destroy", "VBD.create")
    for action in ("restart", "drop")
    for when in ("before", "after")
]
MOVED = {"device": 0, "size": "9GiB", "name": "moved", "description": "of sr-2", "sr": "sr-2"}
GROWN = {"device": 0, "size": "9GiB", "name": "moved", "description": "of sr-2"}


@pytest.fixture
def one_template(make_stack: MakeStack) -> Stack:
    """A pool whose template lies on sr-1 alone, so that sr-2 is always another."""
    stack = make_stack()
    far = [ref for ref, row in stack.rows("SR").items() if row["name_label"] == "sr-2"]
    disks = {ref: row for ref, row in stack.rows("VDI").items() if row["SR"] in far}
    drives = [row for row in stack.rows("VBD").values() if row["VDI"] in disks]
    for vm in {row["VM"] for row in drives}:
        stack.call("VM.destroy", vm)
    for disk in disks:
        stack.call("VDI.destroy", disk)
    stack.start_worker()
    return stack


def disks_of(stack: Stack, name: str) -> list[tuple[str, str, str, str]]:
    """The disks of a VM: name, description, size in GiB, and SR."""
    disks, srs, drives = stack.rows("VDI"), stack.rows("SR"), stack.rows("VBD")
    mine = [disks[drives[vbd]["VDI"]] for vbd in stack.vms()[name]["VBDs"]]
    return [
        (
            row["name_label"],
            row["name_description"],
            f"{row['virtual_size'] >> 30} GiB",
            srs[row["SR"]]["name_label"],
        )
        for row in mine
    ]


@pytest.mark.parametrize(
    "rule", BREAKS, ids=lambda rule: " ".join(map(str, list(rule.values())[:3]))
)
def test_a_move_that_breaks_anywhere_ends_with_one_disk(
    one_template: Stack, rule: dict[str, Any]
) -> None:
    one_template.pool.faults(rule)
    status = one_template.launch(template_disks=[MOVED])

    assert status.state == "succeeded", status.error
    assert disks_of(one_template, "web-1") == [("moved", "of sr-2", "9 GiB", "sr-2")]
    assert loose(one_template) == []
    one_template.assert_nothing_held()


@pytest.mark.parametrize("method", ["VDI.create", "VDI.copy", "VDI.destroy", "VBD.create"])
def test_a_move_that_cannot_be_made_leaves_nothing(one_template: Stack, method: str) -> None:
    before = one_template.lasting()
    one_template.pool.faults({"method": method, "error": ["LICENCE_RESTRICTION", "x"], "times": 1})
    status = one_template.launch(template_disks=[MOVED])

    assert status.state == "failed"
    assert status.leftovers == ()
    assert one_template.lasting() == before
    one_template.assert_nothing_held()


@pytest.mark.parametrize("action", ["restart", "drop"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_growing_that_breaks_is_done_once_more(one_template: Stack, action: str, when: str) -> None:
    one_template.pool.faults({"method": "VDI.resize", "action": action, "when": when, "times": 1})
    status = one_template.launch(template_disks=[GROWN])

    assert status.state == "succeeded", status.error
    assert disks_of(one_template, "web-1") == [("moved", "of sr-2", "9 GiB", "sr-1")]


@pytest.mark.parametrize("change", [GROWN, MOVED], ids=["grown", "moved"])
def test_a_disk_whose_place_has_a_name_is_found_by_its_number(
    one_template: Stack, change: dict[str, Any]
) -> None:
    """XAPI keeps a VBD's place as it was given: xvda is 0."""
    stack = one_template
    [template] = [ref for ref, row in stack.rows("VM").items() if row["name_label"] == "debian-12"]
    [ref] = stack.rows("VM")[template]["VBDs"]
    drive = dict(stack.rows("VBD")[ref])
    stack.call("VBD.destroy", ref)
    stack.call("VBD.create", {**drive, "userdevice": "xvda"})
    wanted = {"template_disks": [change], "disks": [{"new": "1GiB"}]}
    planned = stack.client.plan(
        LaunchRequest.parse({"name": "web", "template": "debian-12", **wanted})
    )
    status = stack.launch(**wanted)

    assert (planned["error"], status.state, status.error) == (None, "succeeded", None)
    assert disks_of(stack, status.name)[0][:3] == ("moved", "of sr-2", "9 GiB")
    made = [call["method"].removeprefix("Async.") for call in stack.changing_calls()]
    assert planned["calls"] == made[made.index("VM.clone") :]
