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
from xenlaunch import LaunchRequest
from xenlaunch.errors import SubmitUnknown

WEB = LaunchRequest.parse({"name": "order", "template": "debian-12"})

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


def test_a_set_that_was_wiped_stands_still_until_it_is_adopted(
    stack: Stack, servers: RedisSet
) -> None:
    """Also over a fail-over, which is no loss."""
    stack.start_worker()
    up = stack.client.submit(WEB, token="order-1").id
    known = stack.ended([up])[0]
    stack.ledger.store.redis.flushall()
    wait_until(stack.ledger.deployment, 10, "the worker has registered again")
    waiting = stack.submit(name="late")[0]
    wait_until(lambda: says_why(stack, waiting), 20, "it says why it waits")
    fallen = servers.master
    servers.fail_over()
    servers.back_as_a_replica(fallen)
    after = wait_until(lambda: submitted(stack, "order-2"), 60, "a stand-by confirms it")
    wait_until(lambda: says_why(stack, after), 30, "and the next one too")
    assert list(stack.vms()) == ["order"]
    (told,) = stack.client.adopt(timeout=60)

    assert (told["succeeded"], told["error"]) == (1, None)
    assert stack.client.submit(WEB, token="order-1").vm_uuid == known.vm_uuid
    ended = stack.ended([waiting, after], 90)
    assert [status.state for status in ended] == ["succeeded"] * 2
    assert sorted(stack.vms()) == ["late-1", "order", "order-2"]
    stack.client.close()


def submitted(stack: Stack, token: str) -> str:
    """The launch of this token, or '' where that is not known: while no stand-by follows yet."""
    try:
        request = WEB.model_copy(update={"name": token})
        return stack.client.submit(request, token=token).id
    except SubmitUnknown:
        return ""


def says_why(stack: Stack, launch: str) -> bool:
    return "'xenlaunch adopt'" in stack.ledger.status(launch).doing


def half_way(stack: Stack, launches: list[str]) -> bool:
    return sum(one.step in ("vbds", "vifs", "start") for one in stack.statuses(launches)) >= 5
