"""Whole stacks: real workers, a real server, and the simulator as it is shipped."""

from collections.abc import Callable

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
def stack(make_stack: MakeStack) -> Stack:
    """One pool without latencies and one worker."""
    made = make_stack()
    made.start_worker()
    return made
