"""Templates on several SRs: copies are made and removed by whoever lives, one each and no more."""

from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.flow.test_hunt import loose
from tests.support.stacks import Stack
from tests.support.waiting import wait_until
from xenlaunch import names

POOL = {
    "name": "spread",
    "hosts": [{"name": "host-1"}, {"name": "host-2"}],
    "srs": [{"name": "sr-1"}, {"name": "sr-2"}, {"name": "cramped", "size_gib": 5}],
    "templates": [{"name": "debian-12", "srs": ["sr-1"]}],
}

SLOW = {"method": "VM.copy", "phase": "row", "action": "delay", "seconds": 2.0}


@pytest.fixture
def idle(make_described: MakeStack) -> Stack:
    """A pool with one template on one of its SRs, and no worker yet."""
    return make_described(POOL)


@pytest.fixture
def stack(idle: Stack) -> Stack:
    idle.start_worker()
    return idle


def templates(stack: Stack) -> list[Any]:
    """The templates named debian-12, and those that have a working name."""
    rows = stack.rows("VM").values()
    wanted = ("debian-12", "xenlaunch:")
    return [one for one in rows if one["is_a_template"] and one["name_label"].startswith(wanted)]


def copies(stack: Stack) -> dict[str, dict[str, Any]]:
    return {row["sr"]: row for row in stack.client.templates.copies("debian-12")}


def spread(stack: Stack, *srs: str, seconds: float = 60) -> dict[str, dict[str, Any]]:
    stack.client.templates.spread("debian-12", srs or ["sr-2"])
    return settled(stack, seconds)


def settled(stack: Stack, seconds: float = 60) -> dict[str, dict[str, Any]]:
    def is_over() -> dict[str, dict[str, Any]] | None:
        found = copies(stack)
        going_on = {"waiting", "copying", "removing"}
        return None if going_on & {row["state"] for row in found.values()} else found

    return wait_until(is_over, seconds, "no copy is under way any more")


