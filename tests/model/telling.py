"""Telling stories: so many, or for so long; each seed tells its own."""

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.story import Story
from tests.support.steady import STEADY

STEPS = 25
TOGETHER = 50
"""How many stories a seed tells."""


@dataclass
class Told:
    """How many stories were told, in how long, and what went wrong in the last of them.

    ``ends``: how many of their launches ended in which state.
    """

    stories: int
    seconds: float
    wrong: str = ""
    ends: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        a_minute = self.stories / max(self.seconds, 0.001) * 60
        return f"{self.stories} interleavings in {self.seconds:.0f} s: {a_minute:.0f} a minute"


def tell(first: int, enough: Callable[[int, float], bool], *, shrink: bool) -> Told:
    """Tell stories from this seed on until it is enough; a wrong one is raised, or returned."""
    began = time.monotonic()
    told = Told(0, 0.0)
    for number in itertools.count(first):
        try:
            _tell_some(number, told.ends, shrink=shrink)
        except AssertionError as wrong:
            if shrink:
                raise
            told.wrong = str(wrong).partition("\n")[0]
        told.stories += TOGETHER
        told.seconds = time.monotonic() - began
        if told.wrong or enough(told.stories, told.seconds):
            return told
    raise AssertionError


def _tell_some(number: int, ends: Counter[str], *, shrink: bool) -> None:
    class Seeded(Story):
        def __init__(self) -> None:
            super().__init__(ends)

    run_state_machine_as_test(
        seed(number)(Seeded),
        settings=settings(
            max_examples=TOGETHER,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            backend=STEADY,
            phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
