"""Redis dies, stands still, cannot be reached, is full, or loses what was in its queues."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.flow.conftest import MakeStack
from tests.flow.test_crashes import assert_all_up
from tests.support.simulators import StartSimulator
from tests.support.stacks import Stack
from tests.support.waiting import wait_until
from tests.support.worker_processes import StartWorker
from workers.embedded import EmbeddedServer
from xenlaunch import LaunchClient, LaunchRequest
from xenlaunch.errors import SubmitUnknown

# The hardest of them takes half a minute; a machine that is busy with other things takes longer.
pytestmark = pytest.mark.timeout(400)

SMALL = {"memory": "256MiB", "vcpus": 1}
SHOP = LaunchRequest.parse({"name": "shop", "template": "debian-12", **SMALL})
QUEUES = ("xenlaunch.control", "xenlaunch.pool.lab")


@pytest.fixture
def stack(
    own_redis: EmbeddedServer, own_worker: StartWorker, simulator: StartSimulator
) -> Iterator[Stack]:
    """A stack on a server that may be killed, with two workers, where starts take a second."""
    stack = Stack(own_redis.url, simulator(time_scale=0.02), own_worker)
    stack.pool.control("PUT", "/latency", {"VM.start": 1})
    stack.start_worker()
    stack.start_worker()
    yield stack
    stack.client.close()
    stack.ledger.store.close()


def half_way(stack: Stack, launches: list[str]) -> None:
    """Wait until a batch is in its middle: some launches have ended, and some have not begun."""

    def is_half_way() -> bool:
        ended = sum(status.has_ended for status in stack.statuses(launches))
        return ended >= len(launches) // 10

    wait_until(is_half_way, 120, "the batch is half way")
    assert not all(status.has_ended for status in stack.statuses(launches))


@contextmanager
def standing_still(server: EmbeddedServer, seconds: float) -> Iterator[None]:
    """The server answers nothing for so long, and then goes on with what it had heard."""
    os.kill(server.pid, signal.SIGSTOP)
    goes_on = threading.Timer(seconds, os.kill, (server.pid, signal.SIGCONT))
    goes_on.start()
    try:
        yield
        goes_on.join()
    finally:
        goes_on.cancel()
        os.kill(server.pid, signal.SIGCONT)


def test_redis_is_killed_and_restarted_in_the_middle_of_200(
    stack: Stack, own_redis: EmbeddedServer
) -> None:
    launches = stack.submit(200, **SMALL)
    half_way(stack, launches)
    own_redis.kill()
    own_redis.start()

    assert_all_up(stack, launches, 200)
    assert all(worker.running for worker in stack.workers)


def test_redis_stands_still_for_half_a_minute(stack: Stack, own_redis: EmbeddedServer) -> None:
    launches = stack.submit(30, **SMALL)
    half_way(stack, launches)
    with standing_still(own_redis, 30):
        """Leases run out unrenewed, and calls to the pool end unheard."""

    assert_all_up(stack, launches, 200)
    assert all(worker.running for worker in stack.workers)


def test_redis_cannot_be_reached_for_twenty_seconds(
    stack: Stack, own_redis: EmbeddedServer
) -> None:
    launches = stack.submit(30, **SMALL)
    half_way(stack, launches)
    own_redis.stop()
    with pytest.raises(SubmitUnknown, match="with the token 'order-1'"):
        stack.client.submit(SHOP, token="order-1")
    threading.Event().wait(20)
    own_redis.start()

    shop = stack.client.submit(SHOP, token="order-1")

    assert_all_up(stack, [*launches, shop.id], 200)
    assert all(worker.running for worker in stack.workers)


def test_redis_is_full_for_a_while(stack: Stack) -> None:
    """Not a key of a launch is half written, and whoever submits is told with which token."""
    launches = stack.submit(30, **SMALL)
    half_way(stack, launches)
    stack.ledger.store.redis.config_set("maxmemory", 1)
    with pytest.raises(SubmitUnknown, match=r"out of memory.*with the token 'order-1'"):
        stack.client.submit(SHOP, token="order-1")
    wait_until(lambda: trouble(stack), 20, "the workers have met it too")
    stack.ledger.store.redis.config_set("maxmemory", 0)
    shop = stack.client.submit(SHOP, token="order-1")

    assert_all_up(stack, [*launches, shop.id], 200)
    assert all(worker.running for worker in stack.workers)


def trouble(stack: Stack) -> bool:
    logs = "".join(worker.log() for worker in stack.workers)
    return "out of memory" in logs or "maxmemory" in logs


def lose(stack: Stack) -> None:
    """Take every message out of the queues, and out of those that are not acknowledged."""
    key = stack.ledger.store.key
    stack.ledger.store.redis.delete(*map(key, QUEUES), key("unacked"), key("unacked_index"))


def double(stack: Stack) -> None:
    """Deliver again whatever waits, and whatever a worker has taken."""
    redis, key = stack.ledger.store.redis, stack.ledger.store.key
    for queue in map(key, QUEUES):
        for message in set(redis.lrange(queue, 0, -1)):
            redis.lpush(queue, message)
    for taken in redis.hvals(key("unacked")):
        message, _, routing = json.loads(taken)
        redis.lpush(key(routing), json.dumps(message))


def under_way(stack: Stack) -> bool:
    keys = [stack.ledger.store.key(name) for name in (*QUEUES, "unacked")]
    return bool(stack.ledger.store.redis.exists(*keys))


@pytest.mark.parametrize("mischief", [lose, double])
def test_messages_are_lost_or_doubled_again_and_again(
    stack: Stack, mischief: Callable[[Stack], None]
) -> None:
    """Nobody waits for the broker to notice, which takes it a quarter of an hour."""
    launches = stack.submit(40, **SMALL)
    half_way(stack, launches)
    for _ in range(5):
        wait_until(lambda: under_way(stack), 30, "messages are under way")
        mischief(stack)

    assert_all_up(stack, launches, 200)
    calls = Counter(call["method"] for call in stack.changing_calls())
    assert calls["Async.VM.clone"] == len(launches)
    assert calls["Async.VM.start_on"] == len(launches)


def test_six_clients_submit_one_token_at_the_same_moment(make_stack: MakeStack) -> None:
    """Ten times over, and each time it is one launch and one VM."""
    stack = make_stack()
    stack.start_worker()
    start = threading.Barrier(6)
    launches = []

    def submit(number: int) -> list[str]:
        with LaunchClient(stack.url) as client:
            found = []
            for turn in range(10):
                start.wait(20)
                request = SHOP.model_copy(update={"name": f"shop-{turn}"})
                found.append(client.submit(request, token=f"order-{turn}").id)
            return found

    with ThreadPoolExecutor(6) as clients:
        answers = list(clients.map(submit, range(6)))
    launches = answers[0]

    assert answers == [launches] * 6
    assert len(set(launches)) == 10
    assert_all_up(stack, launches, 200)
    calls = Counter(call["method"] for call in stack.changing_calls())
    assert calls["Async.VM.clone"] == 10
