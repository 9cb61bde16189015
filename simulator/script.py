"""A script of what befalls the pool, in a file: fault rules, and what the control port does.

    [
      {"method": "VM.start_on", "nth": 3, "error": ["BOOTLOADER_FAILED", "vm", "no kernel"]},
      {"do": "PUT /latency", "with": {"VM.start": 20}},
      {"at": 30, "do": "POST /hosts/host-4/kill"},
      {"at": 90, "do": "POST /restart", "with": {"seconds": 2}}
    ]

A step with `method` is a rule (see simulator.faults), one with `do` is what the control port would
be asked, `with` this body. It is done `at` so many seconds (not scaled) after the pool is ready;
without `at`, before it is. What is wrong with a step is said on stderr: of one without `at`, or
that can never be right, at the start, which then fails.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Iterable
from typing import Any

from simulator import control
from simulator.control import Control
from simulator.faults import Rule
from simulator.latency import is_seconds


class WrongStep(Exception):
    """A step of the script cannot be done."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One thing that is done to the pool, and when."""

    method: str
    path: str
    given: Any = None
    at: float = 0.0

    @classmethod
    def read(cls, given: Any) -> Step:
        if not isinstance(given, dict) or ("do" in given) == ("method" in given):
            raise TypeError("a step is a rule, with `method`, or a request, with `do`")
        rest = dict(given)
        at = rest.pop("at", 0)
        if not is_seconds(at):
            raise ValueError(f"at is a number of seconds from 0, not {at!r}")
        if "do" not in rest:
            Rule.read(rest)
            return cls("POST", "/faults", rest, at)
        method, _, path = str(rest.pop("do")).partition(" ")
        body = rest.pop("with", None)
        if rest or not path.startswith("/"):
            raise ValueError('a request is {"at": SECONDS, "do": "METHOD /path", "with": BODY}')
        control.read(method, path, body)
        return cls(method, path, body, at)


def read(given: Any) -> tuple[Step, ...]:
    if not isinstance(given, list):
        raise TypeError("a script is a list of steps")
    return tuple(sorted(map(Step.read, given), key=lambda step: step.at))


def begin(acts: Control, steps: Iterable[Step]) -> None:
    """Do what comes before all else."""
    for step in steps:
        if not step.at:
            _do(acts, step)


async def go_on(acts: Control, steps: Iterable[Step]) -> None:
    """Do the rest, each at its time; a step that goes wrong does not stop the next."""
    clock = asyncio.get_running_loop().time
    ready = clock()
    for step in steps:
        if not step.at:
            continue
        await asyncio.sleep(max(0.0, ready + step.at - clock()))
        try:
            _do(acts, step)
        except WrongStep as wrong:
            sys.stderr.write(f"simulator: {wrong}\n")


def _do(acts: Control, step: Step) -> None:
    try:
        acts.do(step.method, step.path, step.given)
    except (LookupError, ValueError, TypeError) as wrong:
        raise WrongStep(f"{step.method} {step.path}: {wrong}") from None
