"""Disks over HTTP: what was uploaded is read back, also from a clone."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until

MIB = 1 << 20


@pytest.fixture
def sim(start_simulator: Any, tmp_path: Path) -> Any:
    users = [{"name": "reader", "password": "secret", "role": "read-only"}]
    file = tmp_path / "users.json"
    file.write_text(json.dumps(users))
    return start_simulator("--time-scale", "0", "--users", str(file))


@pytest.fixture
def session(sim: Any) -> str:
    return str(sim.login())


@pytest.fixture
def vdi(sim: Any, session: str) -> str:
    sr = sim.rpc("SR.get_by_name_label", session, "sr-1")["result"][0]
    given = {"name_label": "config", "SR": sr, "virtual_size": 4 * MIB, "type": "user",
             "sharable": False, "read_only": False, "other_config": {}}  # fmt: skip
    return str(sim.rpc("VDI.create", session, given)["result"])


def transfer(sim: Any, path: str, body: bytes | None = None, login: str = "") -> tuple[int, bytes]:
    headers = (
        {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    )
    method = "GET" if body is None else "PUT"
    request = urllib.request.Request(f"{sim.url}{path}", body, headers, method=method)  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - ours
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def upload(sim: Any, body: bytes, query: str, login: str = "") -> tuple[int, bytes]:
    return transfer(sim, f"/import_raw_vdi?format=raw&{query}", body, login)


def download(sim: Any, query: str) -> tuple[int, bytes]:
    return transfer(sim, f"/export_raw_vdi?format=raw&{query}")


def test_what_was_written_is_read_back_and_the_rest_is_zeros(
    sim: Any, session: str, vdi: str
) -> None:
    image = bytes(range(256)) * 4 * 1024 + b"end"
    asked = f"session_id={session}&vdi={vdi}"

    assert upload(sim, image, asked) == (200, b"")
    assert download(sim, asked) == (200, image + bytes(4 * MIB - len(image)))
    assert upload(sim, b"new", asked) == (200, b"")
    assert download(sim, asked)[1][:8] == b"new" + image[3:8]
    # Xen Orchestra writes the paths so.
    assert transfer(sim, f"/import_raw_vdi/?format=raw&{asked}", b"xo") == (200, b"")
    assert transfer(sim, f"/export_raw_vdi/?format=raw&{asked}")[1][:3] == b"xow"


def test_a_disk_is_named_by_its_uuid_too_and_a_clone_has_its_contents(
    sim: Any, session: str, vdi: str
) -> None:
    uuid = sim.rpc("VDI.get_uuid", session, vdi)["result"]
    assert upload(sim, b"seed", f"session_id={session}&vdi={uuid}")[0] == 200

    clone = sim.rpc("VDI.clone", session, vdi, {})["result"]
    assert upload(sim, b"weed", f"session_id={session}&vdi={vdi}")[0] == 200

    assert download(sim, f"session_id={session}&vdi={clone}")[1][:4] == b"seed"


def test_a_task_ends_as_the_transfer_does(sim: Any, session: str, vdi: str) -> None:
    good, bad = (sim.rpc("task.create", session, "up", "")["result"] for _ in range(2))
    upload(sim, b"x", f"session_id={session}&vdi={vdi}&task_id={good}")
    status, page = upload(sim, b"x", f"session_id={session}&vdi=none&task_id={bad}")

    assert (status, b"UUID_INVALID" in page) == (500, True)
    assert sim.rpc("task.get_status", session, good)["result"] == "success"
    assert sim.rpc("task.get_status", session, bad)["result"] == "failure"
    assert sim.rpc("task.get_error_info", session, bad)["result"] == ["UUID_INVALID", "VDI", "none"]


@pytest.mark.parametrize(
    ("query", "login", "status"),
    [
        ("session_id=none&", "", 401),
        ("", "", 401),
        ("", "root:wrong", 401),
        ("", "reader:secret", 403),
        ("", "root:xenroot", 200),
    ],
)
def test_who_may(sim: Any, vdi: str, query: str, login: str, status: int) -> None:
    assert upload(sim, b"x" * MIB, f"{query}vdi={vdi}", login)[0] == status


def test_too_much_for_the_disk_is_an_error(sim: Any, session: str, vdi: str) -> None:
    status, _ = upload(sim, bytes(5 * MIB), f"session_id={session}&vdi={vdi}")

    assert status == 500
    assert sim.rpc("VDI.get_all", session)["result"]


def test_a_full_sr_takes_no_more(sim: Any, session: str) -> None:
    sr = sim.rpc("SR.get_by_name_label", session, "sr-1")["result"][0]
    given = {"SR": sr, "virtual_size": 32 * MIB, "type": "user",
             "sharable": False, "read_only": False, "other_config": {}}  # fmt: skip
    vdi = sim.rpc("VDI.create", session, given)["result"]
    task = sim.rpc("task.create", session, "up", "")["result"]
    sim.control("POST", "/srs/sr-1/fill")
    used = sim.rpc("SR.get_physical_utilisation", session, sr)["result"]
    asked = f"session_id={session}&vdi={vdi}"

    status, page = upload(sim, b"x" * 16 * MIB, f"{asked}&task_id={task}")

    assert (status, b"VDI_IO_ERROR" in page) == (500, True)
    said = ["VDI_IO_ERROR", "Device I/O errors"]
    assert sim.rpc("task.get_error_info", session, task)["result"] == said
    assert sim.rpc("SR.get_physical_utilisation", session, sr)["result"] == used
    assert upload(sim, b"x" * MIB, asked)[0] == 200  # within what it has already
    sim.control("POST", "/srs/sr-1/empty")
    assert upload(sim, b"x" * 16 * MIB, asked)[0] == 200


def test_a_disk_in_use_and_one_that_is_read_only_are_not_written(sim: Any, session: str) -> None:
    iso = sim.rpc("VDI.get_by_name_label", session, "tools.iso")["result"][0]

    status, page = upload(sim, b"x", f"session_id={session}&vdi={iso}")

    assert (status, b"VDI_READONLY" in page) == (500, True)


@contextlib.contextmanager
def half_an_upload(sim: Any, query: str) -> Iterator[http.client.HTTPConnection]:
    """One that has sent one of two MiB, which have come."""
    line = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
    line.putrequest("PUT", f"/import_raw_vdi?format=raw&{query}")
    line.putheader("Content-Length", str(2 * MIB))
    line.putheader("Expect", "100-continue")
    line.endheaders(b"x" * MIB)
    try:
        yield line
    finally:
        line.close()


def refused(sim: Any, method: str, *args: Any) -> list[str]:
    error = sim.rpc(method, *args)["error"]
    return [error["message"], *error["data"]]


def test_a_disk_that_is_written_to_is_in_use(sim: Any, session: str, vdi: str) -> None:
    template = sim.rpc("VM.get_by_name_label", session, "Other install media")["result"][0]
    vm = sim.rpc("VM.clone", session, template, "web")["result"]
    sim.rpc("VM.provision", session, vm)
    device = {"VM": vm, "VDI": vdi, "userdevice": "0", "bootable": False, "mode": "RW",
              "type": "Disk", "empty": False, "other_config": {},
              "qos_algorithm_type": "", "qos_algorithm_params": {}}  # fmt: skip
    own = sim.rpc("VBD.create", session, device)["result"]
    asked = f"session_id={session}&vdi={vdi}"

    with half_an_upload(sim, asked) as line:
        wait_until(lambda: len(sim.rpc("VDI.get_VBDs", session, vdi)["result"]) == 2, timeout=10,
                   description="it has begun")  # fmt: skip
        (ours,) = set(sim.rpc("VDI.get_VBDs", session, vdi)["result"]) - {own}
        domain = sim.rpc("VBD.get_VM", session, ours)["result"]
        assert sim.rpc("VM.get_is_control_domain", session, domain)["result"] is True
        in_use = ["VDI_IN_USE", vdi]
        assert refused(sim, "VM.start", session, vm, False, False) == in_use
        assert refused(sim, "VDI.destroy", session, vdi) == [*in_use, "destroy"]
        assert upload(sim, b"y", asked)[0] == 500
        line.send(b"z" * MIB)
        answer = line.getresponse()
        assert (answer.status, answer.read()) == (200, b"")

    assert sim.rpc("VDI.get_VBDs", session, vdi)["result"] == [own]
    assert download(sim, asked)[1][MIB - 1 : MIB + 1] == b"xz"
    assert "error" not in sim.rpc("VM.start", session, vm, False, False)
    assert upload(sim, b"y", asked)[0] == 500  # now that VM writes to it


@pytest.mark.parametrize("how", ["hangs up", "sends too much"])
def test_an_upload_that_is_broken_off_leaves_the_disk_free(
    sim: Any, session: str, vdi: str, how: str
) -> None:
    task = sim.rpc("task.create", session, "up", "")["result"]
    if how == "sends too much":
        assert upload(sim, bytes(5 * MIB), f"session_id={session}&vdi={vdi}&task_id={task}")[0]
    else:
        with half_an_upload(sim, f"session_id={session}&vdi={vdi}&task_id={task}"):
            wait_until(lambda: sim.rpc("VDI.get_VBDs", session, vdi)["result"], timeout=10,
                       description="it has begun")  # fmt: skip

    wait_until(lambda: not sim.rpc("VDI.get_VBDs", session, vdi)["result"], timeout=10,
               description="the disk is free")  # fmt: skip
    assert sim.rpc("task.get_status", session, task)["result"] == "failure"
    assert "error" not in sim.rpc("VDI.destroy", session, vdi)


def test_a_task_that_has_ended_or_is_not_the_users_is_left_alone(
    start_simulator: Any, tmp_path: Path
) -> None:
    users = [{"name": "maker", "password": "secret", "role": "vm-admin"}]
    file = tmp_path / "users.json"
    file.write_text(json.dumps(users))
    sim = start_simulator("--time-scale", "0", "--users", str(file))
    session = sim.login()
    theirs = sim.rpc("session.login_with_password", "maker", "secret")["result"]
    pending, ended, mine = (
        sim.rpc("task.create", one, "up", "")["result"] for one in (session, session, theirs)
    )
    sim.rpc("task.set_status", session, ended, "success")

    assert upload(sim, b"x", f"session_id=none&vdi=none&task_id={pending}")[0] == 401
    assert upload(sim, b"x", f"vdi=none&task_id={pending}", "maker:secret")[0] == 500
    assert upload(sim, b"x", f"session_id={session}&vdi=none&task_id={ended}")[0] == 500
    assert upload(sim, b"x", f"vdi=none&task_id={mine}", "maker:secret")[0] == 500

    statuses = [
        sim.rpc("task.get_status", session, one)["result"] for one in (pending, ended, mine)
    ]
    assert statuses == ["pending", "success", "failure"]
