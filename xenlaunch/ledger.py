"""The ledger: the one true record of every launch, in Redis.

A Celery message is a hint, the ledger is the truth. A launch's record is a hash; beside it lie its
calls (intents and their outcomes, by call key), the notes of what it waited for, and the set of
what was made for it. States move only inside the scripts of `lua/`, by the table of `states`.
What a worker does under a lease is in `lease`; here is everything that needs none.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from xenlaunch import names, states
from xenlaunch.errors import BadSettings, TokenReused, UnknownLaunch
from xenlaunch.model import LaunchRequest, LaunchStatus
from xenlaunch.record import Record, status_of
from xenlaunch.reservations import reservations
from xenlaunch.store import Store, reachable


@dataclass(frozen=True)
class Times:
    """How long the ledger waits for what, in milliseconds."""

    lease: int = 7_000
    resend: int = 3_000
    resend_most: int = 60_000
    why: int = 20_000  # what a line stands still for is known so long after it was said last
    keep: int = 7 * 24 * 3_600_000


KEEP_BATCH: Final = 4
"""A batch of which nothing has ended is kept so many times as long as one that has."""


@dataclass(frozen=True)
class Deployment:
    """Whose VMs these are: the deployment's name, its generation nonce and its pools."""

    name: str
    generation: str
    pools: tuple[str, ...]


def launch_id(deployment: str, token: str) -> str:
    """The id of the launch that this deployment makes of this token: always the same.

    >>> launch_id("lab-east", "order-4711")
    'l-w5clsuc4chs3pmjo'
    """
    return "l-" + _short_hash(deployment, token)


def batch_id(deployment: str, token: str) -> str:
    return "b-" + _short_hash(deployment, "batch", token)


