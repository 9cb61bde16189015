"""Keys that nobody will ever delete."""

from fnmatch import fnmatchcase

import redis

from tests.permanent_keys import PERMANENT

NO_TTL = -1


def leaked_keys(url: str) -> list[str]:
    """The keys that have no TTL and are not on the list."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return sorted(
            key
            for key in client.scan_iter()
            if not any(fnmatchcase(key, pattern) for pattern in PERMANENT)
            and client.ttl(key) == NO_TTL
        )


def assert_no_leak(url: str) -> None:
    leaked = leaked_keys(url)
    assert leaked == [], f"these keys never expire: {', '.join(leaked)}"
