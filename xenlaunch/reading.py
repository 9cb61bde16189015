"""The ledger as somebody looks at it who watches many launches: read, and never written.

Nothing here runs a script, so that a Redis user who may only read can ask it all.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from xenlaunch import states
from xenlaunch.lease import Made
from xenlaunch.ledger import Ledger
from xenlaunch.model import LaunchStatus
from xenlaunch.record import Record
from xenlaunch.store import reachable


def without_pool(ledger: Ledger, launches: Iterable[str]) -> set[str]:
    """Those of these launches that have no pool yet, in one round trip."""
    launches = list(launches)
    with reachable(), ledger.store.redis.pipeline(transaction=False) as pipe:
        for launch in launches:
            pipe.hget(ledger.store.key("launch", launch), "pool")
        pools = pipe.execute()
    return {launch for launch, pool in zip(launches, pools, strict=True) if not pool}


@dataclass(frozen=True)
class BatchCounts:
    """A batch, and how many of its launches are in which state."""

    id: str
    name: str
    count: int
    submitted: datetime
    states: Mapping[str, int]


@dataclass(frozen=True)
class Moment:
    """Something that happened to a launch: ``state``, ``step``, ``parked`` or ``retry``."""

    at: datetime
    kind: str
    state: str
    step: str
    what: str


@dataclass(frozen=True)
class Whole:
    """All that the ledger has of one launch."""

    record: Record
    status: LaunchStatus
    history: tuple[Moment, ...]
    made: tuple[Made, ...]
    hosts_refused: Mapping[str, str]


def batches(ledger: Ledger, limit: int) -> list[BatchCounts]:
    """The newest batches, newest first."""
    key, redis = ledger.store.key, ledger.store.redis
    with reachable():
        ids = redis.zrevrange(key("batches"), 0, limit - 1)
        with redis.pipeline(transaction=False) as pipe:
            for batch in ids:
                pipe.hgetall(key("batch", batch))
            return [_batch(fields) for fields in pipe.execute() if fields]


def counts(ledger: Ledger) -> dict[str, int]:
    """How many launches are in each state."""
    with reachable(), ledger.store.redis.pipeline(transaction=False) as pipe:
        for state in states.PUBLIC:
            pipe.zcard(ledger.store.key("state", state))
        return dict(zip(states.PUBLIC, pipe.execute(), strict=True))


def newest(ledger: Ledger, state: str | None, limit: int) -> list[LaunchStatus]:
    """The launches, or those in one state, that moved last; the latest first."""
    found: list[tuple[float, str]] = []
    with reachable(), ledger.store.redis.pipeline(transaction=False) as pipe:
        for name in [state] if state else states.PUBLIC:
            pipe.zrevrange(ledger.store.key("state", name), 0, limit - 1, withscores=True)
        for entries in pipe.execute():
            found += [(score, launch) for launch, score in entries]
    latest = sorted(found, reverse=True)[:limit]
    return ledger.statuses([launch for _, launch in latest])


def whole(ledger: Ledger, launch: str) -> Whole:
    """One launch with its history and what was made for it. Raises `UnknownLaunch`."""
    record = ledger.record(launch)
    key = ledger.store.key("launch", launch)
    with reachable(), ledger.store.redis.pipeline(transaction=False) as pipe:
        pipe.lrange(f"{key}:history", 0, -1)
        pipe.smembers(f"{key}:made")
        history, made = pipe.execute()
    return Whole(
        record,
        ledger.statuses_of([record])[0],
        tuple(_moment(json.loads(text)) for text in history),
        tuple(_things(Made(**json.loads(text)) for text in made)),
        record.avoid,
    )


def _things(facts: Iterable[Made]) -> list[Made]:
    """One fact for each object, with its uuid if any of them says it."""
    found: dict[tuple[str, str], Made] = {}
    for fact in facts:
        thing = fact.cls, fact.ref
        found[thing] = max(fact, found.get(thing, fact), key=lambda one: one.uuid)
    return [found[thing] for thing in sorted(found)]


def _batch(fields: Mapping[str, str]) -> BatchCounts:
    return BatchCounts(
        fields["id"],
        fields["name"],
        int(fields["count"]),
        _time(fields["submitted"]),
        {state: int(fields.get(state, 0)) for state in states.PUBLIC},
    )


def _moment(said: Mapping[str, str]) -> Moment:
    return Moment(_time(said["at"]), said["kind"], said["state"], said["step"], said["what"])


def _time(milliseconds: str | float) -> datetime:
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)
