"""The connection to Redis, and the ledger's scripts, each named as its file in `lua/`."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from xenlaunch import states
from xenlaunch.errors import StoreUnreachable
from xenlaunch.names import PREFIX
from xenlaunch.redis_url import RedisUrl

Argument = str | bytes | int | float

GOES_ON_WHEN_FULL: Final = frozenset({
    "advance", "cancel", "confirm", "finishing", "leave", "let_go", "note", "outcome", "park",
    "postpone", "refuse", "renew", "replace", "role", "slot", "succeed", "told", "undo", "undone",
    "wake", "adopt_epoch", "batch_seen", "borrow", "carried", "claimed", "leftovers", "reach_epoch",
    "rolled_back", "rule", "too_late", "wish_epoch", "open_breaker", "close_breaker",
})  # fmt: skip
"""The scripts that Redis runs even when it is out of memory: they end or note what is under way.
All others begin something, and are refused whole: a script is never run half."""

_REFUSALS: Final = {
    "OOM": "Redis is out of memory and takes nothing new.",
    "MISCONF": "Redis cannot write to its disk and takes nothing new.",
    "NOREPLICAS": "Redis has too few replicas and takes nothing new.",
    "READONLY": "Redis is a replica and takes nothing: another server is the master now.",
}
"""What Redis says, by its first word, when it will take the same again later."""


CONFIRMED: Final = frozenset({
    "cancel", "finishing", "intent", "outcome", "refuse", "submit", "submit_batch", "succeed",
    "too_late", "undone", "adopt", "adopt_epoch", "rolled_back", "rule", "wish_epoch",
})  # fmt: skip
"""The scripts after which something happens outside of Redis that could not be taken back: an
answer to an owner, a call to a pool. Behind Sentinel they count only when a replica has them too,
for a replica may be the master next. Replication keeps the order, so all before them is there."""

CONFIRM_MS: Final = 3_000


class Store:
    """One Redis, shared by the threads of a process. Scripts are atomic, and may be repeated.

    Repeating is safe because every script that takes something does so for its caller's random
    fence or token, and gives the same answer to the same caller.
    """

    def __init__(self, url: str, *, prefix: str = PREFIX, connections: int = 200) -> None:
        self.prefix = prefix
        where = RedisUrl.parse(url)
        self.replicas = where.replicas
        # redis-py types every answer as "now or awaitable"; here it is always now.
        self.redis: Any = _sentinel(where) if where.master else _server(url, connections)
        self._scripts = {name: self.redis.register_script(text) for name, text in _scripts()}

    def key(self, *parts: str) -> str:
        return self.prefix + ":".join(parts)

    def run(self, script: str, subject: str, *arguments: Argument) -> Any:
        """Run a script on one subject: a launch, a batch or a role, by its id."""
        if self.replicas and script in CONFIRMED:
            return self.run_all(script, [(subject, *arguments)])[0]
        with reachable():
            return self._scripts[script](args=[self.prefix, subject, *arguments])

    def run_all(self, script: str, calls: list[tuple[Argument, ...]]) -> list[Any]:
        """Run a script once per tuple of arguments (the subject first) in one round trip."""
        confirmed = self.replicas if script in CONFIRMED else 0
        with reachable(), self.redis.pipeline(transaction=False) as pipe:
            for arguments in calls:
                self._scripts[script](args=[self.prefix, *arguments], client=pipe)
            if confirmed:
                self._scripts["confirm"](args=[self.prefix, "", CONFIRM_MS], client=pipe)
                pipe.wait(confirmed, CONFIRM_MS)
            answers: list[Any] = pipe.execute(raise_on_error=False)
            for refused in answers:
                if isinstance(refused, Exception):
                    raise refused
        if confirmed:
            _, reached = answers[-2:]
            if reached < confirmed:
                raise StoreUnreachable("No replica of Redis has confirmed what was written.")
        return answers[: len(calls)]

    def close(self) -> None:
        self.redis.connection_pool.disconnect()


_PATIENCE: Final[dict[str, Any]] = {
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "decode_responses": True,
}


def _server(url: str, connections: int) -> "redis.Redis":
    pool = redis.BlockingConnectionPool.from_url(
        url, max_connections=connections, timeout=30, retry=Retry(NoBackoff(), 1), **_PATIENCE
    )
    return redis.Redis(connection_pool=cast("Any", pool))


def _sentinel(where: RedisUrl) -> "redis.Redis":
    """The master of a set, whichever server that is when a connection is made."""
    asked = {"socket_timeout": 3, "socket_connect_timeout": 1, **where.sentinel_login}
    # redis-py's sentinel module has no types.
    sentinel: Any = cast("Any", Sentinel)(where.sentinels, sentinel_kwargs=asked)
    master: redis.Redis = sentinel.master_for(
        where.master, db=where.db, retry=Retry(NoBackoff(), 1), **where.login, **_PATIENCE
    )
    return master


@contextmanager
def reachable() -> Iterator[None]:
    """Turn redis-py's ways of not being answered into `StoreUnreachable`."""
    try:
        yield
    except redis.exceptions.OutOfMemoryError as full:
        raise StoreUnreachable(_REFUSALS["OOM"]) from full
    except redis.exceptions.ReadOnlyError as replica:
        raise StoreUnreachable(_REFUSALS["READONLY"]) from replica
    except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.BusyLoadingError) as lost:
        raise StoreUnreachable("Redis does not answer. Is it running, and its URL right?") from lost
    except redis.ResponseError as refused:
        sentence = _REFUSALS.get(str(refused).partition(" ")[0].lstrip("-"))
        if sentence is None:
            raise
        raise StoreUnreachable(sentence) from refused


def _scripts() -> Iterator[tuple[str, str]]:
    folder = files("xenlaunch") / "lua"
    prelude = _tables() + (folder / "prelude.lua").read_text()
    for file in folder.iterdir():
        name = file.name.removesuffix(".lua")
        if name != "prelude":
            # With a line that says what it is, a script is refused before it begins or not at all.
            flags = " flags=allow-oom" if name in GOES_ON_WHEN_FULL else ""
            yield name, f"#!lua{flags}\n" + prelude + file.read_text()


def _tables() -> str:
    moves = ", ".join(f"['{move}'] = true" for move in states.lua_table().split())
    public = ", ".join(f"{state} = '{states.public(state)}'" for state in states.STATES)
    ended = ", ".join(f"{state} = true" for state in sorted(states.ENDED))
    return (
        f"local MOVES = {{ {moves} }}\nlocal PUBLIC = {{ {public} }}\nlocal ENDED = {{ {ended} }}\n"
    )
