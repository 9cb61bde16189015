"""Batches with policies on a real stack: counters, states and pool agree, whatever fails."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.storm.points import Points
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until
from xenlaunch import LaunchRequest
from xenlaunch.batch_status import BatchStatus
from xenlaunch.batches import BatchPolicy
from xenlaunch.errors import StillRunning, TooLate
from xenlaunch.ledger import batch_id, launch_id

REFUSED = "no-such-template"
"""A launch of this template is refused at its first step."""


def fails_to_start(launch: str) -> dict[str, Any]:
    """The VM is there, and its start is refused."""
    error = ["BOOTLOADER_FAILED", "OpaqueRef:vm", "no kernel"]
    return {"method": "VM.start_on", "mark": f"tests/{launch}/*", "error": error}


def requests(kinds: str) -> list[LaunchRequest]:
    """``r`` is refused at once; all others are alike, whether their start is to fail or not."""
    given = {"name": "web", "template": "debian-12", **SMALL}
    return [
        LaunchRequest.parse(
            {
                **given,
                "name": f"web-{number}",
                "template": REFUSED if kind == "r" else "debian-12",
            }
        )
        for number, kind in enumerate(kinds, 1)
    ]


COMBINATIONS: Mapping[str, tuple[dict[str, Any], str, str, tuple[int, int]]] = {
    # policy, launches (s: its start fails), state, (VMs that are up, launches that failed)
    "nothing said": ({}, "uurs", "partial", (2, 2)),
    "enough": ({"min_count": 2}, "uurs", "succeeded", (2, 2)),
    "too few": ({"min_count": 3}, "uurs", "failed", (0, 2)),
    "all": ({"all_or_nothing": True}, "uuuu", "succeeded", (4, 0)),
    "nothing, for one start": ({"all_or_nothing": True}, "uuus", "failed", (0, 1)),
    "tolerated": ({"tolerate": 2}, "uurs", "succeeded", (2, 2)),
    "a percentage": ({"tolerate": "25%"}, "uuus", "succeeded", (3, 1)),
    "enough, but too many failed": ({"min_count": 1, "tolerate": 1}, "uurs", "partial", (2, 2)),
    "too few, and too many failed": ({"min_count": 3, "tolerate": "30%"}, "uurs", "failed", (0, 2)),
}


def assert_agreed(stack: Stack, status: BatchStatus, launches: list[str]) -> list[str]:
    """The counters are what the launches are, and each VM is there that is said to be."""
    found = stack.statuses(launches)
    states = [one.state for one in found]
    counted = {state: getattr(status, state) for state in set(states)}
    assert counted == {state: states.count(state) for state in counted}, status
    assert sum(counted.values()) == status.count
    return [one.vm_uuid or "" for one in found if one.state == "succeeded"]


def test_every_policy_on_one_pool(make_stack: MakeStack) -> None:
    stack = make_stack()
    before = stack.lasting()
    stack.start_worker()
    batches = {}
    for name, (policy, kinds, *_) in COMBINATIONS.items():
        for number in (n for n, kind in enumerate(kinds, 1) if kind == "s"):
            stack.pool.faults(fails_to_start(launch_id("tests", f"{name}/{number}")))
        batches[name] = stack.client.submit_batch(
            requests(kinds), name=name, token=name, policy=BatchPolicy.parse(policy)
        )
    expected_vms: list[str] = []
    for name, batch in batches.items():
        status = stack.client.batch_result(batch.id, 90)
        *_, state, (up, failed) = COMBINATIONS[name]
        shown = (name, status.model_dump(), [one.error for one in stack.statuses(batch.launches)])
        assert (status.state, status.succeeded) == (state, up), shown
        # With what was cancelled before it could fail there may be fewer failures than faults.
        assert status.failed <= failed, shown
        assert status.state != "failed" or status.reason.endswith("all of the batch is undone.")
        expected_vms += assert_agreed(stack, status, list(batch.launches))
    vms = {row["uuid"] for row in stack.rows("VM").values() if row["name_label"].startswith("web-")}
    assert vms == set(expected_vms)
    stack.assert_nothing_held()

    stack.pool.control("DELETE", "/faults")
    undone = batches["nothing, for one start"].id
    assert stack.client.resume(undone).going_on > 0
    assert stack.client.batch_result(undone, 60).state == "succeeded"
    with pytest.raises(TooLate):
        stack.client.resume(undone)
    for name, batch in batches.items():
        if stack.client.batch_status(batch.id).succeeded:
            stack.client.destroy(batch.id)
            assert stack.client.batch_result(batch.id, 60).state == "destroyed", name
    assert stack.lasting() == before
    stack.assert_nothing_held()


def test_a_batch_is_resumed_from_where_its_faults_left_it(stack: Stack) -> None:
    """What is missing comes up; what is up stays as it is."""
    for number in (2, 3):
        stack.pool.faults(fails_to_start(launch_id("tests", f"spring/{number}")))
    batch = stack.client.submit_batch(
        LaunchRequest.parse({"name": "web", "template": "debian-12", **SMALL}), 4, token="spring"
    )
    first = stack.client.batch_result(batch.id, 60)
    assert (first.state, first.succeeded, first.failed) == ("partial", 2, 2)
    stayed = {one["uuid"] for one in stack.vms().values()}
    stack.pool.control("DELETE", "/faults")
    stack.client.resume(batch.id)
    second = stack.client.batch_result(batch.id, 60)

    assert (second.state, second.succeeded, second.failed) == ("succeeded", 4, 0)
    assert stayed < {one.vm_uuid for one in stack.statuses(batch.launches)}
    assert len(stack.vms()) == 4
    with pytest.raises(TooLate):
        stack.client.cancel(batch.id)
    stack.assert_nothing_held()


POINTS = ("before rule undo #1", "after rule undo #1", "before carried #1", "after carried #1")


def test_whoever_decides_is_killed_in_the_middle(make_stack: MakeStack, tmp_path: Path) -> None:
    """By kill -9, at its own decision; the worker that comes next brings it to the same end."""
    points = Points(tmp_path / "points")
    points.prepare()
    env = {"STORM_POINTS": str(tmp_path / "points"), "STORM_LEASE": "1500"}
    stack = make_stack()
    before = stack.lasting()
    stack.pool.control("PUT", "/latency", {"VM.start": 0.3})
    worker = stack.start_worker(env=env)
    batches = []
    for token in POINTS:
        stack.pool.faults(fails_to_start(launch_id("tests", f"{token}/2")))
        points.doom(f"role-{batch_id('tests', token)}", [token])
        batch = stack.client.submit_batch(
            requests("uuuu"), token=token, policy=BatchPolicy(all_or_nothing=True)
        )
        doomed = worker
        wait_until(doomed.has_died, 40, f"it has died {token}")
        with pytest.raises(StillRunning):
            stack.client.batch_result(batch.id, 0.0)
        worker = stack.start_worker(env=env)
        batches.append(batch)
    for batch in batches:
        status = stack.client.batch_result(batch.id, 60)
        assert (status.state, status.succeeded) == ("failed", 0), status
        assert assert_agreed(stack, status, list(batch.launches)) == []
    assert stack.lasting() == before
    stack.assert_nothing_held()
