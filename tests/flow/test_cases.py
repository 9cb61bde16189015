"""Each feature of a request: what was asked for, and what a stranger reads in the pool.

The cases are the files of `cases/`; a new one needs no code. All of them run on one stack at once,
and are read back over XML-RPC, not by our own client. Then all run again and cannot start: what is
in the pool after their undo is what was there before.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flow.conftest import MakeStack
from tests.support.stacks import Stack
from xenlaunch import LaunchRequest

Case = Mapping[str, Any]

CASES: dict[str, Case] = {
    name: case
    for file in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
    for name, case in yaml.safe_load(file.read_text()).items()
}


def submit_all(stack: Stack, prefix: str) -> dict[str, str]:
    """Submit every case; its launch's id, by the case's name."""
    return {
        case: stack.client.submit(request_of(case, f"{prefix}-{number}")).id
        for number, case in enumerate(CASES)
    }


def request_of(case: str, name: str) -> LaunchRequest:
    given = {"template": CASES[case].get("template", "debian-12"), **CASES[case]["request"]}
    return LaunchRequest.parse({"name": name, **given})


@pytest.mark.timeout(240)
def test_each_case_becomes_what_it_says_and_its_undo_leaves_nothing(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.start_worker()
    before = stack.lasting()
    stack.pool.faults({"method": "VM.start_on", "error": ["BOOTLOADER_FAILED", "vm", "no kernel"]})
    undone = submit_all(stack, "undone")
    ends = {status.id: status for status in stack.ended(list(undone.values()), 120)}
    assert {case: ends[launch].state for case, launch in undone.items()} == dict.fromkeys(
        CASES, "failed"
    )
    assert stack.lasting() == before

    stack.pool.control("DELETE", "/faults")
    launches = submit_all(stack, "case")
    ended = {status.id: status for status in stack.ended(list(launches.values()), 120)}
    found = {case: what_differs(stack, case, ended[launch]) for case, launch in launches.items()}
    assert {case: differs for case, differs in found.items() if differs} == {}


def what_differs(stack: Stack, case: str, status: Any) -> list[str]:
    """What a stranger reads otherwise than the case says."""
    if status.state != "succeeded":
        return [f"it {status.state}: {status.error}"]
    vm = stack.call("VM.get_by_uuid", status.vm_uuid)
    record = stack.call("VM.get_record", vm)
    hosts = {row["name_label"]: ref for ref, row in stack.rows("host").items()}
    wanted = CASES[case].get("vm", {})
    differs = [
        f"{field} is {record[field]!r}"
        for field, value in wanted.items()
        if not says(record[field], value, hosts)
    ]
    calls = calls_on(stack, vm)
    if "calls" in CASES[case] and calls != CASES[case]["calls"]:
        differs.append(f"the calls were {calls}")
    return differs


def says(found: Any, wanted: Any, hosts: Mapping[str, str]) -> bool:
    """Whether a field says what is wanted; a mapping may say more, ``@name`` is a host."""
    if isinstance(wanted, Mapping):
        return all(found.get(key) == value for key, value in wanted.items())
    if isinstance(wanted, list):
        return sorted(found) == sorted(wanted)
    if isinstance(wanted, str) and wanted.startswith("@"):
        return bool(found == hosts[wanted[1:]])
    return bool(found == wanted)


def calls_on(stack: Stack, vm: str) -> list[str]:
    """The changing calls on a VM from its clone to its start."""
    calls = [call["method"] for call in stack.changing_calls() if call["object"] == vm]
    return calls[: calls.index("Async.VM.start_on")]
