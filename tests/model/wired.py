"""The lines of a process to the world outside: the same code on both ends, effects in between."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import redis

from tests.model.effects import Effect, Kind, perform
from tests.model.keyspace import Keyspace, WrongCommand
from tests.model.scripts import LuaError, Scripts
from tests.model.tinypool import TinyPool
from xenlaunch.names import PREFIX
from xenlaunch.store import Argument, reachable

SCRIPTS = Scripts()


class WiredStore:
    """What `Store` is to a process: the same scripts, on the model's keyspace."""

    def __init__(self, keyspace: Keyspace) -> None:
        self.prefix = PREFIX
        self.redis = WiredRedis(keyspace)
        self._keyspace = keyspace

    def key(self, *parts: str) -> str:
        return self.prefix + ":".join(parts)

    def run(self, script: str, subject: str, *arguments: Argument) -> Any:
        words = [self.prefix, subject, *arguments]

        def act() -> Any:
            try:
                return SCRIPTS.run(self._keyspace, script, words)
            except (LuaError, WrongCommand) as error:
                raise redis.ResponseError(str(error)) from error

        with reachable():
            return perform(Effect(Kind.SCRIPT, script, act))

    def run_all(self, script: str, calls: list[tuple[Argument, ...]]) -> list[Any]:
        return [self.run(script, str(subject), *words) for subject, *words in calls]

    def close(self) -> None:
        """There is nothing to close."""


class WiredRedis:
    """What redis-py is to the ledger, as far as it is used."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace

    def _run(self, command: str, *words: Any) -> Any:
        def act() -> Any:
            try:
                return self._keyspace.run(command, *words)
            except WrongCommand as error:
                raise redis.ResponseError(str(error)) from error

        return perform(Effect(Kind.LEDGER, command, act, changes=command in _WRITES))

    def hgetall(self, key: str) -> dict[str, str]:
        flat = self._run("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def smembers(self, key: str) -> set[str]:
        return set(self._run("SMEMBERS", key))

    def time(self) -> tuple[int, int]:
        seconds, micros = self._run("TIME")
        return int(seconds), int(micros)

    def zrangebyscore(self, key: str, least: float, most: float, start: int, num: int) -> Any:
        return self._run("ZRANGEBYSCORE", key, least, most, "LIMIT", start, num)

    def blpop(self, keys: Sequence[str], timeout: float) -> Any:  # noqa: ARG002  nobody waits here
        first = self._run("LPOP", keys[0])
        return None if first is None else (keys[0], first)

    def info(self, section: str) -> dict[str, str]:
        return {"run_id": self._run("GET", f"the {section}") or "first"}

    def exists(self, key: str) -> int:
        return int(self._run("EXISTS", key))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Commands whose words and answers are as they are on the wire."""
        return lambda *words: self._run(name.upper(), *words)

    @contextmanager
    def pipeline(self, *, transaction: bool) -> Iterator["WiredPipe"]:  # noqa: ARG002  as redis-py has it
        """What goes in one round trip is told apart here, transaction or not."""
        yield WiredPipe(self)


_WRITES = frozenset({"HSET", "HSETNX", "HDEL", "SET", "DEL", "LPOP", "ZREMRANGEBYSCORE"})


class WiredPipe:
    """Commands that are sent together."""

    def __init__(self, line: WiredRedis) -> None:
        self._line = line
        self._commands: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *words: self._commands.append((name, words))

    def execute(self) -> list[Any]:
        return [getattr(self._line, name)(*words) for name, words in self._commands]


class WiredTransport:
    """What `Transport` is to a session. ``pool`` is put in by who made the session."""

    pool: TinyPool

    def __init__(self, *_trust: Any, **_times: Any) -> None:
        """What a real one is told of certificates and times means nothing here."""

    def post(
        self,
        address: str,  # noqa: ARG002  there is one
        method: str,
        params: Sequence[Any],
        *,
        headers: Mapping[str, str] | None = None,
        read_seconds: float | None = None,  # noqa: ARG002  the story says who waits
        hide: Sequence[str] = (),  # noqa: ARG002  nothing is secret here
    ) -> Any:
        def act() -> Any:
            return self.pool.call(method, params, headers or {})

        return perform(Effect(Kind.POOL, method, act, changes=bool(headers)))

    def close(self) -> None:
        """There is nothing to close."""


class Baton:
    """A lock between the actors of a process: who waits for it lets the others go on."""

    def __init__(self) -> None:
        self._taken = False

    def acquire(self, timeout: float) -> bool:
        for _ in range(int(timeout)):
            if not self._taken:
                self._taken = True
                return True
            perform(Effect(Kind.LEDGER, "what a colleague is doing", lambda: None, changes=False))
        return False

    def release(self) -> None:
        self._taken = False

    def __enter__(self) -> None:
        self.acquire(100)

    def __exit__(self, *_how: object) -> None:
        self.release()


class FreshRecords:
    """The pool's records as they are now."""

    def __init__(self, pool: TinyPool) -> None:
        self._pool = pool

    def ready(self, seconds: float) -> None:
        """They are."""

    def barrier(self, seconds: float = 5.0) -> None:
        """They always show all that was done."""

    def check(self) -> None:
        """They are followed."""

    def subscribe(self, callback: Callable[..., None]) -> None:
        """Nobody is told: who wants to know looks."""

    def all(self, cls: str) -> dict[str, Any]:
        name = next((known for known in self._pool.tables if known.lower() == cls), cls)
        return {ref: self._pool.record(name, ref) for ref in self._pool.rows(name)}

    def get(self, cls: str, ref: str) -> Any:
        return self.all(cls).get(ref)


class WiredApp:
    """What Celery is to the door and to the messages: a queue, a table of results, and nobody."""

    def __init__(
        self, send: Callable[[str, tuple[str, ...]], None], results: dict[str, str]
    ) -> None:
        self._send = send
        self._results = results
        self.backend = self
        self.events = self

    def signature(self, name: str, *, args: tuple[str], **_more: Any) -> "WiredLink":
        return WiredLink(self, args[0], (name.removeprefix("xenlaunch."),))

    def store_result(self, task_id: str, _result: Any, state: str) -> None:
        def act() -> None:
            self._results[task_id] = state

        if state == "RETRY":
            return  # told to people, and to nobody else
        perform(Effect(Kind.MESSAGE, f"result of {task_id}", act))

    def send(self, launch: str, steps: tuple[str, ...]) -> None:
        perform(Effect(Kind.MESSAGE, f"{steps[0]}", lambda: self._send(launch, steps)))

    @contextmanager
    def default_dispatcher(self) -> Iterator[Any]:
        yield SimpleNamespace(send=lambda *_words, **_more: None)

    # What the door tells of a task to people

    def update_state(self, **_told: Any) -> None:
        """Flower's."""

    def send_event(self, *_words: str, **_told: Any) -> None:
        """Flower's."""


class WiredLink:
    """A message that would be sent: the steps of a launch from one on."""

    def __init__(self, app: WiredApp, launch: str, steps: tuple[str, ...]) -> None:
        self.app, self.launch, self.steps = app, launch, steps

    def apply_async(self, **_how: Any) -> None:
        self.app.send(self.launch, self.steps)


def chained(*links: WiredLink, app: WiredApp) -> WiredLink:
    """What Celery's ``chain`` makes of the links."""
    return WiredLink(app, links[0].launch, tuple(step for link in links for step in link.steps))
