"""What Redis must be set to, so that what it has acknowledged is still there after a crash."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import redis

from xenlaunch.errors import BadSettings
from xenlaunch.store import reachable

OLDEST: Final = 7
"""Older ones cannot be told to refuse a script whole."""

WANTED: Final = {
    "appendonly": ("yes", "it keeps nothing on disk, and whatever was accepted may be lost"),
    "appendfsync": ("always", "what it has just acknowledged may be lost when it dies"),
    "maxmemory-policy": ("noeviction", "it may drop a launch to make room"),
}
"""What each setting must be, and what it means that it is not."""


def check_version(client: Any) -> None:
    with reachable():
        version = str(client.info("server")["redis_version"])
    if int(version.partition(".")[0]) < OLDEST:
        raise BadSettings(f"This Redis is {version}: xenlaunch needs Redis {OLDEST} or newer.")


def doubts(client: Any) -> list[str]:
    """What is wrong with how Redis is set, in sentences. One that may not be asked is trusted."""
    try:
        with reachable():
            return list(_doubts(client.config_get(*WANTED)))
    except redis.ResponseError:
        return []


def _doubts(config: Mapping[str, str]) -> Iterator[str]:
    for name, (wanted, meaning) in WANTED.items():
        found = config.get(name, wanted)
        if found != wanted:
            yield f"Redis is set to {name} {found}, not {wanted}: {meaning}."
