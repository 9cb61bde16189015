"""How Redis must be set, and what a worker says where it is set otherwise."""

import pytest
import redis

from workers import durability
from workers.embedded import EmbeddedServer
from xenlaunch.errors import BadSettings


@pytest.fixture
def client(own_redis: EmbeddedServer) -> redis.Redis:
    return redis.Redis.from_url(own_redis.url, decode_responses=True)


def test_a_redis_that_is_set_as_it_should_be_gives_no_doubts(client: redis.Redis) -> None:
    assert durability.doubts(client) == []


def test_each_setting_that_may_lose_something_is_named(client: redis.Redis) -> None:
    client.config_set("appendonly", "no")
    client.config_set("appendfsync", "everysec")
    client.config_set("maxmemory-policy", "allkeys-lru")

    assert [doubt.partition(":")[0] for doubt in durability.doubts(client)] == [
        "Redis is set to appendonly no, not yes",
        "Redis is set to appendfsync everysec, not always",
        "Redis is set to maxmemory-policy allkeys-lru, not noeviction",
    ]


def test_a_redis_that_may_not_be_asked_is_trusted(client: redis.Redis) -> None:
    client.config_set("appendonly", "no")
    client.acl_setuser("default", enabled=True, nopass=True, commands=["-config"])

    assert durability.doubts(client) == []


def test_a_redis_that_is_too_old_is_refused(client: redis.Redis) -> None:
    durability.check_version(client)

    class Old:
        def info(self, _section: str) -> dict[str, str]:
            return {"redis_version": "6.2.14"}

    with pytest.raises(BadSettings, match=r"is 6\.2\.14: xenlaunch needs Redis 7 or newer"):
        durability.check_version(Old())
