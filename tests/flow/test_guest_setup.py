"""What the guest is told: on its drive, in no other place, and gone when it is to go."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.flow.conftest import MakeStack
from tests.flow.test_ends import dump
from tests.support.guest_drives import exported, files_of, label_of
from tests.support.stacks import Stack
from tests.support.waiting import wait_until
from xenlaunch import LaunchRequest
from xenlaunch.errors import LaunchFailed, TokenReused, TooLate
from xenlaunch.model import LaunchStatus

CANARY = "canary-7f3k"
TOLD: dict[str, Any] = {
    "user_data": f"#cloud-config\npassword: {CANARY}\n",
    "meta_data": {"secret": CANARY},
    "network_config": {"version": 2, "wifis": CANARY},
    "xenstore_data": {"secret": CANARY},
}


def drive_of(stack: Stack, name: str) -> bytes:
    [vdi] = [row for row in stack.rows("VDI").values() if row["name_label"] == f"{name} set-up"]
    return exported(stack.pool, vdi["uuid"])


def drives_left(stack: Stack) -> list[str]:
    names = (str(row["name_label"]) for row in stack.rows("VDI").values())
    return sorted(name for name in names if name.endswith(" set-up"))


# What is on the drive


def test_each_of_a_batch_is_told_its_own(stack: Stack, tmp_path: Path) -> None:
    text = "#!/bin/sh\necho {index} {name} {mac} ${name} {{name}} {mac:1} {other} {mac}\n"
    request = LaunchRequest.parse(
        {
            "name": "web",
            "template": "debian-12",
            "nics": [{"network": "guest"}, {"network": "guest"}],
            "guest": {
                "user_data": text,
                "meta_data": {"role": ["number {index}", 7], "{name}": True},
                "network_config": {"version": 2, "macs": {"second": "{mac:1}"}},
            },
        }
    )
    batch = stack.client.submit_batch(request, 3, name="web-{:02}")
    ended = stack.ended(list(batch.launches))

    assert [status.state for status in ended] == ["succeeded"] * 3, ended
    for index, status in enumerate(ended, 1):
        image = drive_of(stack, status.name)
        first, second = status.macs
        files = files_of(image)
        assert label_of(image, tmp_path) == "cidata"
        assert files["user-data"] == (
            f"#!/bin/sh\necho {index} {status.name} {first} ${{name}} {{{{name}}}} {second} "
            f"{{other}} {first}\n"
        )
        assert json.loads(files["meta-data"]) == {
            "instance-id": status.id,
            "local-hostname": status.name,
            "role": [f"number {index}", 7],
            "{name}": True,
        }
        assert json.loads(files["network-config"]) == {"version": 2, "macs": {"second": second}}


def test_a_config_drive(stack: Stack, tmp_path: Path) -> None:
    guest = {
        "user_data": {"packages": ["nginx"], "name": "{name}"},
        "meta_data": {"uuid": "mine"},
        "network_config": {"links": [{"ethernet_mac_address": "{mac}"}]},
        "drive": "configdrive",
    }
    status = stack.launch(name="web (blue)", guest=guest)
    image = drive_of(stack, status.name)
    files = {path.removeprefix("openstack/latest/"): text for path, text in files_of(image).items()}

    assert label_of(image, tmp_path) == "config-2"
    assert json.loads(files["meta_data.json"]) == {
        "uuid": "mine",
        "name": "web (blue)-1",
        "hostname": "web-blue-1",
    }
    head, _, rest = files["user_data"].partition("\n")
    assert head == "#cloud-config"
    assert json.loads(rest) == {"packages": ["nginx"], "name": "web (blue)-1"}
    [mac] = status.macs
    assert json.loads(files["network_data.json"]) == {"links": [{"ethernet_mac_address": mac}]}


def test_what_is_not_to_be_filled_in_is_not(stack: Stack) -> None:
    status = stack.launch(guest={"user_data": "{name} {mac:9}", "fill": False})

    assert files_of(drive_of(stack, status.name))["user-data"] == "{name} {mac:9}"


def test_the_largest_document_fits(stack: Stack) -> None:
    large = "ß" * 65_536
    status = stack.launch(guest={"user_data": large, "network_config": "ü" * 65_536})

    assert files_of(drive_of(stack, status.name))["user-data"] == large


def test_what_does_not_fit_with_its_words_filled_in_is_refused(stack: Stack) -> None:
    status = stack.launch(name="ü" * 200, guest={"user_data": "{name}" * 10_900})

    assert status.error is not None
    assert (status.state, status.error.code) == ("failed", "SETUP_TOO_LARGE")
    assert stack.changing_calls() == []


def test_a_mac_is_told_by_the_device_of_its_nic(stack: Stack) -> None:
    nics = [{"network": "guest", "device": 2}, {"network": "guest", "device": 1}]
    status = stack.launch(nics=nics, guest={"user_data": "{mac} {mac:1} {mac:2} {mac:02}"})

    first, second = status.macs  # by device
    told = files_of(drive_of(stack, status.name))["user-data"]
    assert told == f"{first} {first} {second} {{mac:02}}"


# When it goes


def test_a_drive_goes_when_its_guest_has_an_address_and_not_before(make_stack: MakeStack) -> None:
    stack = make_stack("--latency", "guest.boot=0.01", "--latency", "guest.address=600")
    stack.start_worker()
    guest = {"user_data": "x", "remove_after": "address"}
    [launch] = stack.submit(guest=guest, wait_for="agent", wait_seconds=600)
    stack.until(launch, "poll", "waiting for its address")
    assert drives_left(stack) == ["web-1 set-up"]
    stack.pool.control("PUT", "/latency", {"guest.address": 0.01})
    stack.call("VM.hard_reboot", next(iter(stack.call("VM.get_by_name_label", working(stack)))))
    [status] = stack.ended([launch])

    assert (status.state, status.leftovers) == ("succeeded", ())
    assert drives_left(stack) == []
    assert [row["userdevice"] for row in vbds_of(stack, status)] == ["0"]
    stack.assert_nothing_held()


def working(stack: Stack) -> str:
    [name] = stack.vms()
    return name


def vbds_of(stack: Stack, status: LaunchStatus) -> list[Any]:
    [vm] = [ref for ref, row in stack.rows("VM").items() if row["uuid"] == status.vm_uuid]
    return [row for row in stack.rows("VBD").values() if row["VM"] == vm]


@pytest.mark.parametrize(
    ("fields", "rule", "said"),
    [
        (
            {"other_config": {"pretended-guest": "no-tools"}},
            {},
            "its guest has not told that it is up",
        ),
        ({}, {"method": "VBD.unplug", "error": ["DEVICE_DETACH_REJECTED", "VBD", "x", "busy"]},
         "The guest keeps the VBD x"),
    ],
)  # fmt: skip
def test_a_drive_that_cannot_go_is_named_and_swept_once_no_vm_has_it(
    make_stack: MakeStack, fields: dict[str, Any], rule: dict[str, Any], said: str
) -> None:
    stack = make_stack()
    stack.start_worker()
    if rule:
        stack.pool.faults(rule)
    guest = {"user_data": "x", "remove_after": "agent"}
    [launch] = stack.submit(guest=guest, wait_seconds=1, **fields)
    [status] = stack.ended([launch])
    [left] = status.leftovers
    [row] = [row for row in stack.rows("VDI").values() if row["uuid"] == left.uuid]

    assert status.state == "succeeded"
    assert said in left.advice
    assert row["name_label"] == "web-1 set-up"
    assert stack.client.result(launch).leftovers == (left,)
    vm = stack.call("VM.get_by_uuid", status.vm_uuid)
    [vbd] = [vbd for vbd in stack.call("VM.get_VBDs", vm)
             if stack.call("VBD.get_userdevice", vbd) == "1"]  # fmt: skip
    stack.call("VM.hard_shutdown", vm)
    stack.call("VBD.destroy", vbd)
    wait_until(lambda: drives_left(stack) == [], 90, "the drive that nobody has is swept")


def test_a_worker_that_dies_while_a_drive_goes(make_stack: MakeStack) -> None:
    stack = make_stack("--latency", "VBD.plug=2")
    doomed = stack.start_worker()
    [launch] = stack.submit(guest={"user_data": "x", "remove_after": "agent"})
    stack.until(launch, "poll", "let go of its set-up drive")
    doomed.kill()
    stack.pool.control("PUT", "/latency", {"VBD.plug": 0})
    stack.start_worker()
    [status] = stack.ended([launch], 90)

    assert (status.state, status.leftovers) == ("succeeded", ())
    assert drives_left(stack) == []


# Where it lies


def holders(stack: Stack) -> list[str]:
    """The keys of Redis that hold what the guest is told."""
    with redis.Redis.from_url(stack.url) as client:
        found = [key for key in client.scan_iter() if CANARY.encode() in dump(client, key)]
    return [key.decode() for key in found]


def said(stack: Stack, launch: str) -> str:
    """All that anybody is told of a launch."""
    status = stack.client.status(launch)
    logs = "\n".join(worker.log() for worker in stack.workers)
    return f"{status!r} {status.model_dump_json()} {logs}"


def test_what_a_guest_is_told_lies_in_the_record_alone_and_goes_with_the_end(
    make_stack: MakeStack,
) -> None:
    stack = make_stack()
    stack.pool.control("PUT", "/latency", {"guest.boot": 600})
    stack.start_worker("--loglevel", "debug")
    [launch] = stack.submit(guest=TOLD, wait_for="agent", wait_seconds=600)
    stack.until(launch, "poll", "waiting for its guest tools")
    assert CANARY in files_of(drive_of(stack, "web-1"))["user-data"]
    assert holders(stack) == [stack.ledger.store.key("launch", launch)]
    assert CANARY not in said(stack, launch)
    planned = stack.client.plan(LaunchRequest.parse(
        {"name": "planned", "template": "debian-12", "guest": TOLD}))  # fmt: skip
    assert "PUT /import_raw_vdi" in planned["calls"]
    assert "VM.set_xenstore_data" in planned["calls"]
    assert CANARY not in str(planned)
    assert holders(stack) == [stack.ledger.store.key("launch", launch)]
    stack.client.cancel(launch)
    assert stack.ended([launch])[0].state == "cancelled"

    assert holders(stack) == []
    assert CANARY not in said(stack, launch)
    assert drives_left(stack) == []


def to_end(stack: Stack, end: str) -> dict[str, Any]:
    """The request that ends so, on a pool that was made to."""
    fields: dict[str, Any] = {"name": "web", "template": "debian-12", "guest": TOLD}
    if end == "failed":
        stack.pool.faults({"method": "VM.start_on", "error": ["BOOTLOADER_FAILED", "vm", "x"]})
    if end == "refused":
        fields["guest"] = {**TOLD, "sr": "sr-9"}
    if end == "cancelled in the line":
        fields |= {"host": "host-1", "pin": True}
        host = stack.call("host.get_by_name_label", "host-1")[0]
        stack.call("host.disable", host)
    return fields


@pytest.mark.parametrize("end", ["succeeded", "failed", "refused", "cancelled in the line"])
def test_after_each_end_nothing_holds_it_and_a_repeat_is_known(
    make_stack: MakeStack, end: str
) -> None:
    stack = make_stack()
    fields = to_end(stack, end)
    stack.start_worker("--loglevel", "debug")
    request = LaunchRequest.parse(fields)
    launch = stack.client.submit(request, token="once").id
    if end == "cancelled in the line":
        wait_until(lambda: "host-1" in stack.client.status(launch).doing, 20, "it waits")
        stack.client.cancel(launch)
    [status] = stack.ended([launch])

    assert status.state == end.partition(" ")[0].replace("refused", "failed")
    assert holders(stack) == []
    assert CANARY not in said(stack, launch)
    assert stack.client.submit(request, token="once").id == launch
    assert holders(stack) == []
    other = {**fields, "guest": {**fields["guest"], "user_data": "another"}}
    with pytest.raises(TokenReused):
        stack.client.submit(LaunchRequest.parse(other), token="once")
    if status.state == "failed":
        with pytest.raises(LaunchFailed) as failed:
            stack.client.result(launch)
        assert CANARY not in str(failed.value)
        with pytest.raises(TooLate, match="submit the request under another token"):
            stack.client.retry(launch)