def states(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {sr: row["state"] for sr, row in found.items()}


def assert_one_each(stack: Stack, srs: set[str]) -> None:
    assert {row["name_label"] for row in templates(stack)} == {"debian-12"}
    assert len(templates(stack)) == len(srs)
    assert states(copies(stack)) == dict.fromkeys(srs, "there")
    assert loose(stack) == []
    stack.assert_nothing_held()


def test_a_template_is_spread_gathered_and_spread_again(stack: Stack) -> None:
    before = stack.lasting()
    found = spread(stack)
    made = found["sr-2"]

    assert states(found) == {"sr-1": "there", "sr-2": "there"}
    assert (found["sr-1"]["made_here"], made["made_here"], made["hosts"]) == (False, True, 2)
    [row] = [one for one in templates(stack) if one["uuid"] == made["uuid"]]
    marks = row["other_config"]
    assert marks[names.OTHER_CONFIG_COPY] == found["sr-1"]["uuid"]
    assert marks[names.OTHER_CONFIG_MARK] == f"tests/{made['launch']}/{made['uuid']}"
    assert spread(stack)["sr-2"]["uuid"] == made["uuid"]
    assert_one_each(stack, {"sr-1", "sr-2"})

    ended = stack.ended(stack.submit(4))
    assert {one.state for one in ended} == {"succeeded"}, ended
    for vm in stack.vms().values():
        assert names.OTHER_CONFIG_COPY not in vm["other_config"]
    for one in ended:
        stack.client.destroy(one.id)
    stack.ended([one.id for one in ended])

    stack.client.templates.remove("debian-12", ["sr-2"])
    assert states(settled(stack)) == {"sr-1": "there"}
    wait_until(lambda: not stack.ledger.due(10), 10, "the end is told")
    assert stack.lasting() == before
    again = spread(stack)["sr-2"]
    assert again["launch"] != made["launch"]
    assert_one_each(stack, {"sr-1", "sr-2"})


def test_a_worker_that_dies_while_the_template_is_copied(idle: Stack) -> None:
    """And everybody asks again: one copy comes of it, and half of one is nobody's template."""
    stack = idle
    stack.pool.faults({**SLOW, "phase": "vbd", "seconds": 8.0})
    doomed = stack.start_worker()
    stack.client.templates.spread("debian-12", ["sr-2"])
    wait_until(lambda: len(templates(stack)) == 2, 20, "half a copy is there")
    assert [row["name_label"] for row in templates(stack)].count("debian-12") == 1
    assert copies(stack)["sr-2"]["percent"]
    [launch] = stack.submit()
    stack.until(launch, "clone")
    doomed.kill()
    stack.start_worker()
    stack.client.templates.spread("debian-12", ["sr-2"])

    assert states(settled(stack)) == {"sr-1": "there", "sr-2": "there"}
    assert stack.ended([launch])[0].state == "succeeded"
    assert_one_each(stack, {"sr-1", "sr-2"})


@pytest.mark.parametrize("phase", ["disk", "row", "vbd", "result"])
def test_a_pool_that_restarts_while_the_template_is_copied(stack: Stack, phase: str) -> None:
    stack.pool.faults({"method": "VM.copy", "phase": phase, "action": "restart", "times": 1})

    assert states(spread(stack)) == {"sr-1": "there", "sr-2": "there"}
    assert_one_each(stack, {"sr-1", "sr-2"})


def test_what_is_being_copied_is_stopped_and_nothing_stays(stack: Stack) -> None:
    before = stack.lasting()
    stack.pool.faults({**SLOW, "phase": "vbd"})
    stack.client.templates.spread("debian-12", ["sr-2"])
    wait_until(lambda: copies(stack)["sr-2"]["state"] == "copying", 20, "it is being copied")
    stack.client.templates.remove("debian-12", ["sr-2"])

    assert states(settled(stack)) == {"sr-1": "there"}
    wait_until(lambda: not stack.ledger.due(10), 10, "the end is told")
    assert stack.lasting() == before


def test_only_what_was_made_here_is_removed_and_never_the_last(stack: Stack) -> None:
    def refused(*srs: str) -> list[str]:
        rows = stack.client.templates.remove("debian-12", srs)
        return [row["error"] for row in rows if row["error"]]

    spread(stack)
    assert ["was not made by" in said for said in refused("sr-1")] == [True]
    assert ["has no copy on" in said for said in refused("tools")] == [False]
    original = stack.call("VM.get_by_uuid", copies(stack)["sr-1"]["uuid"])
    stack.call("VM.set_name_label", original, "old debian-12")
    wait_until(lambda: set(copies(stack)) == {"sr-2"}, 10, "a worker knows of it")
    assert ["is the last that there is" in said for said in refused("sr-2")] == [True]


def test_a_template_whose_disk_forgets_its_changes_has_no_copies(stack: Stack) -> None:
    [disk] = [ref for ref, row in stack.rows("VDI").items() if row["name_label"] != "tools.iso"]
    stack.call("VDI.set_on_boot", disk, "reset")
    before = len(stack.changing_calls())
    found = spread(stack)["sr-2"]

    assert (found["state"], "such a disk is not copied" in found["error"]) == ("failed", True)
    assert len(stack.changing_calls()) == before


def test_what_has_no_room_is_refused_with_the_numbers(stack: Stack) -> None:
    [row] = stack.client.templates.spread("debian-12", ["no-such-sr"])
    assert (row["state"], row["launch"]) == ("failed", "")
    assert "no storage repository 'no-such-sr'" in row["error"]
    [row] = stack.client.templates.spread("debian-12", ["cramped"])
    assert "has 5 GiB free, and a copy of the template 'debian-12' wants 8 GiB" in row["error"]
    [row] = stack.client.templates.spread("debian-12", ["sr-2"], "attic")
    assert row == {"pool": "attic", "error": "The pools file names no pool 'attic'."}


def test_both_copies_are_cloned_and_one_that_is_to_go_waits_for_those_who_chose_it(
    stack: Stack,
) -> None:
    spread(stack)
    stack.pool.faults({"method": "VM.clone", "phase": "disk", "action": "delay", "seconds": 0.5})
    launches = stack.submit(8)
    wait_until(lambda: len(stack.vms()) >= 2, 30, "some have cloned it")
    stack.client.templates.remove("debian-12", ["sr-2"])
    ended = stack.ended(launches, 90)

    assert {one.state for one in ended} == {"succeeded"}, [one.error for one in ended if one.error]
    disks, names_of = (
        stack.rows("VDI"),
        {ref: sr["name_label"] for ref, sr in stack.rows("SR").items()},
    )
    drives = [stack.rows("VBD")[vbd] for vm in stack.vms().values() for vbd in vm["VBDs"]]
    used = {names_of[disks[one["VDI"]]["SR"]] for one in drives if one["type"] == "Disk"}
    assert used == {"sr-1", "sr-2"}
    assert states(settled(stack)) == {"sr-1": "there"}
    assert [row["name_label"] for row in templates(stack)] == ["debian-12"]
