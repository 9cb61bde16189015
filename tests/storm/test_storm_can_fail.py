"""With one guard taken out at a time the storm finds it: it is no storm that cannot fail."""

from pathlib import Path

import pytest

from tests.storm.batches import Doomed
from tests.storm.checker import Findings
from tests.storm.crash_points import CrashPoints
from tests.storm.lives import BY_NAME

STALL = {"STORM_STALL": "5"}

FOUND_BY = {
    "intent": (["lost its clone", "lost its disk", "lost a drive"], "", {}),
    "lease": (["goes elsewhere"], "before intent clone open #1", STALL),
    "whole-clone": (["is cut before the vbd of its clone"], "", {}),
}
"""The lives, and the point in each of them, by which a guard is missed."""


def run(folder: Path, guard: str, *, taken_out: bool) -> Findings:
    lives, point, env = FOUND_BY[guard]
    without = {"STORM_WITHOUT": guard} if taken_out else {}
    with CrashPoints(folder, lambda _: None, **env, **without) as crash_points:
        ended = crash_points.batches.run([Doomed(BY_NAME[life], point) for life in lives])
    assert not ended.missed
    return ended.findings


@pytest.mark.long
@pytest.mark.parametrize("guard", FOUND_BY)
def test_a_guard_that_is_taken_out_is_missed(tmp_path: Path, guard: str) -> None:
    assert run(tmp_path / "with", guard, taken_out=False).all() == []
    assert run(tmp_path / "without", guard, taken_out=True).all() != []
