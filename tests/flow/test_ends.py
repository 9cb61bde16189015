"""However a launch ends, whoever asked for it hears of it, and no secret is in what is said."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from celery.result import AsyncResult

from tests.flow.conftest import MakeStack
from tests.support.stacks import Stack
from tests.support.waiting import wait_until
from xenlaunch import LaunchRequest
from xenlaunch.errors import LaunchCancelled, LaunchFailed

MISSING = [
    ({"template": "debian-99"}, "TEMPLATE_NOT_FOUND"),
    ({"nics": [{"network": "nowhere"}]}, "NETWORK_NOT_FOUND"),
    ({"disks": [{"new": "1GiB", "sr": "sr-99"}]}, "SR_NOT_FOUND"),
    ({"disks": [{"vdi": "1d0cc600-0000-0000-0000-000000000000"}]}, "VDI_NOT_FOUND"),
    ({"disks": [{"iso": "missing.iso"}]}, "ISO_NOT_FOUND"),
    ({"host": "host-99"}, "HOST_NOT_FOUND"),
    ({"pool": "attic"}, "POOL_NOT_FOUND"),
    ({"memory": "1TiB"}, "CANNOT_FIT"),
    ({"pv_args": "quiet"}, "PV_ARGS_ON_HVM"),
]


def last(stack: Stack, launch: str) -> "AsyncResult[object]":
    result: AsyncResult[object] = AsyncResult(f"{launch}.poll", app=stack.client.celery_app)
    return result


def test_a_launch_that_succeeds_is_heard_of(stack: Stack) -> None:
    launch = stack.submit()[0]
    result = last(stack, launch).get(timeout=30)

    assert isinstance(result, dict)
    assert result["vm_uuid"] == stack.vms()["web-1"]["uuid"]


def test_a_launch_that_fails_is_heard_of(stack: Stack) -> None:
    stack.pool.faults({"method": "VM.start_on", "error": ["BOOTLOADER_FAILED", "vm", "no kernel"]})
    launch = stack.submit()[0]

    with pytest.raises(LaunchFailed, match="no kernel") as failure:
        last(stack, launch).get(timeout=30)
    assert failure.value.code == "BOOTLOADER_FAILED"


def test_a_launch_that_is_cancelled_is_heard_of(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.start_worker()
    stack.pool.faults({"method": "VM.start_on", "action": "delay", "seconds": 2, "times": 1})
    launch = stack.submit()[0]
    stack.until(launch, "start", "the VM to start")
    stack.client.cancel(launch)

    with pytest.raises(LaunchCancelled):
        last(stack, launch).get(timeout=30)


@pytest.mark.parametrize(("fields", "code"), MISSING)
def test_a_launch_that_is_refused_is_heard_of_and_changes_nothing(
    stack: Stack, fields: dict[str, Any], code: str
) -> None:
    launch = stack.submit(**fields)[0]

    with pytest.raises(LaunchFailed) as failure:
        last(stack, launch).get(timeout=30)
    assert failure.value.code == code
    assert len(str(failure.value)) > 20
    assert stack.changing_calls() == []
    stack.assert_nothing_held()


def test_a_name_that_fits_several_is_refused_with_their_uuids(stack: Stack) -> None:
    state = stack.pool.state()
    template = next(row for row in state["VM"].values() if row["name_label"] == "windows-2022")
    template["name_label"] = "debian-12"
    stack.pool.put_state(state)
    stack.pool.control("DELETE", "/calls")
    request = LaunchRequest(name="web-1", template="debian-12")
    wait_until(
        lambda: (stack.client.plan(request)["error"] or {}).get("code") == "TEMPLATE_AMBIGUOUS",
        20,
        "the worker has seen what the pool has now",
    )
    status = stack.launch()

    assert status.error is not None
    assert status.error.code == "TEMPLATE_AMBIGUOUS"
    assert template["uuid"] in status.error.message
    assert stack.changing_calls() == []


def test_a_mac_that_is_in_use_is_refused(stack: Stack) -> None:
    nics = [{"network": "guest", "mac": "02:16:3e:00:00:01"}]
    first = stack.launch(name="first", nics=nics)
    before = len(stack.changing_calls())
    second = stack.launch(name="second", nics=nics)

    assert first.state == "succeeded", first.error
    assert second.error is not None
    assert second.error.code == "MAC_IN_USE"
    assert "first-1" in second.error.message
    assert len(stack.changing_calls()) == before


def test_two_launches_at_once_cannot_have_one_mac(stack: Stack) -> None:
    nics = [{"network": "guest", "mac": "02:16:3e:00:00:02"}]
    launches = [stack.submit(name=name, nics=nics)[0] for name in ("first", "second")]
    ended = stack.ended(launches)

    assert sorted(status.state for status in ended) == ["failed", "succeeded"]


def test_many_launches_at_once_cannot_write_to_one_disk(stack: Stack) -> None:
    disk = {"name_label": "ledger", "name_description": "", "virtual_size": "1073741824"}
    kind = {"type": "user", "sharable": False, "read_only": False, "other_config": {}}
    sr = next(ref for ref, row in stack.rows("SR").items() if row["name_label"] == "sr-1")
    ref = stack.call("VDI.create", {**disk, **kind, "SR": sr})
    uuid = stack.call("VDI.get_uuid", ref)
    stack.pool.control("PUT", "/latency", {"VDI.clone": 0.5})
    before = len(stack.changing_calls())
    ended = stack.ended(stack.submit(4, disks=[{"vdi": uuid}]))

    assert sorted(status.state for status in ended) == ["failed"] * 3 + ["succeeded"]
    assert {status.error.code for status in ended if status.error} == {"VDI_IN_USE"}
    clones = [one for one in stack.changing_calls()[before:] if one["method"] == "Async.VM.clone"]
    assert len(clones) == 1
    stack.assert_nothing_held()


def test_the_password_is_nowhere(stack: Stack, redis_url: str, tmp_path: Path) -> None:
    """Not in a key or a message, not in a log, a process list or an error."""
    stack.pool.faults({"method": "VM.start_on", "error": ["INTERNAL_ERROR", "x"], "nth": 1})
    stack.ended(stack.submit(3))
    stack.pool.control("POST", "/sessions/expire")
    stack.ended(stack.submit(3, name="again"))
    said = "\n".join(worker.log() for worker in stack.workers)
    password = stack.pool.password

    with redis.Redis.from_url(redis_url) as client:
        assert not [key for key in client.scan_iter() if password.encode() in dump(client, key)]
    assert password not in said
    processes = subprocess.run(["ps", "axww"], check=True, capture_output=True, text=True).stdout
    assert not [line for line in processes.splitlines() if password in line]
    refused = stack.pool.control("GET", "/calls")
    assert password not in str(refused)


def dump(client: "redis.Redis", key: bytes) -> bytes:
    """All that lies under a key, as text."""
    readers: dict[bytes, Callable[[], Any]] = {
        b"string": lambda: client.get(key),
        b"hash": lambda: client.hgetall(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1),
        b"stream": lambda: client.xrange(key),
        b"none": lambda: "",  # it went meanwhile
    }
    kind: Any = client.type(key)
    return key + str(readers[kind]()).encode()


def test_a_wrong_password_is_said_and_can_be_mended(make_stack: MakeStack, tmp_path: Path) -> None:
    """The launch waits and says why; nothing that is said holds the password."""
    stack = make_stack()
    stack.start_worker()
    (tmp_path / "lab.password").write_text("canary-in-the-coal-mine")
    stack.pool.control("POST", "/sessions/expire")
    launch = stack.submit()[0]
    wait_until(
        lambda: "password" in stack.ledger.status(launch).doing, 30, "the launch says why it waits"
    )

    said = "\n".join(worker.log() for worker in stack.workers)
    assert "canary" not in stack.ledger.status(launch).doing + said
    (tmp_path / "lab.password").write_text(stack.pool.password)
    assert stack.ended([launch])[0].state == "succeeded"
