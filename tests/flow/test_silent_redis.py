"""Nothing that is said to Redis arrives for a while, and nobody is told."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import starter
from tests.flow.test_crashes import assert_all_up
from tests.flow.test_redis_trouble import SHOP, SMALL, half_way
from tests.support.lines import SilentLine
from tests.support.simulators import StartSimulator
from tests.support.stacks import Stack
from workers.embedded import EmbeddedServer
from xenlaunch.errors import SubmitUnknown

pytestmark = pytest.mark.timeout(400)

SILENCE = 20.0
"""Longer than a lease, than a role's lease, and than any of us waits for an answer of Redis."""


@pytest.fixture
def line(own_redis: EmbeddedServer) -> Iterator[SilentLine]:
    with SilentLine(own_redis.url) as line:
        yield line


def test_workers_outlive_the_silence_and_a_submit_says_with_which_token_to_repeat_it(
    line: SilentLine, simulator: StartSimulator, tmp_path: Path
) -> None:
    with ExitStack() as ends:
        stack = Stack(line.url, simulator(time_scale=0.02), starter(line.url, tmp_path, ends))
        ends.callback(stack.ledger.store.close)
        ends.callback(stack.client.close)
        stack.pool.control("PUT", "/latency", {"VM.start": 1})
        workers = [stack.start_worker(), stack.start_worker()]
        launches = stack.submit(30, **SMALL)
        half_way(stack, launches)
        with line.silent():
            over = threading.Timer(SILENCE, lambda: None)
            over.start()
            with pytest.raises(SubmitUnknown, match="with the token 'order-1'"):
                stack.client.submit(SHOP, token="order-1")
            over.join()

        shop = stack.client.submit(SHOP, token="order-1")

        assert_all_up(stack, [*launches, shop.id], 200)
        assert all(worker.running for worker in workers)
