"""Disks over HTTP: what was uploaded is read back, also from a clone."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

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
