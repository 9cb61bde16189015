"""A master that falls in the middle of a batch: a replica takes over, and nothing is lost."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from celery.result import AsyncResult

from tests.conftest import starter
from tests.flow.test_crashes import assert_all_up
from tests.support.sentinels import RedisSet
from tests.support.simulators import StartSimulator
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.full("redis-server"), pytest.mark.timeout(400)]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[RedisSet]:
    with RedisSet(tmp_path / "set") as servers:
        yield servers


@pytest.fixture
def stack(servers: RedisSet, simulator: StartSimulator, tmp_path: Path) -> Iterator[Stack]:
    with ExitStack() as ends:
        pool = simulator(time_scale=0.05)
        yield Stack(servers.url, pool, starter(servers.url, tmp_path, ends))


def test_the_master_is_killed_in_the_middle_of_a_batch(stack: Stack, servers: RedisSet) -> None:
    workers = [stack.start_worker(), stack.start_worker()]
    launches = stack.submit(30)
    wait_until(lambda: half_way(stack, launches), 30, "some launches are half way")
    fallen = servers.master
    servers.fail_over()
    fallen.start()

    assert_all_up(stack, launches, 200)
    assert all(worker.running for worker in workers)
    assert_all_up(stack, launches + stack.submit(2, name="after"))
    told: Mapping[str, str] = AsyncResult(f"{launches[0]}.poll", app=stack.client.celery_app).get(
        timeout=10
    )
    assert told["id"] == launches[0]
    stack.client.close()


def half_way(stack: Stack, launches: list[str]) -> bool:
    return sum(one.step in ("vbds", "vifs", "start") for one in stack.statuses(launches)) >= 5
