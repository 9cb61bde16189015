"""A VM goes where its disks can be reached, and it is not found out by trying."""

import pytest

from tests.flow.conftest import MakeStack
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until
from xenlaunch import LaunchRequest

LOCAL = {**SMALL, "disks": [{"new": "1GiB", "sr": "local-1"}]}


@pytest.fixture
def stack(make_stack: MakeStack) -> Stack:
    """Three hosts, of which the first has a storage of its own: local-1."""
    made = make_stack("--pool", "generation-8.2")
    made.start_worker()
    return made


def why_not(stack: Stack) -> dict[str, str]:
    """By host, what a plan says against it."""
    plan = stack.client.plan(LaunchRequest.parse({"name": "web", "template": "debian-12", **LOCAL}))
    return {host["host"]: host["reason"] for host in plan["hosts"]}


def test_a_vm_goes_to_the_host_of_its_local_disk_at_once(stack: Stack) -> None:
    beyond = "cannot reach the storage 'local-1'"
    assert why_not(stack) == {"host-1": "", "host-2": beyond, "host-3": beyond}

    ended = stack.ended(stack.submit(6, **LOCAL) + stack.submit(2, name="any", **SMALL))

    assert {status.host for status in ended[:6]} == {"host-1"}
    assert "host-1" not in {status.host for status in ended[6:]}, "it has six VMs more"
    starts = [call for call in stack.changing_calls() if call["method"] == "Async.VM.start_on"]
    assert len(starts) == 8

    before = len(stack.changing_calls())
    refused = stack.launch(name="far", **LOCAL, host="host-2", pin=True)
    assert refused.error is not None
    assert (refused.error.code, stack.changing_calls()[before:]) == ("CANNOT_FIT", [])
    assert f"host-2: {beyond}" in refused.error.message


def test_a_pbd_that_is_unplugged_is_waited_for(stack: Stack) -> None:
    [local] = [ref for ref, row in stack.rows("SR").items() if row["name_label"] == "local-1"]
    [pbd] = stack.rows("SR")[local]["PBDs"]
    stack.call("PBD.unplug", pbd)
    wait_until(lambda: why_not(stack)["host-1"], 20, "the worker has heard of the PBD")
    [launch] = stack.submit(**LOCAL)

    def is_told_why() -> bool:
        return "its PBD of the storage 'local-1' unplugged" in stack.ledger.status(launch).doing

    wait_until(is_told_why, 20, "the launch says which PBD it waits for")
    stack.call("PBD.plug", pbd)

    assert stack.ended([launch])[0].host == "host-1"
