"""How soon a launch goes on is read from the simulator's log of calls."""

from typing import Any

from bench.scale import wakes


def call(method: str, of: str, started: float, ended: float | None, *args: str) -> dict[str, Any]:
    return {
        "method": method,
        "object": of,
        "args": [of, *args],
        "started": started,
        "ended": ended,
        "outcome": "running" if ended is None else "ok",
        "asynchronous": method.startswith("Async."),
    }


def test_it_is_from_a_calls_end_to_the_next_about_its_vm() -> None:
    vms: dict[str, dict[str, Any]] = {
        "vm-1": {"other_config": {"xenlaunch": "bench/l-1/u-1/clone"}},
        "vm-2": {"other_config": {}},
    }
    calls = [
        call("Async.VM.clone", "template", 1.0, 3.0, "xenlaunch:bench:l-1:1"),
        call("VM.get_record", "template", 3.1, 3.1),
        call("VM.get_record", "vm-1", 3.5, 3.5),
        call("Async.VM.start_on", "vm-1", 4.0, 9.0),
        call("VM.get_record", "vm-1", 8.0, 8.0),
        call("VM.get_record", "vm-1", 9.25, 9.25),
        call("Async.VM.start_on", "vm-2", 4.0, None),
        call("Async.VM.clone", "template", 1.0, 3.0, "xenlaunch:bench:l-9:1"),
    ]

    assert wakes(calls, vms) == [0.25, 0.5]
