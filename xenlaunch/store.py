"""The connection to Redis, and the ledger's scripts, each named as its file in `lua/`."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from xenlaunch import states
from xenlaunch.errors import StoreUnreachable
from xenlaunch.names import PREFIX

Argument = str | bytes | int | float


class Store:
    """One Redis, shared by the threads of a process. Scripts are atomic, and may be repeated.

    Repeating is safe because every script that takes something does so for its caller's random
    fence or token, and gives the same answer to the same caller.
    """

    def __init__(self, url: str, *, prefix: str = PREFIX, connections: int = 200) -> None:
        self.prefix = prefix
        self._pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=30,
            socket_timeout=10,
            socket_connect_timeout=5,
            socket_keepalive=True,
            health_check_interval=25,
            decode_responses=True,
            retry=Retry(NoBackoff(), 1),
        )
        # redis-py types every answer as "now or awaitable"; here it is always now.
        self.redis: Any = redis.Redis(connection_pool=cast("Any", self._pool))
        self._scripts = {name: self.redis.register_script(text) for name, text in _scripts()}

    def key(self, *parts: str) -> str:
        return self.prefix + ":".join(parts)

    def run(self, script: str, subject: str, *arguments: Argument) -> Any:
        """Run a script on one subject: a launch, a batch or a role, by its id."""
        with reachable():
            return self._scripts[script](args=[self.prefix, subject, *arguments])

    def run_all(self, script: str, calls: list[tuple[Argument, ...]]) -> list[Any]:
        """Run a script once per tuple of arguments (the subject first) in one round trip."""
        with reachable(), self.redis.pipeline(transaction=False) as pipe:
            for arguments in calls:
                self._scripts[script](args=[self.prefix, *arguments], client=pipe)
            return list(pipe.execute())

    def close(self) -> None:
        self._pool.disconnect()


@contextmanager
def reachable() -> Iterator[None]:
    """Turn redis-py's ways of not being answered into `StoreUnreachable`."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.BusyLoadingError) as lost:
        raise StoreUnreachable("Redis does not answer. Is it running, and its URL right?") from lost
    except redis.exceptions.OutOfMemoryError as full:
        raise StoreUnreachable("Redis is out of memory and takes nothing new.") from full


def _scripts() -> Iterator[tuple[str, str]]:
    folder = files("xenlaunch") / "lua"
    prelude = _tables() + (folder / "prelude.lua").read_text()
    for file in folder.iterdir():
        name = file.name.removesuffix(".lua")
        if name != "prelude":
            yield name, prelude + file.read_text()


def _tables() -> str:
    moves = ", ".join(f"['{move}'] = true" for move in states.lua_table().split())
    public = ", ".join(f"{state} = '{states.public(state)}'" for state in states.STATES)
    ended = ", ".join(f"{state} = true" for state in sorted(states.ENDED))
    return (
        f"local MOVES = {{ {moves} }}\nlocal PUBLIC = {{ {public} }}\nlocal ENDED = {{ {ended} }}\n"
    )
