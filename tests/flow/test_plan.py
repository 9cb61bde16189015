"""A plan changes nothing, and what it predicts is what happens.

The requests are those of the cases, two or three of them as one, by chance: so a new feature is
drawn as soon as it has a case.
"""

import json
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.support.cases import CASES, Case, Sight, read_cases
from tests.support.stacks import Stack
from xenlaunch import LaunchRequest
from xenlaunch.errors import BadRequest
from xenlaunch.names import OTHER_CONFIG_NETWORK
from xenlaunch.xapi.pool import NULL

FOR_ALL = ("network.create", "pool.create_VLAN_from_PIF", "VLAN.create", "tunnel.create")
"""Calls that are made once for all launches, by whichever is first."""


def cases(profile: str) -> list[Case]:
    """Those of a profile; today's are for 8.2 too, though some of them are refused there."""
    found = [case for file in sorted(CASES.glob("*.yaml")) for case in read_cases(file.read_text())]
    return [case for case in found if case.profile in ("current", profile) and not case.given]


def mixtures(profile: str, count: int, sight: Sight) -> list[LaunchRequest]:
    """The template by uuid: which copy of it is taken changes with each launch."""
    chance, every = random.Random(20261124), cases(profile)
    found: list[LaunchRequest] = []
    while len(found) < count:
        mixed: dict[str, Any] = {"template": "debian-12"}
        for case in chance.sample(every, chance.choice((1, 2, 2, 3))):
            mixed |= {"template": case.template, **case.request}
        mixed |= {"name": f"plan-{len(found)}", "wait_seconds": 1}
        mixed.pop("on_failure", None)
        if mixed.get("nics"):  # one MAC is not for two launches
            mixed["nics"] = [{**nic, "mac": None} for nic in mixed["nics"]]
        for ref in sight.named("VM", mixed["template"])[:1]:
            mixed["template"] = sight.rows[ref]["uuid"]
        try:
            found.append(LaunchRequest.parse(mixed))
        except BadRequest:  # two that exclude each other
            continue
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("profile", "count"), [("current", 100), ("8.2", 50)])
def test_what_a_plan_predicts_is_what_happens(
    make_stack: MakeStack, profile: str, count: int
) -> None:
    stack = make_stack("--hosts", "16", "--profile", profile)
    stack.start_worker()
    assert_as_planned(stack, mixtures(profile, count, Sight(stack.call)))


def test_a_gpu_in_the_place_of_the_templates_is_planned(make_stack: MakeStack) -> None:
    stack = make_stack("--pool", "gpus")
    board = stack.call("VM.clone", stack.call("VM.get_by_name_label", "debian-12")[0], "board")
    [group] = stack.rows("GPU_group")
    stack.call("VGPU.create", board, group, "0", {}, NULL)
    stack.start_worker()
    asked = {"name": "drawn", "template": "board", "gpu": {"type": "Pretended GPU quarter"}}
    request = LaunchRequest.parse(asked)
    plan = stack.client.plan(request)

    [status] = stack.ended([stack.client.submit(request).id])

    assert "VGPU.destroy" in plan["calls"]
    assert what_differs(stack, Sight(stack.call), plan, status) == []


