"""Pruning the networks that were made for launches: what is idle goes, what anybody has stays."""

from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

VLAN: dict[str, Any] = {"nics": [{"network": "guest", "vlan": 100}]}
TUNNEL: dict[str, Any] = {"nics": [{"tunnel": 7}]}


def stays(stack: Stack, *, remove: bool = True) -> dict[str, str]:
    return {one["name"]: one["stays"] for one in stack.client.networks(remove=remove)}


def destroy(stack: Stack, uuid: str) -> None:
    vm = stack.call("VM.get_by_uuid", uuid)
    stack.call("VM.hard_shutdown", vm)
    stack.call("VM.destroy", vm)


@pytest.mark.parametrize("profile", ["current", "8.2"])
def test_what_is_idle_goes_and_what_a_vm_is_on_stays(make_stack: MakeStack, profile: str) -> None:
    stack = make_stack("--profile", profile)
    stack.start_worker()
    classes = ("network", "PIF", "VLAN", "tunnel")
    before = {cls: set(stack.pool.state().get(cls, {})) for cls in classes}
    status = [stack.launch(name=name, **said) for name, said in (("v", VLAN), ("t", TUNNEL))]
    assert [one.error for one in status] == [None, None]
    assert all("has 1 VIFs, of " in why for why in stays(stack).values())

    # A VM that is halted has its VIF still, which XAPI would drop with the network.
    stack.call("VM.hard_shutdown", stack.call("VM.get_by_uuid", status[0].vm_uuid))
    assert all("has 1 VIFs, of " in why for why in stays(stack).values())

    stack.call("VM.destroy", stack.call("VM.get_by_uuid", status[0].vm_uuid))
    destroy(stack, str(status[1].vm_uuid))
    assert set(stays(stack, remove=False).values()) == {""}
    assert len(stack.client.networks()) == 2
    assert [one["removed"] for one in stack.client.networks(remove=True)] == [True, True]
    assert {cls: set(stack.pool.state().get(cls, {})) for cls in classes} == before

    again = stack.launch(name="again", **VLAN)
    assert (again.state, again.error) == ("succeeded", None)


def test_a_network_that_a_launch_is_about_to_use_stays(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.start_worker()
    first = stack.launch(name="first", **VLAN)
    destroy(stack, str(first.vm_uuid))
    slow = {"method": "VM.clone", "phase": "vbd", "action": "delay", "seconds": 5.0, "times": 1}
    stack.pool.faults(slow)
    launch = stack.submit(name="slow", **VLAN)[0]
    stack.until(launch, "clone", "the clone")

    assert list(stays(stack).values()) == [f"is wanted by {launch}"]

    [ended] = stack.ended([launch])
    assert (ended.state, ended.error) == ("succeeded", None)


def test_a_launch_waits_for_a_network_that_is_being_pruned(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.start_worker()
    destroy(stack, str(stack.launch(name="first", **VLAN).vm_uuid))
    [network] = stack.client.networks()
    assert stack.ledger.claim_pruning("lab", network["bridge"], 60_000) == ""
    launch = stack.submit(name="second", **VLAN)[0]
    stack.until(launch, "connect", "is being pruned")

    stack.call("network.get_by_uuid", network["uuid"])
    stack.ledger.pruned("lab", network["bridge"])
    [ended] = stack.ended([launch])
    assert (ended.state, ended.error) == ("succeeded", None)
    wait_until(lambda: not stack.ledger.networks_used("lab"), 5, "the launch wants it no more")


def test_what_was_made_by_hand_is_not_ours_to_prune(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.start_worker()
    stack.call("network.create", {"name_label": "by hand", "other_config": {}})

    assert stack.client.networks(remove=True) == []
