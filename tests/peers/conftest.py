"""The pool that clients written by others are tried on, in an environment that has them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.simulators import SimulatorProcess


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[SimulatorProcess]:
    """A pool with one SR, so that each template's name is its own, and latencies of a moment."""
    options = ("--srs", "1", "--hosts", "2", "--time-scale", "0.01")
    process = SimulatorProcess(tmp_path / "simulator.log", *options)
    process.child.start()
    yield process
    said = process.child.log()
    process.stop()
    assert "Traceback" not in said
