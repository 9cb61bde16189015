"""Flower and our page in it, as programs ask for them: what is shown, and what never is."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.support.flowers import API, FlowerProcess, holding, run_flower
from tests.support.stacks import Stack
from tests.support.waiting import wait_until
from workers.embedded import LOOPBACK
from xenlaunch import LaunchRequest


@pytest.fixture
def slow(make_stack: MakeStack) -> Stack:
    """A pool on which a start takes minutes, so that launches can be looked at on their way."""
    stack = make_stack("--latency", "VM.start=3000", time_scale=0.1)
    stack.start_worker()
    return stack


@pytest.fixture
def flower(stack: Stack, tmp_path: Path) -> Iterator[FlowerProcess]:
    with run_flower(stack.url, tmp_path) as process:
        process.await_events()
        yield process


def xsrf(flower: FlowerProcess) -> tuple[str, str]:
    """The cookie and the token of a page that was loaded."""
    status, page, headers = flower.ask("/launches")
    assert status == 200, page
    cookie = headers["Set-Cookie"].partition(";")[0]
    return cookie, page.partition('data-xsrf="')[2].partition('"')[0]


def test_the_page_shows_batches_launches_and_why_one_failed(
    stack: Stack, flower: FlowerProcess
) -> None:
    batch = stack.client.submit_batch(LaunchRequest(name="web", template="debian-12"), 3)
    list(stack.client.watch(batch.id, 60))
    failed = stack.launch(name="lost", disks=[{"vdi": "6a7c0000-0000-0000-0000-000000000000"}])

    everything = flower.read(f"{API}/overview")
    assert everything["counts"]["succeeded"] == 3
    assert everything["batches"][0]["id"] == batch.id
    assert everything["batches"][0]["states"]["succeeded"] == 3
    assert {one["name"] for one in everything["launches"]} == {
        "web-001", "web-002", "web-003", "lost-1",
    }  # fmt: skip
    assert [one["id"] for one in flower.read(f"{API}/overview?state=failed")["launches"]] == [
        failed.id
    ]
    of_batch = flower.read(f"{API}/overview?batch={batch.id}&state=succeeded")
    assert (of_batch["total"], len(of_batch["launches"])) == (3, 3)

    one = flower.read(f"{API}/launch/{failed.id}")
    assert one["error"]["code"] == "VDI_NOT_FOUND"
    assert "6a7c0000" in one["error"]["message"]
    assert [span["step"] for span in one["spans"]] == ["line", "connect", "undo"]
    assert (one["cancel"], one["ahead"], one["made"]) == ("ended", [], [])
    good = flower.read(f"{API}/launch/{batch.launches[0]}")
    assert [span["step"] for span in good["spans"]] == [
        "line", "connect", "clone", "vbds", "vifs", "network", "start", "poll",
    ]  # fmt: skip
    assert {"the clone", "the VM to start"} <= {
        wait["what"] for span in good["spans"] for wait in span["waits"]
    }
    assert ("VM", good["vm_uuid"]) in {(fact["cls"], fact["uuid"]) for fact in good["made"]}


def test_what_the_page_shows_survives_a_restart_of_flower(
    stack: Stack, flower: FlowerProcess
) -> None:
    launch = stack.launch().id
    before = flower.read(f"{API}/launch/{launch}")
    flower.stop()
    flower.child.start(timeout=60)

    after = flower.read(f"{API}/launch/{launch}")
    assert {**before, "now": 0} == {**after, "now": 0}


def test_the_stream_of_events_names_what_changes(stack: Stack, flower: FlowerProcess) -> None:
    with socket.create_connection((LOOPBACK, flower.port), 20) as line:
        token = flower.basic()
        request = f"GET {API}/events HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
        line.sendall(request.encode())
        heard = line.recv(4096).decode()
        launch = stack.submit()[0]
        while launch not in heard:
            heard += line.recv(4096).decode()

    assert "text/event-stream" in heard
    assert json.loads(heard.rpartition("data: ")[2].partition("\n")[0])


def test_a_launch_is_cancelled_by_a_worker(slow: Stack, tmp_path: Path) -> None:
    with run_flower(slow.url, tmp_path) as flower:
        launch = slow.submit()[0]
        slow.until(launch, "start", "VM to start")
        assert flower.read(f"{API}/launch/{launch}")["cancel"] == "possible"
        cookie, token = xsrf(flower)
        sent = flower.ask(
            f"{API}/cancel/{launch}", "POST", headers={"Cookie": cookie, "X-XSRFToken": token}
        )

        assert sent[0] == 202, sent
        assert [one.state for one in slow.ended([launch], 60)] == ["cancelled"]
        shown = flower.read(f"{API}/launch/{launch}")
        assert shown["error"]["message"] == "Cancelled in Flower."
        again = flower.ask(
            f"{API}/cancel/{launch}", "POST", headers={"Cookie": cookie, "X-XSRFToken": token}
        )
        assert (again[0], json.loads(again[1])["message"]) == (409, "The launch has ended already.")


def test_who_may_not_is_refused(stack: Stack, flower: FlowerProcess) -> None:
    launch = stack.launch().id
    cancel = f"{API}/cancel/{launch}"
    cookie, token = xsrf(flower)
    both = {"Cookie": cookie, "X-XSRFToken": token}

    assert flower.ask(cancel, "POST")[0] == 403
    assert flower.ask(cancel, "POST", headers={"Cookie": cookie})[0] == 403
    assert flower.ask(cancel, "POST", headers={**both, "Sec-Fetch-Site": "cross-site"})[0] == 403
    assert flower.ask(cancel, "POST", headers={**both, "Origin": "http://elsewhere"})[0] == 403
    assert flower.ask(cancel, "GET", headers=both)[0] == 405
    addresses = ("/launches", f"/launches/{launch}", f"{API}/overview", f"{API}/launch/{launch}")
    for path in (*addresses, f"{API}/events", "/api/tasks", "/"):
        assert flower.ask(path, password=None)[0] == 401, path
        assert flower.ask(path, password="wrong")[0] == 401, path
    assert flower.ask(cancel, "POST", password=None, headers=both)[0] == 401
    assert flower.ask(f"{API}/launch/l-{'a' * 16}")[0] == 404
    assert flower.ask(f"{API}/overview?state=odd")[0] == 400
    sent = flower.ask("/api/task/send-task/xenlaunch.undo", "POST")
    assert sent[0] == 403, "Flower is read-only"


def test_rows_say_which_vm_and_states_of_ours_are_seen(slow: Stack, tmp_path: Path) -> None:
    with run_flower(slow.url, tmp_path) as flower:
        flower.await_events()
        launch = slow.submit(name="seen")[0]
        slow.until(launch, "start", "VM to start")

        def row() -> Any:
            return flower.read("/api/tasks?limit=1000").get(f"{launch}.start")

        wait_until(lambda: row() and row()["state"] == "WAITING", 20, "Flower sees it wait")
        assert row()["args"] == f"({launch}, seen-1, lab)"
        slow.client.cancel(launch)
        slow.ended([launch], 60)


def test_the_api_gives_the_result_of_a_launch(stack: Stack, flower: FlowerProcess) -> None:
    good, failed = stack.launch(), stack.launch(name="lost", template="no-such-template")

    read = flower.read(f"/api/task/result/{good.id}.poll")
    assert (read["state"], read["result"]["vm_uuid"]) == ("SUCCESS", good.vm_uuid)
    read = flower.read(f"/api/task/result/{failed.id}.poll")
    assert failed.error
    assert (read["state"], failed.error.message in read["result"]) == ("FAILURE", True)


def test_no_secret_is_on_a_page_in_an_answer_or_in_a_log(
    stack: Stack, flower: FlowerProcess, tmp_path: Path
) -> None:
    batch = stack.client.submit_batch(LaunchRequest(name="web", template="debian-12"), 2)
    list(stack.client.watch(batch.id, 60))
    failed = stack.launch(name="lost", template="no-such-template").id
    wait_until(lambda: len(flower.read("/api/tasks")) >= 16, 20, "Flower has heard of all")
    secrets = {"the pool's": stack.pool.password, "Flower's": flower.password}
    tasks = [*(f"{launch}.poll" for launch in batch.launches), f"{failed}.connect"]

    seen = flower.ask_everything([*batch.launches, failed], tasks)
    logs = {path.name: path.read_text() for path in tmp_path.glob("*.log")}
    assert {"flower.log", "worker-0.log"} <= set(logs)
    assert {path: answer for path, answer in seen.items() if answer[0] != 200} == {}
    assert holding(secrets, {**logs, **seen}) == []
