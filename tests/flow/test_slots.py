"""Each SR and each host has as many of our calls as it has slots, and no sooner more."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until

LAUNCHES = 30


def calls_of(stack: Stack, method: str) -> list[dict[str, Any]]:
    return [call for call in stack.pool.calls() if call["method"] == method]


def most_at_once(calls: Iterable[Mapping[str, Any]]) -> int:
    """How many of the calls ran at one moment, at most."""
    moments = [(call["started"], 1) for call in calls] + [(call["ended"], -1) for call in calls]
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most


def sr_of(stack: Stack, template: str) -> str:
    drives = (stack.rows("VBD")[vbd] for vbd in stack.rows("VM")[template]["VBDs"])
    disk = next(row["VDI"] for row in drives if row["type"] == "Disk")
    return str(stack.rows("SR")[stack.rows("VDI")[disk]["SR"]]["name_label"])


def by(calls: Iterable[dict[str, Any]], key: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for call in calls:
        found.setdefault(key(call), []).append(call)
    return found


def up(stack: Stack, launches: list[str]) -> None:
    wait_until(
        lambda: all(stack.client.status(one).has_ended for one in launches), 120, "all have ended"
    )
    assert Counter(stack.client.status(one).state for one in launches) == {
        "succeeded": len(launches)
    }


@pytest.mark.timeout(180)
def test_no_sr_and_no_host_has_more_calls_than_slots_and_a_fast_sr_gets_more(
    make_stack: MakeStack,
) -> None:
    stack = make_stack("--hosts", "2")
    stack.pool.control("PUT", "/latency", {"VDI.clone": 0.4, "VM.start": 0.5})
    stack.pool.control("POST", "/srs/sr-2/slow", {"times": 8})
    stack.start_worker(concurrency=4)
    launches = stack.submit(LAUNCHES, **SMALL)
    waits = [wait_until(lambda: one_that_waits(stack, launches), 60, "somebody waits for an SR")]
    up(stack, launches)

    clones = by(calls_of(stack, "Async.VM.clone"), lambda call: sr_of(stack, call["args"][0]))
    starts = by(calls_of(stack, "Async.VM.start_on"), lambda call: call["args"][1])
    assert {sr: most_at_once(calls) for sr, calls in clones.items()} == {"sr-1": 2, "sr-2": 2}
    assert max(most_at_once(calls) for calls in starts.values()) <= 5
    assert len(clones["sr-1"]) > len(clones["sr-2"]) > 0
    assert {call["outcome"] for call in stack.changing_calls()} == {"ok"}
    assert waits == ["waiting for its turn on sr-1 or sr-2"]
    stack.assert_nothing_held()


def one_that_waits(stack: Stack, launches: list[str]) -> str:
    doing = (stack.client.status(one).doing for one in launches)
    return next((what for what in doing if "turn on" in what), "")


@pytest.mark.timeout(180)
def test_undo_and_disks_take_slots_too(make_stack: MakeStack) -> None:
    stack = make_stack("--hosts", "2", "--srs", "1")
    stack.pool.control("PUT", "/latency", {"VDI.create": 0.2, "VDI.destroy": 0.2})
    stack.start_worker(concurrency=8)
    before = stack.lasting()
    launches = stack.submit(12, disks=[{"new": "1GiB"}], **SMALL)
    up(stack, launches)
    for launch in launches:
        stack.client.destroy(launch)
    wait_until(
        lambda: all(stack.client.status(one).state == "destroyed" for one in launches),
        *(120, "all are destroyed"),
    )

    for method in ("Async.VDI.create", "Async.VDI.destroy"):
        assert most_at_once(calls_of(stack, method)) == 2, method
    assert stack.lasting() == before
    assert {call["outcome"] for call in stack.changing_calls()} == {"ok"}
    stack.assert_nothing_held()


ONE_COPY = {
    "name": "one-copy",
    "hosts": [{"name": "host-1"}, {"name": "host-2"}],
    "srs": [{"name": "sr-1"}, {"name": "sr-2"}],
    "templates": [{"name": "debian-12", "srs": ["sr-1"]}],
}


@pytest.mark.timeout(180)
def test_no_more_whole_disks_are_copied_to_an_sr_at_once_than_it_has_slots_for(
    make_described: MakeStack,
) -> None:
    stack = make_described(ONE_COPY)
    stack.pool.settings["copy_slots"] = 3
    stack.pool.control("PUT", "/latency", {"VDI.copy per GiB": 0.1})
    stack.start_worker(concurrency=4)
    moved = {"template_disks": [{"device": 0, "sr": "sr-2"}]}
    launches = [
        *stack.submit(9, clone="full", **SMALL),
        *stack.submit(9, name="moved", **moved, **SMALL),
    ]
    waits = [wait_until(lambda: one_that_waits(stack, launches), 60, "somebody waits for an SR")]
    up(stack, launches)

    assert most_at_once(calls_of(stack, "Async.VM.copy")) == 3
    assert most_at_once(calls_of(stack, "Async.VDI.copy")) == 3
    assert waits in (["waiting for its turn on sr-1"], ["waiting for its turn on sr-2"])
    assert {call["outcome"] for call in stack.changing_calls()} == {"ok"}
    stack.assert_nothing_held()
