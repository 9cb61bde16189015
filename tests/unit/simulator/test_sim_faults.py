"""Fault rules: what is refused as it comes, so that a rule that stands can strike."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from simulator import faults
from simulator.calls import Call
from simulator.faults import PHASES, Rule
from tests.support.paths import ROOT

FAILS: dict[str, Any] = {"method": "VM.clone", "error": ["SR_FULL"]}
WAITS: dict[str, Any] = {"method": "VM.clone", "action": "delay"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "a fault is an object"),
        ({"method": 7}, "a fault is an object with at least a method"),
        ({**FAILS, "probability": "half"}, "probability is a number from 0, not 'half'"),
        ({**FAILS, "probability": 2}, "probability is a number from 0 to 1"),
        ({**FAILS, "probability": float("nan")}, "probability is a number"),
        ({**FAILS, "nth": "2"}, "nth is a whole number from 0"),
        ({**FAILS, "nth": True}, "nth is a whole number from 0"),
        ({**FAILS, "times": -1}, "times is a whole number from 0"),
        ({**FAILS, "struck": 1}, "a fault has no struck"),
        ({**FAILS, "error": "ABC"}, "error is a list of texts, not 'ABC'"),
        ({**FAILS, "error": ["ABC", 7]}, "error is a list of texts"),
        ({**FAILS, "object": None}, "object is a text"),
        ({**FAILS, "action": []}, "action is a text"),
        ({**FAILS, "when": "later"}, "when is before or after"),
        ({**FAILS, "method": "Async.VM.clone"}, "without Async."),
        ({**WAITS, "seconds": "soon"}, "seconds is a number from 0, not 'soon'"),
        ({**WAITS, "seconds": float("inf")}, "seconds is a number from 0"),
        ({**WAITS, "phase": "nonsense"}, "VM.clone has no phase 'nonsense'; there are: disk,"),
        ({**WAITS, "phase": "placed"}, "VM.clone has no phase 'placed'"),
        ({**WAITS, "method": "VBD.*", "phase": "disk"}, "VBD.* has no phase 'disk'"),
        ({**WAITS, "phase": "row", "action": "drop"}, "it knows no refuse, no drop and no after"),
        ({**FAILS, "phase": "row", "action": "refuse"}, "no refuse, no drop and no after"),
        ({**WAITS, "phase": "row", "when": "after"}, "no refuse, no drop and no after"),
    ],
)
def test_a_rule_that_is_wrong_or_can_never_strike_is_refused(given: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as refused:
        Rule.read(given)

    assert said in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        *({**WAITS, "method": call, "phase": one} for call in PHASES for one in PHASES[call]),
        {**WAITS, "method": "VM.*", "phase": "placed", "seconds": 2},
        {**WAITS, "method": "*", "phase": "after vbd"},
        {**FAILS, "phase": "", "when": "after", "action": "drop"},
    ],
)
def test_a_rule_that_can_strike_stands(given: dict[str, Any]) -> None:
    rule = Rule.read(given)

    assert {name: getattr(rule, name) for name in given} == given


def _called_phases() -> Iterator[str]:
    """The phases that the simulator's own calls come to, as their code says."""
    for path in (ROOT / "simulator" / "behaviour").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(ast.Attribute(attr="phase" | "_act"), [ast.Constant(str(said)), *_]):
                    yield said


def test_every_phase_is_declared_and_told() -> None:
    declared = {phase for phases in PHASES.values() for phase in phases}

    assert declared - {"after vbd", "after vif"} == set(_called_phases())  # which are made up
    assert [one for one in (*PHASES, *declared) if one not in (faults.__doc__ or "")
            if not one.startswith("VM_appliance")] == []  # fmt: skip


def test_a_call_comes_to_no_phase_of_which_nobody_knows(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        await Call(pool.world, "VM.clone", "VM.clone").phase("row")
        with pytest.raises(LookupError, match="none of its phases"):
            await Call(pool.world, "VM.clone", "VM.clone").phase("roe")

    pretend(scenario)