def _short_hash(*parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return base64.b32encode(digest[:10]).decode().lower()


def _submission(
    launch: str, request: LaunchRequest, token: str, batch: str, place: str
) -> tuple[str | int, ...]:
    """What `submit.lua` is given, its subject first."""
    plain, told = request.apart()
    in_line = (request.priority, request.owner or "")
    within = (request.start_within or 0) * 1000
    digest = request.digest()
    return (launch, token, digest, plain, request.name, batch, *in_line, place, told, within)


class Ledger:
    """Everything about launches that needs no lease."""

    def __init__(self, store: Store, times: Times | None = None) -> None:
        self.store = store
        self.times = times or Times()

    # Deployment

    def register(self, name: str, generation: str, pools: Sequence[str]) -> Deployment:
        """Say whose launches this Redis keeps. The generation of the first to say so stays.

        Raises `BadSettings` where it keeps another deployment's.
        """
        key = self.store.key("deployment")
        with reachable():
            with self.store.redis.pipeline(transaction=True) as pipe:
                pipe.hsetnx(key, "name", name)
                pipe.hsetnx(key, "generation", generation)
                pipe.hsetnx(key, "pools", json.dumps(list(pools)))
                pipe.hget(key, "name")
                *_, owner = pipe.execute()
            if owner != name:
                raise BadSettings(
                    f"This Redis keeps the launches of deployment {owner!r}, and the pools file "
                    f"says {name!r}: give each deployment a Redis of its own."
                )
            self.store.redis.hset(key, "pools", json.dumps(list(pools)))
        found = self.deployment()
        assert found is not None  # noqa: S101  it was written just now
        return found

    def deployment(self) -> Deployment | None:
        record = self.claims()
        if not {"name", "generation", "pools"} <= set(record):
            return None
        return Deployment(record["name"], record["generation"], tuple(json.loads(record["pools"])))

    def claims(self) -> dict[str, str]:
        """What is known of this deployment and of the pools that bear its generation."""
        with reachable():
            return dict(self.store.redis.hgetall(self.store.key("deployment")))

    def claimed(self, pool: str, generation: str) -> None:
        """Note that a pool bears our generation: from now on one that does not has lost it."""
        self.store.run("claimed", pool, generation)

    def wish_epoch(self, pool: str, every_ms: int, known: str) -> str:
        """The epoch that the pool is to bear after the known one.

        '' where nothing has happened since, and where this Redis knows of another.
        """
        return str(self.store.run("wish_epoch", pool, every_ms, known))

    def adopt_epoch(self, pool: str, borne: str) -> str:
        """The epoch, later than all before, that a pool is to bear when it was adopted."""
        return str(self.store.run("adopt_epoch", pool, borne))

    def reach_epoch(self, pool: str, epoch: str) -> None:
        """The pool bears the epoch that was wished."""
        self.store.run("reach_epoch", pool, epoch)

    # Submitting

    def submit(self, deployment: str, request: LaunchRequest, token: str) -> str:
        return self.submit_all(deployment, [(request, token)])[0]

    def submit_all(
        self,
        deployment: str,
        wanted: Iterable[tuple[LaunchRequest, str]],
        batch: str = "",
        places: Sequence[str] = (),
    ) -> list[str]:
        """Write down launches, each with the wish to have it accepted. Repeating is harmless."""
        wanted = list(wanted)
        places = places or [""] * len(wanted)
        launches = [launch_id(deployment, token) for _, token in wanted]
        verdicts = self.store.run_all(
            "submit",
            [
                _submission(launch, request, token, batch, place)
                for launch, (request, token), place in zip(launches, wanted, places, strict=True)
            ],
        )
        for (_, token), verdict in zip(wanted, verdicts, strict=True):
            if verdict == "reused":
                raise TokenReused(
                    f"The token {token!r} was used before for another request. "
                    "Repeat that request as it was, or choose a new token."
                )
        return launches

    # Reading

    def record(self, launch: str) -> Record:
        with reachable():
            fields = self.store.redis.hgetall(self.store.key("launch", launch))
        if not fields:
            raise UnknownLaunch(f"No launch or batch has the id {launch!r}.")
        return Record(fields)

    def records(self, launches: Sequence[str]) -> list[Record]:
        """The records of these launches; those that have expired are left out."""
        with reachable(), self.store.redis.pipeline(transaction=False) as pipe:
            for launch in launches:
                pipe.hgetall(self.store.key("launch", launch))
            return [Record(fields) for fields in pipe.execute() if fields]

    def status(self, launch: str) -> LaunchStatus:
        return self.statuses_of([self.record(launch)])[0]

    def statuses(self, launches: Sequence[str]) -> list[LaunchStatus]:
        return self.statuses_of(self.records(launches))

    def statuses_of(self, records: Sequence[Record]) -> list[LaunchStatus]:
        return [status_of(record) for record in self.explained(records)]

    def explained(self, records: Sequence[Record]) -> list[Record]:
        """The records, those in a line with what keeps all of it from going, if anything does."""
        pools = sorted({one.pool for one in records if one.state == states.WAITING and one.pool})
        if not pools:
            return list(records)
        with reachable():
            whys = self.store.redis.mget([self.store.key("why", pool) for pool in pools])
        why = {pool: said for pool, said in zip(pools, whys, strict=True) if said}
        return [Record({**one.fields, "why": why.get(one.pool, "")}) for one in records]

    def launches_of(self, name: str) -> list[str]:
        """The launches of a batch in order, or the launch itself, by id. Unknown ids raise."""
        with reachable():
            batch = self.store.key("batch", name, "launches")
            launches: list[str] = self.store.redis.zrange(batch, 0, -1)
            if launches or self.store.redis.exists(self.store.key("launch", name)):
                return launches or [name]
        raise UnknownLaunch(f"No launch or batch has the id {name!r}.")

    def all_launches(self, state: str | None = None) -> list[str]:
        """The ids of all launches, or of those in one state, oldest first."""
        found: list[tuple[str, float]] = []
        with reachable():
            for name in [state] if state else states.PUBLIC:
                key = self.store.key("state", name)
                found += self.store.redis.zrange(key, 0, -1, withscores=True)
        return [launch for launch, _ in sorted(found, key=lambda entry: entry[1])]

    def events(
        self, after: str = "$", block_ms: int = 1000
    ) -> Iterator[tuple[str, dict[str, str]]]:
        """Progress events after a position in the stream, as (position, event); ends when idle."""
        with reachable():
            answer = self.store.redis.xread({self.store.key("events"): after}, 1000, block_ms)
        for _, entries in answer or []:
            yield from entries

    def last_event(self) -> str:
        with reachable():
            last = self.store.redis.xrevrange(self.store.key("events"), count=1)
        return str(last[0][0]) if last else "0"

    # Moving

    def join(self, launch: str, pool: str, macs: Sequence[str], weight: float = 1) -> str:
        """Put a launch into its pool's line: ``ok``, ``stale``, or a MAC claimed already.

        ``weight``: its owner's share beside that of others.
        """
        return str(self.store.run("join", launch, pool, weight, *macs))

    def admit(
        self,
        launch: str,
        host: str,
        reservation: dict[str, Any],
        most: int,
        versions: tuple[str, str],
        crowd: int,
    ) -> str:
        """Give a waiting launch its host while fewer than ``most`` are in flight: the step to do.

        Or why not: ``full``: no fewer are in flight, or ``crowd`` wait for a worker; ``stale``: it
        waits no more; ``moved``: somebody else has given room since the reservations were read.

        ``versions``: that of the reservations which were reckoned with, and a new one.
        """
        call = (launch, host, json.dumps(reservation), most, self.times.resend, *versions, crowd)
        return str(self.store.run("admit", *call))

    def say_why(self, reasons: Mapping[str, str]) -> None:
        """Note why launches still wait, for whoever looks at them."""
        with reachable(), self.store.redis.pipeline(transaction=False) as pipe:
            for launch, reason in reasons.items():
                pipe.hset(self.store.key("launch", launch), "reason", reason)
            pipe.execute()

    def say_why_all(self, pool: str, reason: str) -> None:
        """Note why a pool's line stands still, or '': once for all, who may be ten thousand.

        It holds for a moment, and is said again as long as it is so.
        """
        with reachable():
            self.store.redis.set(self.store.key("why", pool), reason, px=self.times.why)

    def refuse(self, launch: str, outcome: str, error: dict[str, Any]) -> str:
        """End who waits, or have it undone and wait anew: ``ended``, ``undo`` or ``stale``."""
        return str(self.store.run("refuse", launch, outcome, json.dumps(error)))

    def cancel(self, launch: str, error: dict[str, Any]) -> str:
        return str(self.store.run("cancel", launch, json.dumps(error)))

    def reopen(self, launch: str, outcome: str) -> str:
        """Have a launch that has ended undone, to end ``destroyed`` or to be ``waiting`` again.

        ``undoing`` or ``waiting``, or why not: ``done``, ``lives``, ``nothing`` to do, ``gone``,
        ``untold``: what its guest was to be told went with its end.
        """
        return str(self.store.run("reopen", launch, outcome, KEEP_BATCH * self.times.keep))

    def wake(self, launch: str, ref: str = "") -> str:
        """Make a parked launch ready: the step to begin, or '' where another was first."""
        return str(self.store.run("wake", launch, ref, self.times.resend))

    def note(self, launch: str, ref: str, note: str) -> str:
        """Write down how something ended that a launch waits for: the step to begin, or ''."""
        return str(self.store.run("note", launch, ref, note, self.times.resend))

    def told(self, launch: str) -> None:
        self.store.run("told", launch, self.times.keep)

    def renew(self, fences: dict[str, str]) -> list[str]:
        """Prolong the leases (launch to fence) of this process; the launches that were lost."""
        flat = [part for pair in fences.items() for part in pair]
        return list(self.store.run("renew", str(self.times.lease), *flat)) if flat else []

    def let_go(self, fences: dict[str, str]) -> int:
        """Give up these leases (launch to fence): others may go on at once."""
        flat = [part for pair in fences.items() for part in pair]
        return int(self.store.run("let_go", "", *flat)) if flat else 0

    def claim_pruning(self, pool: str, bridge: str, ms: int) -> str:
        """Keep launches off a network that is removed: '', or the launch that is to be on it."""
        verdict = str(self.store.run("prune", pool, bridge, ms))
        return "" if verdict == "ok" else verdict

    def pruned(self, pool: str, bridge: str) -> None:
        """Launches may have such a network again, which they then make anew."""
        with reachable():
            self.store.redis.delete(self.store.key("pruning", pool, bridge))

    def networks_used(self, pool: str) -> dict[str, list[str]]:
        """The launches that are to be on a network of the deployment's, by its bridge."""
        with reachable():
            held = self.store.redis.hgetall(self.store.key("networks", pool))
        used: dict[str, list[str]] = {}
        for launch, bridges in held.items():
            for bridge in json.loads(bridges):
                used.setdefault(bridge, []).append(launch)
        return used

    # Deciding

    def due(self, limit: int = 500) -> list[str]:
        """The launches that somebody must look at now."""
        with reachable():
            seconds, micros = self.store.redis.time()
            key, now = self.store.key("due"), seconds * 1000 + micros // 1000
            return list(self.store.redis.zrangebyscore(key, 0, now, start=0, num=limit))

    def postpone(self, launch: str) -> bool:
        """Whether it is the caller who looks at a due launch; the next look comes later."""
        waits = (self.times.resend, self.times.resend_most)
        return bool(self.store.run("postpone", launch, *waits, names.pool_queue("")))

    def waiting(self, pool: str, limit: int = 200, after: int = 0) -> list[str]:
        """The head of a pool's line, or those after so many, in the order of their turns."""
        with reachable():
            line = self.store.key("waiting", pool)
            return list(self.store.redis.zrange(line, after, after + limit - 1))

    def line_length(self, pool: str) -> int:
        with reachable():
            return int(self.store.redis.zcard(self.store.key("waiting", pool)))

    def in_flight(self, pool: str) -> dict[str, dict[str, Any]]:
        """The reservations of the launches in flight on a pool."""
        return reservations(self.store, pool).held

    def count_in_flight(self, pool: str) -> int:
        with reachable():
            return int(self.store.redis.hlen(self.store.key("inflight", pool)))

    def parked(self, pool: str) -> dict[str, str]:
        """What is waited for on a pool: its ref to the launch that waits."""
        with reachable():
            return dict(self.store.redis.hgetall(self.store.key("parked", pool)))

    def await_nudge(self, pool: str, seconds: float) -> bool:
        """Return when the pool's line may have moved, at the latest after so many seconds."""
        with reachable():
            nudged = self.store.redis.blpop([self.store.key("nudge", pool)], timeout=seconds)
        return nudged is not None

    def forget_expired(self) -> None:
        """Drop from the lists by state, and of batches, what has ended and expired."""
        with reachable():
            seconds, _ = self.store.redis.time()
            longest = seconds * 1000 - KEEP_BATCH * self.times.keep
            self.store.redis.zremrangebyscore(self.store.key("batches"), 0, longest)
            for state in states.ENDED:
                oldest = seconds * 1000 - self.times.keep
                self.store.redis.zremrangebyscore(self.store.key("state", state), 0, oldest)

    # Roles

    def server_run(self) -> str:
        """Which run of the Redis server this is: another one after each restart."""
        with reachable():
            return str(self.store.redis.info("server")["run_id"])

    def take_role(self, role: str, holder: str, lease_ms: int) -> bool:
        return bool(self.store.run("role", role, holder, lease_ms))

    def leave_role(self, role: str, holder: str) -> None:
        self.store.run("leave", role, holder)
