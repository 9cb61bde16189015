"""Many launches that want one network at once: there is one, and every host has it.

Ten workers, each a process of its own, take ten launches pinned to ten of sixteen hosts.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until
from xenlaunch.names import OTHER_CONFIG_NETWORK

HOSTS = 16
RACERS = 10

GENERATIONS = pytest.mark.parametrize("profile", ["current", "8.2"])


def race(stack: Stack, nic: Mapping[str, Any]) -> None:
    """Ten launches on ten hosts by ten workers, all of which come up."""
    for _ in range(RACERS):
        stack.start_worker(concurrency=2)
    launches = [
        stack.submit(name=f"racer-{n}", nics=[nic], host=f"host-{n}", pin=True, **SMALL)[0]
        for n in range(1, RACERS + 1)
    ]
    ended = stack.ended(launches, 150)
    assert [(one.state, one.error) for one in ended] == [("succeeded", None)] * RACERS
    assert {one.host for one in ended} == {f"host-{n}" for n in range(1, RACERS + 1)}
    stack.assert_no_task_is_left()


def network_of_the_racers(stack: Stack) -> Mapping[str, Any]:
    """The one network that all of them are on."""
    vms = {ref for ref, row in stack.rows("VM").items() if row["name_label"].startswith("racer-")}
    refs = {row["network"] for row in stack.rows("VIF").values() if row["VM"] in vms}
    [network] = [row for ref, row in stack.rows("network").items() if ref in refs]
    return network


def ours(stack: Stack) -> list[Mapping[str, Any]]:
    rows = stack.rows("network").values()
    return [row for row in rows if OTHER_CONFIG_NETWORK in row["other_config"]]


def pifs_of(stack: Stack, network: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [stack.rows("PIF")[ref] for ref in network["PIFs"]]


def carrier(stack: Stack, host: str) -> str:
    """The interface of a host on the network of the guests."""
    [network] = [r for r, row in stack.rows("network").items() if row["name_label"] == "guest"]
    [ref] = [
        ref
        for ref, row in stack.rows("PIF").items()
        if row["network"] == network and stack.rows("host")[row["host"]]["name_label"] == host
    ]
    return ref


@pytest.mark.timeout(300)
@GENERATIONS
def test_ten_launches_make_one_vlan(make_stack: MakeStack, profile: str) -> None:
    stack = make_stack("--hosts", str(HOSTS), "--profile", profile)

    race(stack, {"network": "guest", "vlan": 100})

    assert ours(stack) == [network_of_the_racers(stack)]
    tagged = [row for row in stack.rows("PIF").values() if row["VLAN"] == 100]
    assert tagged == pifs_of(stack, network_of_the_racers(stack))
    assert Counter(row["host"] for row in tagged) == dict.fromkeys(stack.rows("host"), 1)
    assert len(stack.rows("VLAN")) == HOSTS


@pytest.mark.timeout(300)
def test_a_vlan_that_was_made_by_hand_is_taken_and_spread(make_stack: MakeStack) -> None:
    stack = make_stack("--hosts", str(HOSTS))
    record = {"name_label": "accounting", "other_config": {}}
    network = stack.call("network.create", record)
    for host in ("host-3", "host-12"):
        stack.call("VLAN.create", carrier(stack, host), "100", network)

    race(stack, {"network": "guest", "vlan": 100})

    assert ours(stack) == []
    found = network_of_the_racers(stack)
    assert found["name_label"] == "accounting"
    hosts = Counter(row["host"] for row in pifs_of(stack, found))
    assert hosts == dict.fromkeys(stack.rows("host"), 1)


@pytest.mark.timeout(300)
@GENERATIONS
@pytest.mark.parametrize("nic", [{"tunnel": 7}, {"broadcast": "vswitch"}], ids=str)
def test_ten_launches_make_one_tunnel_and_one_vswitch(
    make_stack: MakeStack, profile: str, nic: Mapping[str, Any]
) -> None:
    stack = make_stack("--hosts", str(HOSTS), "--profile", profile)

    race(stack, nic)

    assert ours(stack) == [network_of_the_racers(stack)]
    pifs = pifs_of(stack, network_of_the_racers(stack))
    wanted = dict.fromkeys(stack.rows("host"), 1) if "tunnel" in nic else {}
    assert Counter(row["host"] for row in pifs) == wanted
    assert [row for row in stack.rows("VIF").values() if row["MAC"] == "FE:FF:FF:FF:FF:FF"] == []


def test_a_bridge_of_8_2_comes_by_a_vif_of_the_control_domain_at_its_lowest_free_device(
    make_stack: MakeStack,
) -> None:
    stack = make_stack("--hosts", "1", "--profile", "8.2")
    [guest] = [ref for ref, row in stack.rows("network").items() if row["name_label"] == "guest"]
    [host] = stack.rows("host").values()
    others = {device: vif_of(stack, host["control_domain"], guest, device) for device in "02"}
    stack.pool.faults({"method": "VIF.unplug", "action": "delay", "seconds": 5})
    stack.start_worker()
    [launch] = stack.submit(nics=[{"broadcast": "vswitch"}])

    def plugged() -> Mapping[str, Any] | None:
        found = [row for row in in_dom0() if row["currently_attached"]]
        return found[0] if found else None

    def in_dom0() -> list[Mapping[str, Any]]:
        rows = stack.rows("VIF").items()
        known = others.values()
        return [
            row for ref, row in rows if row["VM"] == host["control_domain"] and ref not in known
        ]

    vif = wait_until(plugged, 25, "the control domain has a VIF plugged")
    assert (vif["MAC"], vif["device"]) == ("FE:FF:FF:FF:FF:FF", "1")
    assert stack.rows("network")[vif["network"]]["name_label"] == "vswitch"
    assert [one.state for one in stack.ended([launch])] == ["succeeded"]
    assert in_dom0() == []
    assert set(others.values()) <= set(stack.rows("VIF"))


def vif_of(stack: Stack, vm: str, network: str, device: str) -> str:
    """An interface that somebody has given a VM by hand."""
    record: dict[str, Any] = {"VM": vm, "network": network, "device": device, "MTU": "1500"}
    record |= {"qos_algorithm_type": "", "qos_algorithm_params": {}, "other_config": {}}
    record["MAC"] = f"02:16:3e:00:00:0{device}"
    return str(stack.call("VIF.create", record))


def test_a_vlan_on_a_part_of_a_bond_goes_on_the_bond(make_stack: MakeStack) -> None:
    stack = make_stack("--hosts", "2")
    stack.start_worker()
    bonded = stack.call("network.create", {"name_label": "bonded", "other_config": {}})
    hosts = stack.rows("host")
    for host in hosts:
        parts = [ref for ref, row in stack.rows("PIF").items() if row["host"] == host]
        stack.call("Bond.create", bonded, parts, "", "balance-slb")

    status = stack.launch(nics=[{"network": "guest", "vlan": 100}])

    assert (status.state, status.error) == ("succeeded", None)
    tagged = [row for row in stack.rows("PIF").values() if row["VLAN"] == 100]
    assert Counter(row["host"] for row in tagged) == dict.fromkeys(hosts, 1)
    assert {row["device"][:4] for row in tagged} == {"bond"}


def test_a_pool_with_linux_bridges_has_no_tunnels(make_stack: MakeStack) -> None:
    stack = make_stack("--network-backend", "bridge")
    stack.start_worker()
    for nic in ({"tunnel": 7}, {"broadcast": "vswitch"}):
        status = stack.launch(nics=[nic])
        assert status.error
        assert status.error.code == "OPENVSWITCH_NOT_ACTIVE"
    assert stack.changing_calls() == []


@GENERATIONS
def test_the_calls_of_each_generation(make_stack: MakeStack, profile: str) -> None:
    """On 8.2 they are the article's: it makes a bridge by a VIF of the control domain."""
    stack = make_stack("--hosts", "2", "--profile", profile)
    stack.start_worker()
    bridge = {
        "current": ["network.attach"],
        "8.2": ["VIF.create", "VIF.plug", "VIF.unplug", "VIF.destroy"],
    }[profile]
    tag = {"current": ["Async.pool.create_VLAN_from_PIF"], "8.2": ["VLAN.create"] * 2}[profile]
    switched = bridge if profile == "8.2" else []
    wanted: dict[str, tuple[Mapping[str, Any], list[str]]] = {
        "native": ({"network": "guest"}, ["VIF.create"]),
        "link-local": ({"broadcast": "link-local"}, ["VIF.create", *bridge]),
        "vlan": ({"network": "guest", "vlan": 9}, ["network.create", *tag, "VIF.create"]),
        "vswitch": ({"broadcast": "vswitch"}, ["network.create", "VIF.create", *bridge]),
        "tunnel": (
            {"tunnel": 7},
            ["network.create", *["tunnel.create"] * 2, "VIF.create", *switched],
        ),
    }
    made = {kind: calls_of(stack, kind, nic) for kind, (nic, _) in wanted.items()}
    assert made == {kind: calls for kind, (_, calls) in wanted.items()}


def calls_of(stack: Stack, name: str, nic: Mapping[str, Any]) -> list[str]:
    """The changing calls of a launch from its last VIF of the template's to its start."""
    before = len(stack.changing_calls())
    status = stack.launch(name=name, nics=[nic])
    assert (status.state, status.error) == ("succeeded", None)
    calls = [call["method"] for call in stack.changing_calls()[before:]]
    return calls[calls.index("VIF.destroy") + 1 : calls.index("Async.VM.start_on")]
