"""With a guard taken out the storm finds it: it is no storm that cannot fail.

What comes of the missing look and of the missing lease check the sweeper removes before the storm
sees it: those two are found by `tests/model`, which has none. The fence's is in the late requests.
"""

from pathlib import Path

import pytest

from tests.storm.batches import Doomed
from tests.storm.checker import Findings
from tests.storm.crash_points import CrashPoints
from tests.storm.lives import BY_NAME

STALL = {"STORM_STALL": "5"}
STOOD_STILL = Doomed(BY_NAME["goes elsewhere"], "before intent clone open #1")


def run(folder: Path, doomed: list[Doomed], **env: str) -> Findings:
    with CrashPoints(folder, lambda _: None, **env) as crash_points:
        ended = crash_points.batches.run(doomed)
    assert not ended.missed
    return ended.findings


@pytest.mark.long
def test_half_a_clone_that_is_adopted_is_seen(tmp_path: Path) -> None:
    cut = Doomed(BY_NAME["is cut before the vbd of its clone"])

    assert run(tmp_path, [cut], STORM_WITHOUT="whole-clone").all() != []


@pytest.mark.long
def test_a_worker_that_stood_still_does_not_write(tmp_path: Path) -> None:
    """With all guards in place: it finds that its lease is another's."""
    assert run(tmp_path, [STOOD_STILL], **STALL).all() == []
