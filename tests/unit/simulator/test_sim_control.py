"""The control port, the faults, and the command line: a simulator in its own process."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]


@pytest.fixture
def sim(start_simulator: Start) -> Any:
    return start_simulator("--time-scale", "0")


def wait_for(holds: Callable[[], Any], description: str) -> Any:
    pause, end = threading.Event(), time.monotonic() + 10
    while time.monotonic() < end:
        if found := holds():
            return found
        pause.wait(0.005)
    pytest.fail(f"never: {description}")


def test_the_call_log_says_who_did_what_and_hides_secrets(sim: Any) -> None:
    secret = "s3cret-guess"
    sim.rpc("session.login_with_password", "root", secret, "1", "me")
    session = sim.rpc("session.login_with_password", "root", "xenroot", "1", "me")["result"]
    vm = sim.rpc("VM.get_by_name_label", session, "debian-12")["result"][0]
    task = sim.rpc("Async.VM.clone", session, vm, "web")["result"]
    wait_for(
        lambda: sim.rpc("task.get_status", session, task)["result"] == "success", "the clone ends"
    )
    sim.rpc("VM.set_nonsense", session, vm)
    log = sim.control("GET", "/calls")

    outcomes = [(entry["method"], entry["outcome"]) for entry in log]
    assert outcomes[:4] == [
        ("session.login_with_password", "SESSION_AUTHENTICATION_FAILED"),
        ("session.login_with_password", "ok"),
        ("VM.get_by_name_label", "ok"),
        ("Async.VM.clone", "ok"),
    ]
    assert outcomes[-1] == ("VM.set_nonsense", "MESSAGE_METHOD_UNKNOWN")
    clone = log[3]
    assert (clone["object"], clone["args"], clone["task"]) == (vm, [vm, "web"], task)
    assert (clone["originator"], clone["changes"], clone["asynchronous"]) == ("me", True, True)
    assert clone["session_uuid"] == sim.rpc("session.get_uuid", session, session)["result"]
    assert clone["ended"] >= clone["started"] > 0
    text = repr(sim.control("GET", "/calls")) + repr(sim.control("GET", "/state"))
    assert secret not in text
    assert "xenroot" not in text
    assert session not in text

    changing = sim.control("GET", "/calls?changing=1")
    assert [entry["method"] for entry in changing] == ["Async.VM.clone"]
    assert sim.control("GET", f"/calls?since={clone['seq']}")[0]["seq"] == clone["seq"] + 1
    sim.control("DELETE", "/calls")
    assert sim.control("GET", "/calls") == []


def test_faults_by_number_by_object_and_by_action(sim: Any) -> None:
    session = sim.login()
    vms = sim.rpc("VM.get_by_name_label", session, "debian-12")["result"]
    error = ["SR_BACKEND_FAILURE_46", "", "not today", ""]
    sim.control("POST", "/faults", {"method": "VM.set_*", "nth": 2, "error": error})
    answers = [sim.rpc("VM.set_user_version", session, vms[0], n) for n in range(3)]
    assert [a.get("error", {}).get("message") for a in answers] == [None, error[0], None]

    sim.control("DELETE", "/faults")
    rule = {"method": "VM.clone", "object": vms[1], "error": ["TOO_MANY_PENDING_TASKS"]}
    sim.control("POST", "/faults", [{**rule, "action": "refuse"}])
    refused = sim.rpc("Async.VM.clone", session, vms[1], "web")
    assert refused["error"]["message"] == "TOO_MANY_PENDING_TASKS"
    assert sim.rpc("Async.VM.clone", session, vms[0], "web")["result"].startswith("OpaqueRef:")

    sim.control("DELETE", "/faults")
    sim.control("POST", "/faults", {**rule, "object": "debian-12"})
    task = sim.rpc("Async.VM.clone", session, vms[1], "web")["result"]
    record = wait_for(
        lambda: (
            (r := sim.rpc("task.get_record", session, task)["result"])["status"] == "failure" and r
        ),
        "the task fails",
    )
    assert record["error_info"] == ["TOO_MANY_PENDING_TASKS"]
    (rule_now,) = sim.control("GET", "/faults")
    assert (rule_now["matched"], rule_now["struck"]) == (1, 1)


def test_tasks_are_collected_at_once_when_asked(sim: Any) -> None:
    session = sim.login()
    for number in range(201):
        task = sim.rpc("task.create", session, f"task {number}", "")["result"]
        sim.rpc("task.set_status", session, task, "success")

    assert sim.control("POST", "/tasks/collect") == {"done": "0 tasks are left"}
    assert sim.rpc("task.get_all", session)["result"] == []


@pytest.mark.parametrize("method", ["VM.clone", "VDI.clone"])
def test_a_fault_strikes_what_bears_a_mark_and_what_is_part_of_it(sim: Any, method: str) -> None:
    session = sim.login()
    vm = sim.rpc("VM.get_by_name_label", session, "debian-12")["result"][0]
    sim.control("POST", "/faults", {"method": method, "mark": "mine/*", "error": ["TOO_BUSY"]})
    made = [
        sim.rpc("VM.clone", session, vm, mark, headers={"X-Http-Other-Config-whose": mark})
        for mark in ("yours/1", "mine/1")
    ]

    assert "result" in made[0]
    assert made[1]["error"]["message"] == "TOO_BUSY"


@pytest.mark.parametrize(("when", "versions"), [("before", 0), ("after", 7)])
def test_a_dropped_call_has_run_or_not(sim: Any, when: str, versions: int) -> None:
    session = sim.login()
    vm = sim.rpc("VM.get_by_name_label", session, "Other install media")["result"][0]
    sim.rpc("VM.set_user_version", session, vm, 0)
    sim.control(
        "POST", "/faults", {"method": "VM.set_user_version", "action": "drop", "when": when}
    )
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        sim.rpc("VM.set_user_version", session, vm, 7)
    assert sim.rpc("VM.get_user_version", session, vm)["result"] == versions


def test_restart_ends_sessions_and_keeps_objects(sim: Any) -> None:
    session = sim.login()
    vm = sim.rpc("VM.get_by_name_label", session, "debian-12")["result"][0]
    sim.control("POST", "/restart")
    answer = sim.rpc("VM.get_power_state", session, vm)
    assert answer["error"]["message"] == "SESSION_INVALID"
    assert sim.rpc("VM.get_power_state", sim.login(), vm)["result"] == "Halted"
    sim.control("POST", "/restart", {"seconds": 30})
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        sim.login()
    sim.control("POST", "/restart")
    session = sim.login()
    sim.control("POST", "/sessions/expire")
    assert sim.rpc("VM.get_all", session)["error"]["message"] == "SESSION_INVALID"


def test_hosts_die_srs_fill_and_latencies_are_set(sim: Any) -> None:
    session = sim.login()
    (host,) = sim.rpc("host.get_by_name_label", session, "host-2")["result"]
    sim.control("POST", "/hosts/host-2/kill")
    metrics = sim.rpc("host.get_metrics", session, host)["result"]
    assert sim.rpc("host_metrics.get_live", session, metrics)["result"] is False
    sim.control("POST", "/hosts/host-2/revive")
    assert sim.rpc("host_metrics.get_live", session, metrics)["result"] is True

    vm = sim.rpc("VM.get_by_name_label", session, "debian-12")["result"][0]
    sim.control("POST", "/srs/sr-1/fill")
    full = sim.rpc("VM.clone", session, vm, "web")["error"]
    assert full["message"] == "SR_BACKEND_FAILURE_44"
    sim.control("POST", "/srs/sr-1/empty")
    assert "result" in sim.rpc("VM.clone", session, vm, "web")

    assert sim.control("POST", "/srs/sr-1/slow", {"times": 5}) == {"done": "slow sr-1"}

    assert sim.control("PUT", "/latency", {"VM.start": 20})["VM.start"] == 20
    assert sim.control("PUT", "/latency", {"VM.start": None})["VM.start"] == 0


def test_a_state_is_read_and_loaded_again(sim: Any) -> None:
    session = sim.login()
    vm = sim.rpc("VM.get_by_name_label", session, "debian-12")["result"][0]
    sim.rpc("VM.clone", session, vm, "web")
    state = sim.control("GET", "/state")
    sim.rpc("VM.set_name_label", session, vm, "changed")
    sim.control("PUT", "/state", state)

    again = sim.control("GET", "/state")
    for one in (state, again):
        one.pop("session", None)
    assert again == state


def test_a_state_may_leave_out_what_follows_from_the_rest(sim: Any) -> None:
    vm = {"name_label": "web", "VBDs": ["gone"], "resident_on": "b", "memory_static_max": 2**30}
    state = {"pool": {"a": {"master": "b"}}, "host": {"b": {"name_label": "h"}}, "VM": {"c": vm}}

    sim.control("PUT", "/state", state)

    session = sim.login()
    assert sim.rpc("host.get_resident_VMs", session, "b")["result"] == ["c"]
    record = sim.rpc("VM.get_record", session, "c")["result"]
    assert (record["VBDs"], record["power_state"]) == ([], "Halted")


def test_a_state_is_the_same_in_any_order(sim: Any) -> None:
    followed = {"VM": ("VBDs", "VIFs"), "VDI": ("VBDs",), "SR": ("VDIs", "PBDs")}
    before = sim.control("GET", "/state")
    bare = {
        cls: {ref: {k: v for k, v in row.items() if k not in followed.get(cls, ())}
              for ref, row in rows.items()}
        for cls, rows in before.items()
    }  # fmt: skip
    for classes in (sorted(bare), sorted(bare, reverse=True)):
        sim.control("PUT", "/state", {cls: bare[cls] for cls in classes})

        after = sim.control("GET", "/state")
        for cls, fields in followed.items():
            for ref, row in before[cls].items():
                for field in fields:
                    assert sorted(after[cls][ref][field]) == sorted(row[field]), (cls, field)


@pytest.mark.parametrize(
    ("method", "path", "given"),
    [
        ("POST", "/faults", {"error": ["X"]}),
        ("POST", "/faults", {"method": "VM.clone"}),
        ("POST", "/faults", {"method": "VM.clone", "error": ["X"], "colour": 1}),
        ("POST", "/faults", {"method": "VM.*", "probability": "half", "error": ["X"]}),
        ("POST", "/faults", [{"method": "VM.*", "error": "ABC"}]),
        ("POST", "/restart", [1]),
        ("POST", "/restart", {"seconds": "inf"}),
        ("POST", "/restart", {"seconds": "soon"}),
        ("POST", "/restart", {"seconds": -1}),
        ("POST", "/restart", {"minutes": 1}),
        ("POST", "/srs/sr-1/slow", {"times": 0}),
        ("POST", "/srs/sr-1/slow", ["times"]),
        ("PUT", "/latency", {"VM.fly": 1}),
        ("PUT", "/latency", {"VM.start": "soon"}),
        ("PUT", "/latency", []),
        ("PUT", "/state", {}),
        ("PUT", "/state", {"pool": {"a": {}}, "host": {"b": {}}, "nothing": {}}),
        ("PUT", "/state", {"pool": {"a": {"master": "c"}}, "host": {"b": {}}}),
        ("PUT", "/state", {"pool": {"a": {"master": "b"}}, "host": {"b": {}}, "VM": []}),
        ("PUT", "/state", {"pool": {"a": {"master": "b"}}, "host": {"b": {}}, "VM": {"c": 1}}),
        ("PUT", "/state", {"pool": {"a": {"master": "b"}}, "host": {"b": {"enabled": "x"}}}),
        ("GET", "/calls?since=x", None),
        ("GET", "/nothing", None),
        ("POST", "/hosts/nobody/kill", None),
    ],
)
def test_a_wrong_request_to_the_control_port_is_told_so(
    shared_simulator: Any, method: str, path: str, given: Any
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        shared_simulator.control(method, path, given)
    with refused.value as answer:
        assert answer.code in {400, 404}
        assert b'{"error":"' in answer.read()


def test_sigterm_ends_it_at_once_with_200_listeners(sim: Any) -> None:
    session = sim.login()
    body = f'{{"method":"event.from","params":["{session}",["vm"],"%020d,%020d",60.0],"id":1}}'
    token = sim.rpc("event.from", session, ["vm"], "", 0.0)["result"]["token"]
    raw = body.replace("%020d,%020d", token).encode()
    lines = [http.client.HTTPConnection("127.0.0.1", sim.port) for _ in range(200)]
    for line in lines:
        line.request("POST", "/jsonrpc", raw)
    wait_for(
        lambda: sum(c["method"] == "event.from" for c in sim.control("GET", "/calls")) == 201,
        "200 wait for events",
    )
    began = time.monotonic()
    code, err = sim.stop()
    took = time.monotonic() - began
    for line in lines:
        line.close()
    assert (code, err) == (0, "")
    assert took < 1


@pytest.mark.parametrize(
    "args",
    [
        ["--port", "x"],
        ["--hosts", "0"],
        ["--time-scale", "-1"],
        ["--latency", "VM.fly=2"],
        ["--profile", "7"],
        ["--password-file", "/nowhere/at/all"],
    ],
)
def test_a_bad_argument_is_one_sentence_and_exit_2(args: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("simulator: ")
    assert done.stderr.count("\n") == 1


def test_the_password_comes_from_a_file(start_simulator: Start, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("from-a-file\n", encoding="utf-8")
    sim = start_simulator("--password-file", str(secret), "--time-scale", "0")
    assert "result" in sim.rpc("session.login_with_password", "root", "from-a-file")
    assert "error" in sim.rpc("session.login_with_password", "root", "xenroot")
