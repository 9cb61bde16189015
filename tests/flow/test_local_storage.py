"""A VM goes where its disks can be reached, and it is not found out by trying."""

from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.support.agreement import Agreement
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


# A template on a storage of each host

HOSTS = ("host-1", "host-2", "host-3")
EACH: dict[str, Any] = {
    "name": "local",
    "hosts": [{"name": host} for host in HOSTS],
    "srs": [{"name": f"local-{host[-1]}", "type": "ext", "hosts": [host]} for host in HOSTS],
    "templates": [{"name": "debian-12", "srs": ["local-1", "local-2", "local-3"]}],
}


@pytest.fixture
def each(make_described: MakeStack) -> Stack:
    """Three hosts, each with a storage of its own, and the template on all of these."""
    made = make_described(EACH, time_scale=0.02)
    made.start_worker()
    return made


def refuse_starts(stack: Stack, *hosts: str) -> None:
    for host in hosts:
        [ref] = stack.call("host.get_by_name_label", host)
        refusal = ["HOST_CANNOT_ATTACH_NETWORK", ref, "OpaqueRef:none"]
        stack.pool.faults({"method": "VM.start_on", "object": ref, "error": refusal})


def test_who_is_refused_where_its_clone_lies_is_cloned_anew_elsewhere(each: Stack) -> None:
    before = each.lasting()
    refuse_starts(each, "host-1", "host-2")
    ended = each.ended(
        [*each.submit(3, **SMALL), *each.submit(name="first", **SMALL, host="host-1")]
    )

    assert [(one.state, one.host, one.error) for one in ended] == [
        ("succeeded", "host-3", None)
    ] * 4
    Agreement(each, before, ended).assert_holds(("Disk",))


def test_who_is_refused_wherever_it_is_cloned_says_so_of_each_host(each: Stack) -> None:
    before = each.lasting()
    refuse_starts(each, *HOSTS)
    status = each.launch(**SMALL)

    assert status.error is not None
    assert (status.state, status.error.code) == ("failed", "NO_HOSTS_LEFT")
    assert [param.split(":")[0] for param in status.error.params] == [*HOSTS]
    Agreement(each, before, [status]).assert_holds()


def test_whose_disk_is_to_lie_there_is_not_cloned_anew(each: Stack) -> None:
    refuse_starts(each, "host-1")
    status = each.launch(**LOCAL)

    assert status.error is not None
    assert status.error.code == "NO_HOSTS_LEFT"
    clones = [call for call in each.changing_calls() if call["method"] == "Async.VM.clone"]
    assert len(clones) == 1


def test_who_is_cancelled_between_two_clones_ends_cancelled(each: Stack) -> None:
    before = each.lasting()
    refuse_starts(each, *HOSTS)
    each.pool.faults({"method": "VDI.destroy", "action": "delay", "seconds": 2.0})
    [launch] = each.submit(**SMALL)
    each.until(launch, "undo", "", 20)
    each.client.cancel(launch)
    [status] = each.ended([launch])

    assert status.state == "cancelled"
    Agreement(each, before, [status]).assert_holds()


@pytest.mark.timeout(180)
def test_whoever_dies_while_clones_are_removed_and_made_anew(each: Stack) -> None:
    before = each.lasting()
    refuse_starts(each, "host-1", "host-2")
    launches = each.submit(9, **SMALL)

    def is_amid() -> bool:
        seen = each.statuses(launches)
        return any(one.step == "undo" for one in seen) or all(one.has_ended for one in seen)

    for _ in range(4):
        wait_until(is_amid, 60, "some clone is being removed")
        each.workers[-1].kill()
        each.start_worker()
    ended = each.ended(launches, 90)

    assert {(one.state, one.host) for one in ended} == {("succeeded", "host-3")}
    Agreement(each, before, ended).assert_holds()
