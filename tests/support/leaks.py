"""Keys that nobody will ever delete."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, Final

import redis

from tests.permanent_keys import PERMANENT, WHILE_LIVE

NO_TTL: Final = -1
LAUNCH: Final = re.compile(r"\bl-[a-z2-7]{16}\b")


def leaked_keys(url: str) -> list[str]:
    """The keys that have no TTL and are not on a list, or name a launch that lives no more."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return sorted(
            key
            for key in client.scan_iter()
            if client.ttl(key) == NO_TTL
            and not _on(PERMANENT, key)
            and not (
                _on(WHILE_LIVE, key) and all(_lives(client, one) for one in _named(client, key))
            )
        )


def assert_no_leak(url: str) -> None:
    leaked = leaked_keys(url)
    assert leaked == [], f"these keys never expire: {', '.join(leaked)}"


def _on(patterns: Iterable[str], key: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _lives(client: Any, launch: str) -> bool:
    """A launch lives until it has ended and that has been told, which takes it out of `due`."""
    key = f"xenlaunch:launch:{launch}"
    ended = client.hexists(key, "ended")
    return bool(client.exists(key)) and (
        not ended or client.zscore("xenlaunch:due", launch) is not None
    )


def _named(client: Any, key: str) -> set[str]:
    """The launches that a key names, in its own name or in what it holds."""
    return set(LAUNCH.findall(key) or LAUNCH.findall(contents(client, key)))


def contents(client: Any, key: str) -> str:
    """All that is in a key, as text."""
    read = {
        "string": client.get,
        "hash": client.hgetall,
        "set": client.smembers,
        "zset": lambda name: client.zrange(name, 0, -1),
        "list": lambda name: client.lrange(name, 0, -1),
        "stream": client.xrange,
    }.get(client.type(key), lambda _: "")
    return str(read(key))
