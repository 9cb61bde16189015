"""With one guard taken out at a time the storm finds it: it is no storm that cannot fail."""

from pathlib import Path

import pytest

from tests.storm.batches import Doomed
from tests.storm.checker import Findings
from tests.storm.crash_points import CrashPoints
from tests.storm.lives import BY_NAME

STALL = {"STORM_STALL": "5"}
STOOD_STILL = Doomed(BY_NAME["goes elsewhere"], "before intent clone open #1")

FOUND_BY = {
    "intent": ([Doomed(BY_NAME["lost its clone"]), Doomed(BY_NAME["lost its disk"])], {}),
    "lease": ([STOOD_STILL], STALL),
    "whole-clone": ([Doomed(BY_NAME["is cut before the vbd of its clone"])], {}),
}
"""The launches by which a guard is missed."""


def run(folder: Path, doomed: list[Doomed], **env: str) -> Findings:
    with CrashPoints(folder, lambda _: None, **env) as crash_points:
        ended = crash_points.batches.run(doomed)
    assert not ended.missed
    return ended.findings


@pytest.mark.long
@pytest.mark.parametrize("guard", FOUND_BY)
def test_a_guard_that_is_taken_out_is_missed(tmp_path: Path, guard: str) -> None:
    doomed, env = FOUND_BY[guard]

    assert run(tmp_path, doomed, STORM_WITHOUT=guard, **env).all() != []


@pytest.mark.long
def test_a_worker_that_stood_still_does_not_write(tmp_path: Path) -> None:
    """With all guards in place: it finds that its lease is another's."""
    assert run(tmp_path, [STOOD_STILL], **STALL).all() == []
