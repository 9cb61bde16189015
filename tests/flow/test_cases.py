"""Each feature of a request: what was asked for, and what a stranger reads in the pool.

The cases are the files of `cases/`; a new one needs no code (`tests/support/cases.py` says what
can stand in it). All of a file run on one stack at once, and are read back over XML-RPC, not by our
own client. First what must be refused is, and has changed nothing. Then all others run and cannot
start: what is in the pool after their undo is what was there before. Then they can.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.support.cases import CASES, Case, Sight, read_cases
from tests.support.stacks import Stack
from xenlaunch import LaunchRequest
from xenlaunch.errors import BadRequest
from xenlaunch.model import LaunchStatus

FILES = {file.stem: read_cases(file.read_text()) for file in sorted(CASES.glob("*.yaml"))}
POOLS = {"gpu": ("--pool", "gpus")}
TRAFFIC = '{public = "guest"}'
"""What the pools file says of traffic."""

STACKS = [
    pytest.param(
        (*POOLS.get(stem, ()), "--profile", profile),
        tuple(cases),
        id=stem if profile == "current" else f"{stem}, {profile}",
    )
    for stem, all_cases in FILES.items()
    for profile, cases in groupby(
        sorted(all_cases, key=lambda case: case.profile, reverse=True), lambda case: case.profile
    )
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("options", "cases"), STACKS)
def test_each_case_becomes_what_it_says_and_its_undo_leaves_nothing(
    make_stack: MakeStack, options: tuple[str, ...], cases: tuple[Case, ...]
) -> None:
    stack = make_stack(*options)
    stack.pool.settings["traffic"] = TRAFFIC
    prepare(stack, cases)
    stack.start_worker()
    others = [case for case in cases if not case.refused]
    assert_refused_and_unchanged(stack, [case for case in cases if case.refused])
    assert_undone(stack, [case for case in others if case.request.get("on_failure") != "keep"])

    ended = run(stack, others, "case")
    sight = Sight(stack.call)
    found = {case.name: what_differs(stack, sight, case, ended[case.name]) for case in others}
    assert {case: differs for case, differs in found.items() if differs} == {}


def prepare(stack: Stack, cases: Iterable[Case]) -> None:
    for case in cases:
        for one in case.given:
            [(method, params)] = one.items()
            stack.call(method, *Sight(stack.call).filled(params))


def assert_refused_and_unchanged(stack: Stack, cases: list[Case]) -> None:
    """Each is refused by the client, or by the first look at the pool, in the words it says."""
    before = len(stack.changing_calls())
    sentences: dict[str, str] = {}
    asked = []
    for number, case in enumerate(cases):
        try:
            request_of(stack, case, f"refused-{number}")
            asked.append(case)
        except BadRequest as bad:
            sentences[case.name] = str(bad)
    for name, status in run(stack, asked, "refused").items():
        sentences[name] = status.error.message if status.error else status.state

    assert {case.name: sentences[case.name] for case in cases
            if (case.refused or "") not in sentences[case.name]} == {}  # fmt: skip
    assert [call["method"] for call in stack.changing_calls()[before:]] == []


def assert_undone(stack: Stack, cases: list[Case]) -> None:
    """What cannot start leaves nothing behind but networks, which are the deployment's."""
    before = stack.lasting()
    stack.pool.faults({"method": "VM.start_on", "error": ["BOOTLOADER_FAILED", "vm", "no kernel"]})
    ended = run(stack, cases, "undone")
    assert {name: (status.state, status.error and status.error.code) for name, status
            in ended.items()} == {case.name: ("failed", "BOOTLOADER_FAILED")
                                  for case in cases}  # fmt: skip
    after = stack.lasting()
    for cls in ("network", "PIF", "VLAN", "tunnel"):
        after[cls] = {ref: after[cls].get(ref, {}) for ref in before[cls]}
    assert after == before
    stack.pool.control("DELETE", "/faults")


def run(stack: Stack, cases: list[Case], prefix: str) -> dict[str, LaunchStatus]:
    """Launch all of them; how each ended, by the case's name."""
    if not cases:
        return {}
    launches = {
        case.name: stack.client.submit(request_of(stack, case, f"{prefix}-{number}")).id
        for number, case in enumerate(cases)
    }
    ended = {status.id: status for status in stack.ended(list(launches.values()), 120)}
    return {name: ended[launch] for name, launch in launches.items()}


def request_of(stack: Stack, case: Case, name: str) -> LaunchRequest:
    given = case.request
    if "@" in str(given):
        given = Sight(stack.call).filled(given, "uuid")
    return LaunchRequest.parse({"name": name, "template": case.template, **given})


def what_differs(stack: Stack, sight: Sight, case: Case, status: LaunchStatus) -> list[str]:
    """What a stranger reads otherwise than the case says."""
    if status.state != "succeeded" or status.vm_uuid is None:
        return [f"it {status.state}: {status.error}"]
    differs = sight.differs(case, status.name, status.vm_uuid)
    if case.calls is not None:
        [vm] = [ref for ref, row in sight.tables["VM"].items() if row["uuid"] == status.vm_uuid]
        calls = calls_on(stack.changing_calls(), vm)
        differs += [f"the calls were {calls}"] if calls != case.calls else []
    return differs


def calls_on(log: list[dict[str, Any]], vm: str) -> list[str]:
    """The changing calls on a VM from its clone to its start."""
    calls = [call["method"] for call in log if call["object"] == vm]
    return calls[: calls.index("Async.VM.start_on")]
