"""Whole stacks: real workers, a real server, and the simulator as it is shipped."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.simulators import StartSimulator
from tests.support.stacks import Stack
from tests.support.worker_processes import StartWorker

MakeStack = Callable[..., Stack]


@pytest.fixture
def make_stack(redis_url: str, simulator: StartSimulator, worker: StartWorker) -> MakeStack:
    """Starts a pool with these options of the simulator; its workers the test starts itself."""

    def make(*options: str, time_scale: float = 0.0) -> Stack:
        return Stack(redis_url, simulator(*options, time_scale=time_scale), worker)

    return make


@pytest.fixture
def make_described(make_stack: MakeStack, tmp_path: Path) -> MakeStack:
    """Starts a pool of one's own description."""

    def make(pool: Mapping[str, Any], **options: Any) -> Stack:
        described = tmp_path / "pool.json"
        described.write_text(json.dumps(pool))
        return make_stack("--pool", str(described), **options)

    return make


@pytest.fixture
def stack(make_stack: MakeStack) -> Stack:
    """One pool without latencies and one worker."""
    made = make_stack()
    made.start_worker()
    return made
