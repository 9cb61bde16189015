"""The model's Redis is held to the real one: the same scripts, the same answers, the same keys."""

import random
import re
from collections.abc import Callable
from typing import Any, Final, cast

import pytest
import redis

from tests.model.keyspace import Keyspace
from tests.model.wired import WiredStore
from xenlaunch.store import Argument, Store, _scripts

LAUNCHES: Final = ("l-aaaaaaaaaaaaaaaa", "l-bbbbbbbbbbbbbbbb")
FENCES: Final = ("f1", "f2")
STEPS: Final = ("connect", "clone", "vbds", "start", "poll", "undo")
CALL: Final = '{"method": "VM.clone", "attempt": %d, "state": "%s", "task": "", "since": 1.5}'

SLOTS: Final = (("sr:1", 1), ("sr:1", 1, "sr:2", 1), ("host:1", 2))

OUTSIDE: Final = {"wish_epoch"}
"""Scripts that the model never runs: nobody wipes its Redis."""

_TIMES: Final = re.compile(r"\d{12,}(\.0)?|(?<='ms:)(\w+', )'\d+'")


def arguments(chance: random.Random, script: str) -> tuple[Argument, ...]:
    """What a script might be given: its subject first."""
    launch, fence = chance.choice(LAUNCHES), chance.choice(FENCES)
    step, attempt = chance.choice(STEPS), chance.choice((1, 2))
    call = CALL % (attempt, chance.choice(("open", "done")))
    macs = chance.choice(((), ("02:00:00:00:00:01",), ("02:00:00:00:00:01", "02:00:00:00:00:02")))
    ref = chance.choice(("", "task-1", "task-2"))
    batch, ruling = chance.choice(("", "b-1")), chance.choice("123")
    known: dict[str, tuple[Argument, ...]] = {
        "submit": (
            launch,
            "t",
            chance.choice("dddde"),
            "{}",
            "web",
            batch,
            chance.choice((0, 5, 9)),
            chance.choice(("", "team-a")),
            chance.choice(("", "{}")),
            chance.choice(("", "told")),
            chance.choice((0, 1, 60_000)),
        ),
        "submit_batch": ("b-1", "digest", 2, "web", 60_000, '["least", "2"]', *LAUNCHES),
        "rule": (
            *("b-1", chance.choice(("stop", "undo", "cancel", "destroy", "again")), "so"),
            chance.choice(("", "", "0", "1", "2")),
        ),
        "carried": ("b-1", ruling),
        "batch_seen": ("b-1", chance.choice("12345")),
        "join": (launch, "lab", chance.choice(("1", "0.3", "3.0")), *macs),
        "admit": (launch, "{}", "{}", 2, 3000),
        "claim": (launch, step, fence, "w1", 10_000),
        "intent": (launch, fence, 10_000, "clone", call),
        "outcome": (launch, chance.choice(("", "clone")), attempt, call, "fact"),
        "advance": (launch, fence, step, '{"vm": "x"}', 3000),
        "park": (launch, fence, "something", ref, 60_000, chance.choice("01")),
        "note": (launch, ref or "task-1", '["success","",""]', 3000),
        "slot": (launch, fence, "clone", "its turn", 60_000, *chance.choice(SLOTS)),
        "borrow": ("lab", chance.choice(("", "sr:1", "sr:2")), 1),
        "wake": (launch, ref, 3000),
        "replace": (launch, fence, "network", "u-h1", "is full"),
        "refuse": (launch, "failed", "{}"),
        "too_late": (launch, "{}"),
        "undo": (launch, chance.choice(("", fence)), "failed", "{}"),
        "undone": (launch, fence, chance.choice((0, 1)), chance.choice(("[]", "[1]")), 60_000),
        "reopen": (
            *(launch, chance.choice(("destroyed", "waiting")), 60_000),
            *(chance.choice(("", ruling)), chance.choice(("", '{"code": "BATCH_UNDONE"}'))),
        ),
        "again": (launch, fence, chance.choice((0, 1)), chance.choice(STEPS), "clone"),
        "leftovers": (launch, chance.choice(("[]", "[1]")), chance.choice(("[]", "[1]"))),
        "let_go": ("", launch, fence),
        "claimed": ("lab", "generation"),
        "spread": ("lab", "sr-1 debian-12", chance.choice(("", "1", "2"))),
        "reach_epoch": ("lab", "1"),
        "hunt": (launch, fence, chance.choice(("", "[1]"))),
        "use_networks": (launch, fence, chance.choice(("[]", '["xl1"]', '["xl1", "xl2"]'))),
        "claim_disks": (launch, fence, *chance.choice((("r-1",), ("r-1", "r-2")))),
        "prune": ("lab", chance.choice(("xl1", "xl2")), 60_000),
        "confirm": ("", 3000),
        "succeed": (launch, fence, "{}", "{}"),
        "cancel": (
            launch,
            '{"code": "CANCELLED"}',
            chance.choice(("", ruling)),
            chance.choice("01"),
        ),
        "finishing": (launch, fence),
        "postpone": (launch, 3000, 60_000, "xenlaunch.pool."),
        "told": (launch, 60_000),
        "renew": ("10000", launch, fence),
        "role": ("recover", fence, 5000),
        "leave": ("recover", fence),
        "rolled_back": (launch, "{}", "fact"),
        "open_breaker": ("lab", "breaker:lab", "no answer in time"),
        "close_breaker": ("lab", "breaker:lab"),
        "adopt_epoch": ("lab", chance.choice(("", "7"))),
        "adopt": (
            *(launch, chance.choice(("succeeded", "failed")), "u-vm", "lab"),
            *('{"digest": "d", "name": "web", "learnt": "{}"}', batch, 1),
            *('{"count": 2, "digest": "digest", "name": "web", "submitted": 1}', 60_000),
        ),
    }
    return known[script]


