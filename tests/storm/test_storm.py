"""What CI sees of the storm: a twentieth of the crash points, another each day; a short round."""

import os
import secrets
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.storm.crash_points import SHARES, CrashPoints, share
from tests.storm.random_storm import one_round
from tests.storm.table import Tally

say = partial(print, flush=True)

KILLS = 30
FEWEST_POINTS = 800
"""A launch has more crash points than that: fewer were found only if the listing has broken."""


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_twentieth_of_the_crash_points(tmp_path: Path) -> None:
    """STORM_SHARE says which (0 to 19); else it is the day."""
    which = int(os.environ.get("STORM_SHARE") or datetime.now(UTC).toordinal()) % SHARES
    say(f"crash points, share {which} of {SHARES}")
    with CrashPoints(tmp_path, say) as crash_points:
        listed = crash_points.listed()
        chosen = share(listed, which)
        outcome = crash_points.strike(chosen)
    say(f"{len(listed)} crash points, {outcome.struck} struck, {outcome.deaths} deaths")

    assert [f"{name}: {found.all()}" for name, found in outcome.findings] == []
    assert len(listed) >= FEWEST_POINTS
    assert len(outcome.unreached) <= len(chosen) // 10, list(map(str, outcome.unreached))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_short_storm(tmp_path: Path) -> None:
    """STORM_SEED says from which seed; else it is a new one."""
    seed = os.environ.get("STORM_SEED") or secrets.token_hex(4)
    tally = Tally(seed)
    done = one_round(tmp_path, seed, 1, KILLS, say)
    tally.add(done)
    say("\n".join(tally.lines()))

    assert done.findings.all() == [], f"STORM_SEED={seed}"
    assert done.ends["succeeded"] > 0
