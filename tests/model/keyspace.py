"""Redis' commands, as far as the ledger uses them, on dictionaries and a clock of the model's own.

It is held to the real server in test_model_store.py. What it does not know it refuses loudly.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

Reply = str | int | None | list[Any]

_WRONG: Final = "WRONGTYPE Operation against a key holding the wrong kind of value"


class WrongCommand(Exception):
    """A command that a real server would refuse, or that this one has never heard of."""


class Keyspace:
    """All keys of one server. ``clock`` says the milliseconds since the epoch."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._values: dict[str, Any] = {}
        self._dies: dict[str, int] = {}
        self._ids = itertools.count(1)
        self._methods: dict[str, Callable[..., Any]] = {}

    def run(self, command: str, *words: Any) -> Any:
        """One command, as it stands in a script: ``HSET key field value``."""
        method = self._methods.get(command)
        if method is None:
            method = getattr(self, f"_{command.lower()}", None)
            if method is None:
                raise WrongCommand(f"nobody has written what {command} does")
            self._methods[command] = method
        return method(*map(text, words))

    def all_keys(self) -> list[str]:
        return sorted(key for key in list(self._values) if self._alive(key))

    # Keys

    def _alive(self, key: str) -> bool:
        if key in self._dies and self._dies[key] <= self._clock():
            self._drop(key)
        return key in self._values

    def _drop(self, key: str) -> None:
        self._values.pop(key, None)
        self._dies.pop(key, None)

    def _look(self, key: str, kind: type[Any]) -> Any:
        """The value, or an empty one that is not kept."""
        found = self._values[key] if self._alive(key) else kind()
        if not isinstance(found, kind):
            raise WrongCommand(_WRONG)
        return found

    def _open(self, key: str, kind: type[Any]) -> Any:
        found = self._look(key, kind)
        self._values[key] = found
        return found

    def _tidy(self, key: str) -> None:
        """A collection from which the last has gone is gone itself."""
        if not self._values.get(key, True):
            self._drop(key)

    def _exists(self, *keys: str) -> int:
        return sum(self._alive(key) for key in keys)

    def _del(self, *keys: str) -> int:
        there = self._exists(*keys)
        for key in keys:
            self._drop(key)
        return there

    def _type(self, key: str) -> str:
        names: dict[type[Any], str] = {
            dict: "hash",
            Set: "set",
            Sorted: "zset",
            list: "list",
            str: "string",
        }
        return names[type(self._values[key])] if self._alive(key) else "none"

    def _pexpire(self, key: str, milliseconds: str) -> int:
        if not self._alive(key):
            return 0
        self._dies[key] = self._clock() + whole(milliseconds)
        return 1

    def _pttl(self, key: str) -> int:
        if not self._alive(key):
            return -2
        return self._dies[key] - self._clock() if key in self._dies else -1

    def _persist(self, key: str) -> int:
        return int(self._alive(key) and self._dies.pop(key, None) is not None)

    # Strings

    def _get(self, key: str) -> Reply:
        return str(self._look(key, str)) if self._alive(key) else None

    def _set(self, key: str, value: str, *options: str) -> Reply:
        words = [word.upper() for word in options]
        if "NX" in words and self._alive(key):
            return None
        self._drop(key)
        self._values[key] = value
        for unit, factor in (("PX", 1), ("EX", 1000)):
            if unit in words:
                self._dies[key] = self._clock() + factor * whole(words[words.index(unit) + 1])
        return "OK"

    def _incr(self, key: str) -> int:
        self._values[key] = str(whole(self._look(key, str) or "0") + 1)
        return int(self._values[key])

    # Hashes

    def _hget(self, key: str, field: str) -> Reply:
        found: dict[str, str] = self._look(key, dict)
        return found.get(field)

    def _hmget(self, key: str, *fields: str) -> Reply:
        found: dict[str, str] = self._look(key, dict)
        return [found.get(field) for field in fields]

    def _hgetall(self, key: str) -> Reply:
        return [word for pair in self._look(key, dict).items() for word in pair]

    def _hvals(self, key: str) -> Reply:
        return list(self._look(key, dict).values())

    def _hkeys(self, key: str) -> Reply:
        return list(self._look(key, dict))

    def _hlen(self, key: str) -> int:
        return len(self._look(key, dict))

    def _hexists(self, key: str, field: str) -> int:
        return int(field in self._look(key, dict))

    def _hset(self, key: str, *pairs: str) -> int:
        if not pairs or len(pairs) % 2:
            raise WrongCommand("wrong number of arguments for 'hset' command")
        found: dict[str, str] = self._open(key, dict)
        before = len(found)
        found.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(found) - before

    def _hsetnx(self, key: str, field: str, value: str) -> int:
        return 0 if self._hexists(key, field) else self._hset(key, field, value)

    def _hdel(self, key: str, *fields: str) -> int:
        found: dict[str, str] = self._look(key, dict)
        gone = sum(found.pop(field, None) is not None for field in fields)
        self._tidy(key)
        return gone

    def _hincrby(self, key: str, field: str, by: str) -> int:
        found: dict[str, str] = self._open(key, dict)
        found[field] = str(whole(found.get(field, "0")) + whole(by))
        return int(found[field])

    # Sets

    def _sadd(self, key: str, *members: str) -> int:
        found: Set = self._open(key, Set)
        before = len(found)
        found.update(dict.fromkeys(members))
        return len(found) - before

    def _srem(self, key: str, *members: str) -> int:
        found: Set = self._look(key, Set)
        gone = sum(member in found for member in members)
        for member in members:
            found.pop(member, None)
        self._tidy(key)
        return gone

    def _scard(self, key: str) -> int:
        return len(self._look(key, Set))

    def _smembers(self, key: str) -> Reply:
        return list(self._look(key, Set))

    def _sismember(self, key: str, member: str) -> int:
        return int(member in self._look(key, Set))

    # Sorted sets

    def _zadd(self, key: str, *pairs: str) -> int:
        if pairs[0] == "XX":
            there = self._look(key, Sorted)
            pairs = tuple(
                word
                for score, member in zip(pairs[1::2], pairs[2::2], strict=True)
                if member in there
                for word in (score, member)
            )
            if not pairs:
                return 0
        found: Sorted = self._open(key, Sorted)
        before = len(found)
        found.update(
            (member, float(score)) for score, member in zip(pairs[::2], pairs[1::2], strict=True)
        )
        return len(found) - before

    def _zrem(self, key: str, *members: str) -> int:
        found: Sorted = self._look(key, Sorted)
        gone = sum(found.pop(member, None) is not None for member in members)
        self._tidy(key)
        return gone

    def _zscore(self, key: str, member: str) -> Reply:
        score = self._look(key, Sorted).get(member)
        return None if score is None else text(score)

    def _zcard(self, key: str) -> int:
        return len(self._look(key, Sorted))

    def _zrange(self, key: str, first: str, last: str) -> Reply:
        line = [member for member, _ in self._in_order(key)]
        return line[whole(first) : (whole(last) + 1) or None]

    def _zrangebyscore(self, key: str, least: str, most: str, *limit: str) -> Reply:
        low, high = float(least), float(most)
        fitting = [member for member, score in self._in_order(key) if low <= score <= high]
        start, count = map(whole, limit[1:]) if limit else (0, len(fitting))
        return fitting[start : start + count]

    def _zremrangebyscore(self, key: str, least: str, most: str) -> int:
        gone = self._zrangebyscore(key, least, most)
        assert isinstance(gone, list)
        return self._zrem(key, *gone)

    def _in_order(self, key: str) -> Iterator[tuple[str, float]]:
        found: Sorted = self._look(key, Sorted)
        return iter(sorted(found.items(), key=lambda pair: (pair[1], pair[0])))

    # Lists and streams

    def _rpush(self, key: str, *values: str) -> int:
        found: list[str] = self._open(key, list)
        found.extend(values)
        return len(found)

    def _ltrim(self, key: str, first: str, last: str) -> str:
        found: list[str] = self._look(key, list)
        found[:] = found[whole(first) : (whole(last) + 1) or None]
        self._tidy(key)
        return "OK"

    def _llen(self, key: str) -> int:
        return len(self._look(key, list))

    def _lpop(self, key: str) -> Reply:
        found: list[str] = self._look(key, list)
        first = found.pop(0) if found else None
        self._tidy(key)
        return first

    def _xadd(self, key: str, *words: str) -> str:  # noqa: ARG002  told to people alone
        return f"{self._clock()}-{next(self._ids)}"

    # The server

    def _time(self) -> Reply:
        now = self._clock()
        return [str(now // 1000), str(now % 1000 * 1000)]


class Set(dict[str, None]):
    """A set that keeps its order, so that a run can be repeated."""


class Sorted(dict[str, float]):
    """Members and their scores."""


def text(word: Any) -> str:
    """A word as it goes over the wire: a number that is whole without a point."""
    if isinstance(word, str):
        return word
    if isinstance(word, float):
        return str(int(word)) if word.is_integer() else f"{word:.17g}"
    return word.decode() if isinstance(word, bytes) else str(word)


def whole(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise WrongCommand("value is not an integer or out of range") from None