@pytest.fixture
def real(redis_url: str) -> Any:
    store = Store(redis_url)
    yield store
    store.redis.flushall()
    store.close()


@pytest.mark.parametrize("seed", range(3))
def test_the_models_redis_answers_and_keeps_what_a_real_one_does(real: Store, seed: int) -> None:
    chance = random.Random(seed)
    keyspace = Keyspace(lambda: _now(real))
    model = cast("Store", WiredStore(keyspace))
    names = sorted({name for name, _ in _scripts()} - OUTSIDE)
    weights = [4 if name in ("submit", "join", "admit", "claim", "intent") else 1 for name in names]

    for number in range(250):
        script = chance.choices(names, weights)[0]
        words = arguments(chance, script)
        shown = f"{number}: {script} {words}"
        assert answer(model, script, words) == answer(real, script, words), shown
    assert sorted(contents(keyspace.run, keyspace.all_keys())) == sorted(
        contents(real.redis.execute_command, real.redis.keys())
    )


def _now(real: Store) -> int:
    seconds, micros = real.redis.time()
    return int(seconds * 1000 + micros // 1000)


def answer(store: Store, script: str, words: tuple[Argument, ...]) -> str:
    try:
        found = store.run(script, str(words[0]), *words[1:])
    except redis.ResponseError:
        return "an error"
    return timeless([_sorted(part) for part in found] if isinstance(found, list) else found)


def contents(run: Any, keys: list[str]) -> list[str]:
    """All keys but the stream and the nudges, each with what is in it and whether it will die."""
    read: dict[str, Callable[[str], Any]] = {
        "hash": lambda key: _sorted(_flat(run("HGETALL", key))),
        "set": lambda key: sorted(run("SMEMBERS", key)),
        "zset": lambda key: sorted(run("ZRANGE", key, 0, -1)),
        "string": lambda key: run("GET", key),
        "list": lambda key: run("LLEN", key),
    }
    found = []
    for key in keys:
        kind = run("TYPE", key)
        if kind in read:
            found.append(f"{key} {timeless(read[kind](key))} {run('PTTL', key) > 0}")
    return found


def _flat(reply: Any) -> list[str]:
    """redis-py makes a mapping of what is a list on the wire."""
    if isinstance(reply, dict):
        return [word for pair in reply.items() for word in pair]
    return list(reply)


def _sorted(part: Any) -> Any:
    """A hash's fields, or a set's members, in an order."""
    if not isinstance(part, list):
        return part
    pairs = list(zip(part[::2], part[1::2], strict=False))
    return sorted(map(_normal, pairs)) if len(part) % 2 == 0 else sorted(part)


def _normal(pair: tuple[str, str]) -> tuple[str, str]:
    """Two JSON texts of one thing may differ in the order of their fields."""
    name, value = pair
    return (name, "".join(sorted(value))) if name in ("parked", "avoid") else pair


def timeless(answer: Any) -> str:
    return _TIMES.sub(lambda found: f"{found[2] or ''}T", str(answer))
