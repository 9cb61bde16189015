"""A Redis that is not the one which a pool was last used through begins nothing there."""

import shutil
from pathlib import Path

import pytest

from tests.support.simulators import StartSimulator
from tests.support.stacks import Stack
from tests.support.waiting import wait_until
from tests.support.worker_processes import StartWorker
from workers.embedded import EmbeddedServer


@pytest.fixture
def first(own_redis: EmbeddedServer, own_worker: StartWorker, simulator: StartSimulator) -> Stack:
    """A stack whose Redis the test may stop, with one VM that it has launched."""
    stack = Stack(own_redis.url, simulator(), own_worker)
    stack.start_worker()
    return stack


def said_why(stack: Stack, launch: str) -> str:
    def why() -> str:
        doing = stack.ledger.status(launch).doing
        return doing if "adopt" in doing else ""

    return wait_until(why, 20, "the launch says why it waits")


def test_a_second_stack_with_a_fresh_redis_stands_still_and_says_why(
    first: Stack, redis_url: str, worker: StartWorker
) -> None:
    kept = first.launch(name="mine")
    second = Stack(redis_url, first.pool, worker)
    second.start_worker()
    waiting = second.submit(name="yours")[0]

    assert kept.state == "succeeded", kept.error
    assert "last used through another Redis" in said_why(second, waiting)
    assert "'xenlaunch adopt'" in second.client.pools()[0]["error"]
    assert second.ledger.status(waiting).state == "waiting"
    complaints = second.workers[0].log().count("dispatch:lab: The pool lab was last used")
    assert complaints == 1
    assert first.client.pools()[0]["error"] is None
    assert first.launch(name="more").state == "succeeded"
    assert sorted(first.vms()) == ["mine-1", "more-1"]
    second.client.cancel(waiting)


def test_a_redis_that_was_wiped_under_its_workers_stands_still(first: Stack) -> None:
    first.launch(name="before")
    first.ledger.store.redis.flushall()
    wait_until(first.ledger.deployment, 10, "the worker has registered again")
    waiting = first.submit(name="after")[0]

    said_why(first, waiting)
    assert sorted(first.vms()) == ["before-1"]


def test_a_redis_that_was_rolled_back_stands_still(
    first: Stack, own_redis: EmbeddedServer, tmp_path: Path
) -> None:
    wait_until(lambda: "claimed:lab" in first.ledger.claims(), 10, "the pool is claimed")
    own_redis.stop()
    shutil.copytree(own_redis.data_dir, tmp_path / "copy")
    own_redis.start()
    launched = first.launch(name="before")
    assert launched.state == "succeeded", launched.error
    own_redis.kill()
    shutil.rmtree(own_redis.data_dir)
    shutil.copytree(tmp_path / "copy", own_redis.data_dir)
    own_redis.start()
    waiting = first.submit(name="after")[0]

    assert "older copy" in said_why(first, waiting)
    assert sorted(first.vms()) == ["before-1"]


def test_two_deployments_share_a_pool(first: Stack, redis_url: str, worker: StartWorker) -> None:
    other = Stack(redis_url, first.pool, worker, deployment="others")
    other.start_worker()

    assert other.launch(name="yours").state == "succeeded"
    assert first.launch(name="mine").state == "succeeded"


def test_launches_under_way_stop_where_another_stack_takes_the_pool(first: Stack) -> None:
    """It is seen in the pool's record of itself, from one call to the next."""
    first.pool.faults({"method": "VM.clone", "action": "delay", "seconds": 3, "times": 1})
    launch = first.submit(nics=[{"network": "guest"}])[0]
    first.until(launch, "clone", "the clone")
    ref, row = next(iter(first.rows("pool").items()))
    mine = row["other_config"]["xenlaunch-generation:tests"]
    first.call("pool.remove_from_other_config", ref, "xenlaunch-generation:tests")
    first.call("pool.add_to_other_config", ref, "xenlaunch-generation:tests", "another")
    said_why(first, launch)
    changed = [call["method"] for call in first.changing_calls()]
    first.call("pool.remove_from_other_config", ref, "xenlaunch-generation:tests")
    first.call("pool.add_to_other_config", ref, "xenlaunch-generation:tests", mine)

    assert "VIF.create" not in changed
    assert first.ended([launch])[0].state == "succeeded"