def test_a_size_that_the_storage_rounds_up_is_planned_as_it_comes(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.start_worker()
    grown = [{"device": 0, "size": "8.3GiB", "sr": "sr-2"}]
    asked = {"name": "odd", "template": "debian-12", "template_disks": grown}
    request = LaunchRequest.parse({**asked, "disks": [{"new": "1.1GiB"}, {"new": "1MiB"}]})
    plan = stack.client.plan(request)
    [status] = stack.ended([stack.client.submit(request).id])

    assert [drive["size"] for drive in plan["drives"]] == [8_912_896_000, 1_182_793_728, 2 << 20]
    assert what_differs(stack, Sight(stack.call), plan, status) == []


def test_the_caching_of_a_disk_that_is_moved_is_planned(make_stack: MakeStack) -> None:
    stack = make_stack()
    places = {ref: row["name_label"] for ref, row in stack.rows("SR").items()}
    disks = [
        (ref, row)
        for ref, row in stack.rows("VDI").items()
        if row["name_label"] == "debian-12 disk 0"
    ]
    vdi, disk = disks[0]
    stack.call("VDI.set_allow_caching", vdi, True)
    template = stack.rows("VM")[stack.rows("VBD")[disk["VBDs"][0]]["VM"]]["uuid"]
    stack.start_worker()
    other = "sr-1" if places[disk["SR"]] == "sr-2" else "sr-2"
    asked = {"name": "quick", "template": template, "template_disks": [{"device": 0, "sr": other}]}
    request = LaunchRequest.parse(asked)
    plan = stack.client.plan(request)
    [status] = stack.ended([stack.client.submit(request).id])

    assert "VDI.set_allow_caching" in plan["calls"]
    assert what_differs(stack, Sight(stack.call), plan, status) == []


@pytest.mark.parametrize(
    "asked",
    [
        {"disks": [{"new": "3TiB"}]},
        {"template_disks": [{"device": 0, "size": "3TiB"}]},
        {"template_disks": [{"device": 0, "size": "3TiB", "sr": "wide-2"}]},
    ],
    ids=["new", "grown", "moved"],
)
def test_a_disk_larger_than_a_vhd_is_refused_before_anything_is_made(
    make_described: MakeStack, asked: dict[str, Any]
) -> None:
    stack = make_described(
        {
            "hosts": [{"name": "host-1"}],
            "srs": [{"name": f"wide-{number}", "size_gib": 65_536} for number in (1, 2)],
            "templates": [{"name": "debian-12", "srs": ["wide-1"]}],
        }
    )
    stack.start_worker()
    request = LaunchRequest.parse({"name": "wide", "template": "debian-12", **asked})
    before = len(stack.changing_calls())
    plan = stack.client.plan(request)
    [status] = stack.ended([stack.client.submit(request).id])

    assert status.error is not None
    assert plan["error"]["code"] == status.error.code == "DISK_TOO_LARGE"
    assert "makes disks of" in status.error.message
    assert len(stack.changing_calls()) == before


def test_more_shadow_memory_of_the_template_is_reckoned_with(make_stack: MakeStack) -> None:
    stack = make_stack()
    template = stack.call("VM.get_by_name_label", "debian-12")[0]
    stack.call("VM.set_HVM_shadow_multiplier", template, 8.0)
    stack.start_worker()
    asked = {"name": "shaded", "template": stack.call("VM.get_uuid", template)}
    request = LaunchRequest.parse(asked)
    plan = stack.client.plan(request)
    stack.ended([stack.client.submit(request).id])

    vm = stack.vms()["shaded"]
    assert plan["memory"] == int(vm["memory_dynamic_min"]) + int(vm["memory_overhead"])


def assert_as_planned(stack: Stack, requests: list[LaunchRequest]) -> None:
    before = len(stack.changing_calls())
    plans = [stack.client.plan(request) for request in requests]
    assert [call["method"] for call in stack.changing_calls()[before:]] == []

    launches = [stack.client.submit(request).id for request in requests]
    ended = stack.ended(launches, 200)
    sight = Sight(stack.call)
    differs = {
        status.name: found
        for plan, status in zip(plans, ended, strict=True)
        if (found := what_differs(stack, sight, plan, status))
    }
    assert differs == {}
    assert_networks_as_planned(sight, plans, [status.state == "succeeded" for status in ended])
    came_up = sum(status.state == "succeeded" for status in ended)
    assert len(requests) // 4 < came_up < len(requests), "some of each"


def assert_networks_as_planned(
    sight: Sight, plans: list[dict[str, Any]], came_up: list[bool]
) -> None:
    """What came up has its networks, and none is there that nobody's plan has named."""
    rows = sight.tables["network"].values()
    made = {row["name_label"] for row in rows if OTHER_CONFIG_NETWORK in row["other_config"]}
    planned = [
        {network["name"] for network in plan["networks"] if network["makes"]} for plan in plans
    ]
    had = [names for names, up in zip(planned, came_up, strict=True) if up]
    assert set().union(*had) <= made <= set().union(*planned)
    assert made, "some are made"


def what_differs(stack: Stack, sight: Sight, plan: dict[str, Any], status: Any) -> list[str]:
    fitting = {host["host"] for host in plan["hosts"] if host["fits"]}
    if plan["error"] or not fitting:
        wanted = {plan["error"]["code"]} if plan["error"] else set()
        wanted |= set() if fitting else {"CANNOT_FIT"}  # a launch ends with the one or the other
        code = status.error.code if status.error else status.state
        return [] if code in wanted else [f"planned was {wanted}, it was {code}: {status.error}"]
    if status.state != "succeeded":
        return [f"nothing was said of {status.error}"]
    found = [] if status.host in fitting else [f"it is on {status.host}, planned was {fitting}"]
    [vm] = [row for row in sight.tables["VM"].values() if row["uuid"] == status.vm_uuid]
    if (int(vm["VCPUs_max"]), vm["power_state"]) != (plan["vcpus"], "Running"):
        found.append(f"it has {vm['VCPUs_max']} vCPUs, planned were {plan['vcpus']}")
    drives, expected = drives_of(sight, vm), [row for row in plan["drives"] if row["stays"]]
    if drives != expected:
        found.append(f"its drives are {drives}, planned were {expected}")
    planned = Counter(call for call in plan["calls"] if call not in FOR_ALL)
    made = calls_of(stack, status.id)
    if planned != made:
        found.append(f"unplanned calls {made - planned}, calls that were not made {planned - made}")
    return found


def drives_of(sight: Sight, vm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The drives of a VM in the words of a plan."""
    found = []
    for drive in (sight.tables["VBD"][ref] for ref in vm["VBDs"]):
        disk = sight.tables["VDI"].get(drive["VDI"]) if drive["type"] == "Disk" else None
        size = int(disk["virtual_size"]) if disk else None
        sr = sight.tables["SR"][disk["SR"]]["name_label"] if disk else None
        row = {"device": drive["userdevice"], "type": drive["type"], "size": size, "sr": sr}
        found.append({**row, "stays": True})
    return sorted(found, key=lambda row: int(row["device"]))


def calls_of(stack: Stack, launch: str) -> Counter[str]:
    """The changing calls of a launch, by the intents that it wrote down."""
    calls = stack.ledger.store.redis.hvals(stack.ledger.store.key("launch", launch, "calls"))
    methods = (json.loads(call)["method"].removeprefix("Async.") for call in calls)
    return Counter(method for method in methods if method and method not in FOR_ALL)
