"""A worker that stood still for longer than its leases does nothing when it goes on."""

from pathlib import Path

import pytest

from tests.storm.late import HELD, stand_still


@pytest.mark.long
def test_requests_that_come_late_have_no_effect(tmp_path: Path) -> None:
    """Stopped for 40 s in four changing calls, which were on the wire, and then are delivered."""
    seen = stand_still(tmp_path, 40)

    assert seen.delivered == len(HELD)
    assert [call["outcome"] for call in seen.late] == ["SESSION_INVALID"] * len(HELD)
    assert seen.findings.all() == []


@pytest.mark.long
def test_without_the_fence_a_late_request_is_seen(tmp_path: Path) -> None:
    """The harness can fail: with the old owner's session left alone, its call does its work."""
    seen = stand_still(tmp_path, 15, {"STORM_WITHOUT": "fence"})

    assert "ok" in [call["outcome"] for call in seen.late]
    assert seen.findings.all() != []
