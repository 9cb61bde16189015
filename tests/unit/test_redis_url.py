"""The URL of Redis: what Celery, kombu and redis-py are each told of it."""

import pytest

from xenlaunch.errors import BadSettings
from xenlaunch.redis_url import RedisUrl

FULL = "sentinel://me:p%40ss@a,b:26380,[fe80::1]:1/2?master=lab&replicas=2&sentinel_password=s"


def test_the_url_of_one_server_is_left_as_it_is() -> None:
    where = RedisUrl.parse("redis://:secret@127.0.0.1:6379/3")

    assert where.for_celery == "redis://:secret@127.0.0.1:6379/3"
    assert (where.celery_options, where.replicas) == ({}, 0)


def test_a_url_of_sentinels_is_taken_apart() -> None:
    where = RedisUrl.parse(FULL)

    assert where.sentinels == (("a", 26379), ("b", 26380), ("fe80::1", 1))
    assert (where.master, where.db, where.replicas) == ("lab", 2, 2)
    assert where.login == {"username": "me", "password": "p@ss"}
    assert where.sentinel_login == {"password": "s"}


def test_celery_gets_a_list_and_the_name_of_the_master() -> None:
    where = RedisUrl.parse("sentinel://:p%40ss@a,b:26380/2?master=lab")

    assert where.for_celery == "sentinel://:p%40ss@a:26379/2;sentinel://:p%40ss@b:26380/2"
    assert where.celery_options == {"master_name": "lab", "sentinel_kwargs": {}}
    assert where.replicas == 1


def test_an_ipv6_address_keeps_its_brackets_for_celery() -> None:
    where = RedisUrl.parse("sentinel://[fe80::1],b/0?master=lab")

    assert where.for_celery == "sentinel://[fe80::1]:26379/0;sentinel://b:26379/0"


def test_kombus_own_way_of_writing_it_is_understood() -> None:
    ours = RedisUrl.parse("sentinel://a:1,b:2/0?master=lab")
    theirs = RedisUrl.parse("sentinel://a:1;sentinel://b:2/0?master=lab")

    assert theirs.for_celery == ours.for_celery


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://a,b/0",
        "sentinel://a/0?master=",
        "sentinel:///0?master=lab",
        "sentinel://a:port/0?master=lab",
        "sentinel://a/x?master=lab",
        "sentinel://a/0?master=lab&colour=1",
        "sentinel://a/0?master=lab&replicas=few",
        "sentinel://:secret@/0?master=lab",
    ],
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadSettings, match="write it like sentinel://10") as refused:
        RedisUrl.parse(url)

    assert "secret" not in refused.value.message
