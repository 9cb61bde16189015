"""What a launch waits for, and what it says when that does not come."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

NO_TOOLS = {"pretended-guest": "no-tools"}
NO_LEASE = {"pretended-guest": "no-lease"}
IPV6 = {"pretended-guest": "ipv6"}
LOOPBACK = "127.0.0.0/8"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port of this machine that is bound, and takes no connection until it is listened at."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def at_home(stack: Stack) -> None:
    """Have the guests of debian-12 tell of the loopback address, where a test can listen."""
    for ref, row in stack.rows("VM").items():
        if row["name_label"] == "debian-12":
            stack.call("VM.add_to_xenstore_data", ref, "vm-data/networks/0/ip", "127.0.0.1")


def test_each_kind_is_waited_for_and_seen(make_stack: MakeStack) -> None:
    stack = make_stack("--latency", "guest.boot=600", "--latency", "guest.address=0.01")
    stack.start_worker()
    two = [{"network": "guest"}, {"network": "guest"}]
    cases: dict[str, dict[str, Any]] = {
        "waiting for its guest tools": {"wait_for": "agent"},
        "waiting for its address": {"wait_for": "address"},
        "waiting for its IPv4 address in 10.0.0.0/8 on NIC 1": {
            "nics": two,
            "wait_for": {"nic": 1, "family": "ipv4", "cidr": "10.0.0.0/8"},
        },
        "waiting for its IPv6 address": {"other_config": IPV6, "wait_for": {"family": "ipv6"}},
    }
    launches = [
        stack.submit(name=f"case{number}", wait_seconds=600, **fields)[0]
        for number, fields in enumerate(cases.values())
    ]
    wait_until(
        lambda: [status.doing for status in stack.statuses(launches)] == list(cases),
        30,
        "each says what it waits for",
    )
    stack.pool.control("PUT", "/latency", {"guest.boot": 0.01})
    for vm in stack.vms().values():
        # The guest that boots for so long is booted anew.
        stack.call("VM.hard_reboot", stack.call("VM.get_by_uuid", vm["uuid"]))
    agent, plain, second, sixth = stack.ended(launches)

    assert {status.state for status in (agent, plain, second, sixth)} == {"succeeded"}
    assert {status.note for status in (agent, plain, second, sixth)} == {""}
    assert len(plain.addresses) == 1
    vifs = {row["MAC"]: row for row in stack.rows("VIF").values()}
    assert vifs[second.macs[1]]["device"] == "1"
    assert second.addresses[0].startswith("10.")
    assert sixth.addresses[0].startswith("fd0a:")
    stack.assert_nothing_held()


def test_the_address_that_was_waited_for_comes_first(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.start_worker()
    fields = {"nics": [{"network": "guest"}, {"network": "guest"}], "other_config": IPV6}
    any_ = stack.launch(name="any", wait_for="address", **fields)
    one = stack.launch(name="one", wait_for={"nic": 1, "family": "ipv6"}, **fields)

    assert [address[:3] for address in any_.addresses] == ["10.", "fd0", "10.", "fd0"]
    told = stack.rows("VM_guest_metrics")
    [metrics] = [row for row in told.values() if one.addresses[0] in row["networks"].values()]
    assert metrics["networks"]["1/ipv6/1"] == one.addresses[0]
    assert len(one.addresses) == 4


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"wait_for": "agent", "other_config": NO_TOOLS}, "running, no guest tools"),
        (
            {"wait_for": "address", "other_config": NO_TOOLS},
            "running, no address: its guest tools are not there, or have told nothing yet",
        ),
        (
            {"wait_for": {"port": 22}, "other_config": NO_LEASE},
            "running, no address: its guest tools are there, a lease is missing",
        ),
        # What the guest of the template once told, its address included, is not the clone's word.
        (
            {"template": "windows-2022", "wait_for": "agent", "other_config": NO_TOOLS},
            "running, no guest tools",
        ),
        (
            {"template": "windows-2022", "wait_for": "address", "other_config": NO_LEASE},
            "running, no address: its guest tools are there, a lease is missing",
        ),
        (
            {"wait_for": {"family": "ipv6"}},
            "running, no address (its IPv6 address): its guest tools are there, a lease is missing",
        ),
    ],
)
def test_what_does_not_come_in_time_is_named(
    stack: Stack, fields: dict[str, Any], note: str
) -> None:
    [launch] = stack.submit(wait_seconds=1, **fields)
    [status] = stack.ended([launch])

    assert (status.state, status.note) == ("succeeded", note)
    assert stack.client.result(launch, timeout=20).note == note
    stack.assert_nothing_held()


def test_a_port_that_opens_later_is_waited_for(stack: Stack, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    at_home(stack)
    [launch] = stack.submit(wait_for={"cidr": LOOPBACK, "port": port}, wait_seconds=60)
    stack.until(launch, "poll", f"port {port} of 127.0.0.1 to open")
    listener.listen()
    [status] = stack.ended([launch])

    assert (status.state, status.note) == ("succeeded", "")
    assert status.addresses == ("127.0.0.1",)
    stack.assert_nothing_held()


def test_a_port_that_stays_closed_is_named(stack: Stack, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    at_home(stack)
    [launch] = stack.submit(wait_for={"cidr": LOOPBACK, "port": port}, wait_seconds=1)
    [status] = stack.ended([launch])

    assert (status.state, status.note) == (
        "succeeded",
        f"running, port {port} of 127.0.0.1 not open",
    )


def test_who_waits_for_a_port_can_be_cancelled(stack: Stack, listener: socket.socket) -> None:
    before = stack.lasting()
    port = listener.getsockname()[1]
    at_home(stack)
    template = {
        ref: row for ref, row in stack.rows("VM").items() if row["name_label"] == "debian-12"
    }
    [launch] = stack.submit(wait_for={"cidr": LOOPBACK, "port": port}, wait_seconds=600)
    stack.until(launch, "poll", f"port {port}")
    stack.client.cancel(launch)
    [status] = stack.ended([launch])

    assert status.state == "cancelled"
    after = stack.lasting()
    for ref in template:
        after["VM"][ref] = before["VM"][ref]
    assert after == before
