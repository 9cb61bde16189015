"""What the ledger's scripts do on a Redis that is full, refuses, or has lost its replicas."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import redis

from tests.support.sentinels import RedisSet
from tests.support.waiting import wait_until
from tests.unit.core.lives import DEPLOYMENT, Lives, call, request
from xenlaunch import LaunchClient
from xenlaunch.errors import StoreUnreachable, SubmitUnknown
from xenlaunch.lease import Made
from xenlaunch.ledger import Ledger, launch_id
from xenlaunch.store import CONFIRMED, GOES_ON_WHEN_FULL, Store, reachable

SCRIPTS = {file.name.removesuffix(".lua") for file in (files("xenlaunch") / "lua").iterdir()}


@pytest.fixture
def lives(any_redis_url: str) -> Iterator[Lives]:
    store = Store(any_redis_url)
    yield Lives(Ledger(store))
    store.redis.config_set("maxmemory", 0)
    store.redis.flushall()
    store.close()


def fill(lives: Lives) -> None:
    """From now on the server is out of memory."""
    lives.redis.config_set("maxmemory", 1)


def everything(lives: Lives) -> dict[str, bytes]:
    keys = list(lives.redis.scan_iter())
    return {key: lives.redis.execute_command("DUMP", key, NEVER_DECODE=True) for key in keys}


def test_the_scripts_that_are_treated_in_a_special_way_exist() -> None:
    assert SCRIPTS >= CONFIRMED | GOES_ON_WHEN_FULL


def test_a_full_redis_takes_no_new_launch_and_no_half_of_one(lives: Lives) -> None:
    lives.ledger.register(DEPLOYMENT, "g1", ["lab"])
    fill(lives)
    before = everything(lives)

    with pytest.raises(StoreUnreachable, match="out of memory and takes nothing new"):
        lives.submitted()
    assert everything(lives) == before


def test_a_full_redis_begins_nothing_and_keeps_what_is_known(lives: Lives) -> None:
    waiting, running, lease = lives.joined(), lives.running(), lives.leased("clone")
    lease.intend("clone", call())
    fill(lives)
    for begin in (
        lambda: lives.admit(waiting),
        lambda: lives.claim(running),
        lambda: lease.intend("other", call()),
    ):
        with pytest.raises(StoreUnreachable):
            begin()
    lease.came_out("clone", "OpaqueRef:vm", [Made("VM", "OpaqueRef:vm")])
    lease.advance(lease.launch, "vbds")

    assert lives.ledger.record(lease.launch.id).step == "vbds"
    assert lease.facts() == {Made("VM", "OpaqueRef:vm")}
    assert lives.state(waiting) == "waiting"


def test_the_client_says_that_redis_is_full_and_with_which_token_to_repeat(
    lives: Lives, any_redis_url: str
) -> None:
    lives.ledger.register(DEPLOYMENT, "g1", ["lab"])
    with LaunchClient(any_redis_url) as client:
        fill(lives)
        with pytest.raises(SubmitUnknown, match=r"out of memory.*with the token 'order-1'"):
            client.submit(request(), token="order-1")
        with pytest.raises(SubmitUnknown, match=r"out of memory.*with the token 'order-2'"):
            client.submit_batch(request(), 3, token="order-2")
        lives.redis.config_set("maxmemory", 0)
        launch = client.submit(request(), token="order-1")

    assert launch.id == launch_id(DEPLOYMENT, "order-1")
    lives.redis.flushall()


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (redis.ResponseError("MISCONF Errors writing to the AOF file"), "cannot write to its disk"),
        (redis.ResponseError("NOREPLICAS Not enough good replicas"), "too few replicas"),
        (redis.exceptions.ReadOnlyError("You can't write"), "another server is the master"),
    ],
)
def test_what_redis_will_take_later_is_as_good_as_redis_away(refusal: Exception, said: str) -> None:
    with pytest.raises(StoreUnreachable, match=said), reachable():
        raise refusal


def test_what_redis_will_never_take_is_a_fault_of_ours() -> None:
    with pytest.raises(redis.ResponseError), reachable():
        raise redis.ResponseError("ERR unknown command")


@pytest.mark.full("redis-server")
def test_behind_sentinel_a_write_counts_when_a_replica_has_it(tmp_path: Path) -> None:
    with RedisSet(tmp_path, replicas=1) as servers:
        store = Store(servers.url)
        lives = Lives(Ledger(store))
        lives.ledger.register(DEPLOYMENT, "g1", ["lab"])
        first = lives.submitted()
        replica = next(one for one in servers.servers if one is not servers.master)
        with redis.Redis.from_url(replica.url, decode_responses=True) as client:
            assert client.hget(f"xenlaunch:launch:{first}", "state") == "waiting"
        replica.kill()
        with pytest.raises(StoreUnreachable, match="No replica of Redis has confirmed"):
            lives.ledger.submit(DEPLOYMENT, request(), "order-1")
        # It is in the master, but a repeat that finds it there is no more sure than the first.
        with pytest.raises(StoreUnreachable, match="No replica of Redis has confirmed"):
            lives.ledger.submit(DEPLOYMENT, request(), "order-1")
        replica.start()
        wait_until(lambda: submitted(lives), 20, "the replica follows again")
        store.close()


def submitted(lives: Lives) -> bool:
    try:
        lives.ledger.submit(DEPLOYMENT, request(), "order-1")
    except StoreUnreachable:
        return False
    return True
