"""More launches than one thread gets through before their messages are due to be sent again."""

import os
from functools import partial
from typing import Any, Final

import pytest

from tests.flow.conftest import MakeStack
from tests.flow.test_crashes import assert_all_up
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until

say = partial(print, flush=True)

MANY: Final = int(os.environ.get("BACKLOG", "100"))


def published(stack: Stack) -> int:
    """How many messages have been put into a queue: nothing else is put at the left of a list."""
    stats: dict[str, Any] = stack.ledger.store.redis.info("commandstats")
    return int(stats.get("cmdstat_lpush", {}).get("calls", 0))


def queued(stack: Stack) -> int:
    return int(stack.ledger.store.redis.llen(stack.ledger.store.key("xenlaunch.pool.lab")))


@pytest.mark.timeout(900)
def test_a_backlog_behind_one_thread_does_not_multiply_itself(make_stack: MakeStack) -> None:
    """Steps wait in the queue for longer than the time after which they would be sent again."""
    stack = make_stack("--host-workers", "64")
    stack.start_worker(concurrency=1)
    before = published(stack)
    alone = stack.submit(name="alone", **SMALL)
    assert_all_up(stack, alone)
    of_one = published(stack) - before
    launches = stack.submit(MANY, **SMALL)
    longest = 0

    def all_ended() -> bool:
        nonlocal longest
        longest = max(longest, queued(stack))
        counts = stack.ledger.store.redis.zcard(stack.ledger.store.key("state", "succeeded"))
        return int(counts) == MANY + 1

    wait_until(all_ended, 800, "all have succeeded")
    assert_all_up(stack, alone + launches)
    of_all = published(stack) - before
    said = f"{of_all} messages, {of_one} of one launch alone; at most {longest} waited at once"
    say(f"{MANY} launches: {said}")
    assert 0 < of_all <= (MANY + 1) * of_one * 1.25, said
    assert longest <= MANY * 1.1, said
