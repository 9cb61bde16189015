"""What each host has against a VM, in the pool's own words, and with names that people know."""

import pytest

from tests.flow.conftest import MakeStack
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until
from xenlaunch import LaunchRequest

HERE = {**SMALL, "template": "debian-inside"}
SHUT = "has no interface on the network 'inside'"
WHY = "The host has no way into the network 'inside' that the VM {!r} needs."


@pytest.fixture
def stack(make_stack: MakeStack) -> Stack:
    """Four hosts, and a template with a NIC on a VLAN that only the second one has."""
    made = make_stack()
    networks, hosts = made.rows("network"), made.rows("host")
    [host] = [ref for ref, row in hosts.items() if row["name_label"] == "host-2"]
    [guest] = [row for row in networks.values() if row["name_label"] == "guest"]
    [trunk] = [pif for pif in guest["PIFs"] if made.rows("PIF")[pif]["host"] == host]
    inside = made.call("network.create", {"name_label": "inside", "other_config": {}})
    made.call("VLAN.create", trunk, "77", inside)
    template = made.call("VM.get_by_name_label", "debian-12")[0]
    copy = made.call("VM.clone", template, "debian-inside")
    for vif in made.call("VM.get_VIFs", copy):
        made.call("VIF.destroy", vif)
    nic = {"VM": copy, "network": inside, "device": "0", "MAC": "", "MTU": "1500"}
    made.call(
        "VIF.create",
        {**nic, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}},
    )
    made.start_worker()
    return made


def test_a_plan_asks_the_pool_of_each_host(stack: Stack) -> None:
    before = len(stack.changing_calls())
    inside = planned(stack)
    large = planned(stack, nics=[], vcpus=1000)

    for what, why in (("reason", SHUT), ("template", WHY.format("debian-inside"))):
        assert {host: verdict[what] for host, verdict in inside.items()} == {
            "host-1": why, "host-2": "", "host-3": why, "host-4": why,
        }  # fmt: skip
    assert [host for host, verdict in inside.items() if verdict["fits"]] == ["host-2"]
    # What is said of the template's NICs is not true of a VM that gets others.
    assert {verdict["reason"] for verdict in large.values()} == {"has 32 CPUs, the VM needs 1000"}
    assert {host: verdict["template"] for host, verdict in large.items()} == {
        host: verdict["template"] for host, verdict in inside.items()
    }
    assert all(verdict["fits"] for verdict in planned(stack, nics=[]).values())
    assert len(stack.changing_calls()) == before


def planned(stack: Stack, **fields: object) -> dict[str, dict[str, object]]:
    plan = stack.client.plan(LaunchRequest.parse({"name": "web", **HERE, **fields}))
    assert plan["error"] is None
    return {host.pop("host"): host for host in plan["hosts"]}


def test_a_host_without_a_network_of_the_template_is_not_asked(stack: Stack) -> None:
    *found, pinned = stack.ended(
        [*stack.submit(4, **HERE), *stack.submit(name="far", **HERE, host="host-3", pin=True)]
    )

    assert {(one.state, one.host) for one in found} == {("succeeded", "host-2")}
    assert pinned.error is not None
    assert pinned.error.code == "CANNOT_FIT"
    assert f"host-3: {SHUT}" in pinned.error.message
    starts = [call for call in stack.pool.calls() if call["method"] == "Async.VM.start_on"]
    assert [call["outcome"] for call in starts] == ["ok"] * 4


def test_who_refuses_the_vm_says_why_with_names(stack: Stack) -> None:
    [host] = stack.call("host.get_by_name_label", "host-3")
    [network] = stack.call("network.get_by_name_label", "inside")
    refusal = ["HOST_CANNOT_ATTACH_NETWORK", host, network]
    stack.pool.faults({"method": "VM.start_on", "error": refusal, "action": "fail", "times": 1})
    status = stack.launch(host="host-3", pin=True)

    assert status.error is not None
    assert status.error.code == "NO_HOSTS_LEFT"
    assert "host-3: The host 'host-3' cannot attach the network 'inside'" in status.error.message
    assert "OpaqueRef" not in status.error.message


def test_a_host_that_does_not_say_why_is_asked(stack: Stack) -> None:
    stack.pool.faults(
        {"method": "VM.start_on", "error": ["NO_HOSTS_AVAILABLE"], "action": "fail", "times": 2}
    )
    [launch] = stack.submit(**HERE, host="host-2", pin=True)
    [status] = stack.ended([launch])

    assert status.error is not None
    assert status.error.code == "NO_HOSTS_LEFT"
    assert "host-2: It refused the VM, and could start it a moment later" in status.error.message


def test_a_private_network_holds_its_vms_on_the_host_where_it_is_in_use(stack: Stack) -> None:
    stack.call("network.create", {"name_label": "private", "other_config": {}})
    on_it = {**SMALL, "nics": [{"network": "private"}]}
    first = stack.launch(name="first", host="host-3", pin=True, **on_it)
    wait_until(
        lambda: not planned(stack, **on_it)["host-1"]["fits"], 20, "the worker has heard of it"
    )
    starts = len([one for one in stack.pool.calls() if one["method"] == "Async.VM.start_on"])
    others = stack.ended(stack.submit(3, name="others", **on_it))
    away = "is not the host on which VMs use the private network 'private'"
    [far] = stack.submit(name="far", host="host-1", pin=True, **on_it)
    wait_until(lambda: away in stack.ledger.status(far).doing, 20, "it says what it waits for")
    stack.call("VM.hard_shutdown", stack.call("VM.get_by_uuid", first.vm_uuid))
    for one in others:
        stack.client.destroy(one.id)
    [moved] = stack.ended([far])

    assert [(one.state, one.host) for one in (first, *others)] == [("succeeded", "host-3")] * 4
    assert (moved.state, moved.host) == ("succeeded", "host-1")
    made = [one for one in stack.pool.calls() if one["method"] == "Async.VM.start_on"][starts:]
    assert [call["outcome"] for call in made] == ["ok"] * 4


def test_a_host_whose_speed_nobody_knows_has_no_vm_of_a_cpu_speed(
    make_described: MakeStack,
) -> None:
    """The pool says of it neither how many CPUs it has nor how fast they are."""
    mute = {"name": "host-1", "cpus": 0, "memory_gib": 512}
    stack = make_described({"hosts": [mute, {"name": "host-2"}], "srs": [{"name": "sr-1"}]})
    stack.start_worker()
    asked = {"platform": {"vcpu-unrestricted": "true"}}
    plan = stack.client.plan(
        LaunchRequest.parse({"name": "web", "template": "debian-12", "cpu_speed": 1000, **asked})
    )
    before = len(stack.changing_calls())
    pinned = stack.launch(name="pinned", cpu_speed=1000, host="host-1", pin=True, **asked)
    made = len(stack.changing_calls()) - before
    status = stack.launch(name="fast", cpu_speed=1000, **asked)

    why = "does not say how fast its CPUs are, which cpu_speed is reckoned with"
    assert {host["host"]: host["reason"] for host in plan["hosts"]} == {"host-1": why, "host-2": ""}
    assert (status.state, status.host) == ("succeeded", "host-2")
    assert pinned.error is not None
    assert pinned.error.code == "CANNOT_FIT"
    assert f"host-1: {why}" in pinned.error.message
    assert made == 0
