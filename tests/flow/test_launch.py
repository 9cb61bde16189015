"""A launch from submit to a running VM, and what an outsider then sees in the pool."""

import pytest

from tests.flow.conftest import MakeStack
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

GIB = 1 << 30


def test_a_launch_becomes_one_running_vm(stack: Stack) -> None:
    status = stack.launch()

    vm = stack.vms()["web-1"]
    assert status.state == "succeeded", status.error
    assert vm["power_state"] == "Running"
    assert vm["uuid"] == status.vm_uuid
    assert stack.rows("host")[vm["resident_on"]]["name_label"] == status.host
    assert not vm["is_a_template"]
    assert "disks" not in vm["other_config"]
    stack.assert_nothing_held()


def test_everything_that_is_asked_for_is_there(stack: Stack) -> None:
    vdi = next(row for row in stack.rows("VDI").values() if row["name_label"] == "tools.iso")
    status = stack.launch(
        vcpus=4,
        memory="3GiB",
        cpu_speed=500,
        limit_cpu_use=True,
        disks=[{"new": "10GiB", "sr": "sr-2"}, {"iso": "tools.iso"}, {"cd": "empty", "device": 7}],
        nics=[{"network": "guest", "mac": "02:16:3e:00:00:01", "mtu": 9000}, {"network": "guest"}],
        host="host-2",
    )

    vm = stack.vms()["web-1"]
    assert status.state == "succeeded", status.error
    assert (vm["VCPUs_max"], vm["VCPUs_at_startup"]) == (4, 4)
    assert [vm[f"memory_{name}"] for name in ("static_min", "dynamic_min", "static_max")] == (
        [3 * GIB] * 3
    )
    assert set(vm["VCPUs_params"]) == {"weight", "cap"}
    assert vm["actions_after_crash"] == "destroy"
    assert status.host == "host-2"
    assert stack.rows("host")[vm["affinity"]]["name_label"] == "host-2"

    drives = {
        row["userdevice"]: row for row in stack.rows("VBD").values() if row["VM"] in _refs(stack)
    }
    assert {device: row["type"] for device, row in drives.items()} == {
        "0": "Disk",
        "1": "Disk",
        "3": "CD",
        "7": "CD",
    }
    new = stack.rows("VDI")[drives["1"]["VDI"]]
    assert new["virtual_size"] == 10 * GIB
    assert stack.rows("SR")[new["SR"]]["name_label"] == "sr-2"
    assert (drives["1"]["mode"], drives["1"]["unpluggable"], drives["1"]["bootable"]) == (
        "RW",
        True,
        False,
    )
    assert stack.rows("VDI")[drives["3"]["VDI"]]["uuid"] == vdi["uuid"]
    assert drives["3"]["mode"] == "RO"
    assert drives["7"]["empty"]

    nics = {row["device"]: row for row in stack.rows("VIF").values() if row["VM"] in _refs(stack)}
    assert set(nics) == {"0", "1"}
    assert (nics["0"]["MAC"], nics["0"]["MTU"]) == ("02:16:3e:00:00:01", 9000)
    assert tuple(nics[device]["MAC"] for device in "01") == status.macs
    stack.assert_nothing_held()


def _refs(stack: Stack) -> set[str]:
    return {ref for ref, row in stack.rows("VM").items() if row["name_label"] == "web-1"}


@pytest.mark.parametrize("template", ["debian-12", "windows-2022", "centos-6-pv"])
def test_each_ready_made_template_launches(stack: Stack, template: str) -> None:
    status = stack.launch(template=template, wait_for="address")

    assert status.state == "succeeded", status.error
    assert len(status.addresses) >= 1


def test_a_guest_without_an_address_runs_all_the_same(make_stack: MakeStack) -> None:
    stack = make_stack("--latency", "guest.address=600")
    stack.start_worker()
    launch = stack.submit(wait_for="address", wait_seconds=1)[0]

    result = stack.client.result(launch, timeout=20)
    assert result.addresses == ()
    assert result.note == "running, no address: its guest tools are there, a lease is missing"
    assert stack.vms()["web-1"]["power_state"] == "Running"


def test_a_launch_costs_at_most_thirty_calls(stack: Stack) -> None:
    """Among fifty at once, and with every step having something to do.

    The long polls are not counted: the longer fifty launches take, the more there are of them.
    """

    def asked() -> int:
        return sum(call["method"] != "event.from" for call in stack.pool.calls())

    before = asked()
    launches = stack.submit(
        50,
        memory="1GiB",
        vcpus=1,
        disks=[{"new": "1GiB"}],
        nics=[{"network": "guest"}],
    )
    stack.ended(launches)

    assert (asked() - before) / 50 <= 30


def test_two_requests_with_one_token_are_one_launch(stack: Stack) -> None:
    from xenlaunch import LaunchRequest

    request = LaunchRequest(name="once", template="debian-12")
    first = stack.client.submit(request, token="order-4711")
    stack.ended([first.id])
    again = stack.client.submit(request, token="order-4711")

    assert again.id == first.id
    assert list(stack.vms()) == ["once"]


def test_a_host_that_refuses_is_avoided(stack: Stack) -> None:
    fault = {
        "method": "VM.start_on",
        "error": ["HOST_NOT_ENOUGH_FREE_MEMORY", "2147483648", "1048576"],
        "nth": 1,
    }
    stack.pool.faults(fault)
    launch = stack.submit()[0]
    status = stack.ended([launch])[0]

    refused = stack.ledger.record(launch).avoid
    assert status.state == "succeeded", status.error
    assert len(refused) == 1
    assert status.host != refused[next(iter(refused))].split(":")[0]
    stack.assert_nothing_held()


def test_a_busy_pool_is_asked_again(stack: Stack) -> None:
    stack.pool.faults({"method": "VM.clone", "error": ["TOO_MANY_PENDING_TASKS"], "times": 2})
    status = stack.launch()

    assert status.state == "succeeded", status.error
    assert list(stack.vms()) == ["web-1"]


def test_what_does_not_fit_now_waits(make_stack: MakeStack) -> None:
    """Four hosts of 128 GiB take four VMs of 100 GiB; the fifth says what it waits for."""
    stack = make_stack()
    stack.start_worker()
    launches = stack.submit(5, memory="100GiB")
    stack.ended(launches[:4])
    wait_until(
        lambda: "memory free" in stack.ledger.status(launches[4]).doing, 10, "the fifth says why"
    )

    stack.client.cancel(launches[4])
    assert stack.ended(launches[4:])[0].state == "cancelled"
