"""event.from and its kin: what changed since a generation, and waiting until something does.

Nothing is queued. A token is a generation; an answer is computed from the rows' own generations
when it is written, so intermediate states coalesce, and deletions come from a short history.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from simulator.errors import ApiError
from simulator.snapshot import Snapshot
from simulator.values import Int32, digits

if TYPE_CHECKING:
    from simulator.db import Database, Row, Table

#: waits before the first look and between looks, so that a burst of changes is one answer. They are
#: the protocol's own and are not scaled.
BATCH_SECONDS: Final = 0.05
#: the first one of event.next
_NEXT_SECONDS: Final = 0.2
_EVERYTHING: Final = ""
#: what may wait for an event.next, before all of it is thrown away
_QUEUE_BYTES: Final = 10 * 2**20


@dataclasses.dataclass(frozen=True)
class Subscription:
    """Classes that are followed whole, and single objects of others."""

    classes: frozenset[str]
    objects: dict[str, frozenset[str]]

    @property
    def tables(self) -> frozenset[str]:
        return self.classes | self.objects.keys()

    @property
    def is_tasks_only(self) -> bool:
        return self.tables == {"task"}


@dataclasses.dataclass(slots=True, eq=False)
class Waiter:
    """One event.from that found nothing yet."""

    session: str
    woken: asyncio.Future[None]

    def wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)


class Events:
    """Finds what changed and wakes who waits for it."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._names = {n.lower(): n for n, t in db.tables.items() if t.cls.gives_events}
        self._waiting: dict[tuple[str, str], set[Waiter]] = {}
        self._by_session: dict[str, set[Waiter]] = {}
        self._registered: dict[str, tuple[set[str], int]] = {}
        self._count = 0

    # -- the calls

    async def since(
        self, session: str, classes: list[str], token: str, seconds: float
    ) -> dict[str, Any]:
        wanted, after = self.subscription(classes), _generation(token)
        before = 0.0 if wanted.is_tasks_only else BATCH_SECONDS
        events = await self._next(session, wanted, after, seconds, before)
        return {
            "events": events,
            "valid_ref_counts": {
                name.lower(): Int32(len(self.db.tables[name].rows)) for name in wanted.tables
            },
            "token": self.token(),
        }

    def token(self) -> str:
        return f"{self.db.generation:020d},{0:020d}"

    def inject(self, cls: str, ref: str) -> str:
        """Make an event for an object that did not change; its token is a barrier."""
        name = self._names.get(cls.lower(), cls)
        if name not in self.db.tables:
            raise ApiError("EVENT_SUBSCRIPTION_PARSE_FAILURE", cls)
        self.db.touch(self.db.get(name, ref))
        return self.token()

    def register(self, session: str, classes: list[str]) -> None:
        self.subscription(classes)
        before, after = self._registered.get(session, (set(), self.db.generation))
        self._registered[session] = (before | set(classes), after)

    def unregister(self, session: str, classes: list[str]) -> None:
        before, after = self._registered.get(session, (set(), 0))
        self._registered[session] = (before - set(classes), after)

    async def next(self, session: str) -> list[dict[str, Any]]:
        classes, after = self._registered.get(session, (set(), 0))
        if not classes:
            raise ApiError("SESSION_NOT_REGISTERED", session)
        wanted = self.subscription(sorted(classes))
        events: list[dict[str, Any]] = []
        while not events:
            events = await self._next(session, wanted, after, 3600.0, _NEXT_SECONDS)
        self._registered[session] = (classes, self.db.generation)
        if sum(row.size() for row in _rows_of(events)) > _QUEUE_BYTES:
            raise ApiError("EVENTS_LOST")
        return events

    def subscription(self, texts: list[str]) -> Subscription:
        """Read what event.from takes: `*`, a class (in any case), or `class/ref`."""
        classes: set[str] = set()
        objects: dict[str, set[str]] = {}
        for text in texts:
            name, slash, ref = text.partition("/")
            if name == "*":
                classes.update(self._names.values())
            elif not name or (slash and not ref):
                raise ApiError("EVENT_SUBSCRIPTION_PARSE_FAILURE", text)
            elif (cls := self._names.get(name.lower())) is None:
                continue  # a class that gives no events: nothing will ever come of it
            elif slash:
                objects.setdefault(cls, set()).add(ref)
            else:
                classes.add(cls)
        single = {cls: frozenset(r) for cls, r in objects.items() if cls not in classes}
        return Subscription(frozenset(classes), single)

    # -- looking and waiting

    async def _next(
        self, session: str, wanted: Subscription, after: int, seconds: float, before: float
    ) -> list[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        if before:
            await asyncio.sleep(min(before, max(0.0, seconds)))
        while True:
            self._check(session)
            events = self._collect(wanted, after)
            left = deadline - loop.time()
            if events or left <= 0:
                return events
            await self._wait(session, wanted, left)
            await asyncio.sleep(min(BATCH_SECONDS, max(0.0, deadline - loop.time())))

    def _check(self, session: str) -> None:
        if self.db.find("session", session) is None:
            raise ApiError("SESSION_INVALID", session)

    async def _wait(self, session: str, wanted: Subscription, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        waiter = Waiter(session, loop.create_future())
        keys = [(cls, _EVERYTHING) for cls in wanted.classes]
        keys += [(cls, ref) for cls, refs in wanted.objects.items() for ref in refs]
        timer = loop.call_later(seconds, waiter.wake)
        groups = [self._waiting.setdefault(key, set()) for key in keys]
        groups.append(self._by_session.setdefault(session, set()))
        for group in groups:
            group.add(waiter)
        try:
            await waiter.woken
        finally:
            timer.cancel()
            self._leave(waiter, keys)

    def _leave(self, waiter: Waiter, keys: list[tuple[str, str]]) -> None:
        for key in keys:
            _discard(self._waiting, key, waiter)
        _discard(self._by_session, waiter.session, waiter)

    def changed(self, cls: str, ref: str) -> None:
        """Wake who waits for it."""
        for key in ((cls, _EVERYTHING), (cls, ref)):
            for waiter in self._waiting.get(key, ()):
                waiter.wake()

    def end_session(self, session: str) -> None:
        self._registered.pop(session, None)
        for waiter in list(self._by_session.get(session, ())):
            waiter.wake()

    def forget_all(self) -> None:
        """An xapi restart: nobody waits any more."""
        for waiters in list(self._by_session.values()):
            for waiter in list(waiters):
                waiter.wake()
        self._registered.clear()

    # -- what changed

    def _collect(self, wanted: Subscription, after: int) -> list[dict[str, Any]]:
        added: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        deleted: list[dict[str, Any]] = []
        for cls in wanted.tables:
            table = self.db.tables[cls]
            only = wanted.objects.get(cls)
            for row in _changed_rows(table, only, after):
                new = row.created > after
                (added if new else changed).append(self._event(row, "add" if new else "mod"))
            for created, at, ref in table.deletions:
                if created <= after < at and (only is None or ref in only):
                    deleted.append(self._deletion(cls, ref))
        return added + changed + deleted

    def _event(self, row: Row, operation: str) -> dict[str, Any]:
        return {**self._deletion(row.cls.name, row.ref, operation), "snapshot": Snapshot(row)}

    def _deletion(self, cls: str, ref: str, operation: str = "del") -> dict[str, Any]:
        self._count += 1
        return {
            "id": self._count,
            "timestamp": "0.0",
            "class": cls.lower(),
            "operation": operation,
            "ref": ref,
        }


def _rows_of(events: list[dict[str, Any]]) -> Iterator[Row]:
    return (event["snapshot"].row for event in events if "snapshot" in event)


def _changed_rows(table: Table, only: frozenset[str] | None, after: int) -> list[Row]:
    if only is None:
        return list(table.changed_since(after))
    rows = (table.rows.get(ref) for ref in only)
    return [row for row in rows if row is not None and row.modified > after]


def _generation(token: str) -> int:
    """Read a token; none is the beginning of time.

    >>> _generation("00000000000000000042,00000000000000000000")
    42
    """
    if not token:
        return 0
    first, _, second = token.partition(",")
    generation = digits(first)
    if generation is None or digits(second) is None:
        raise ApiError("EVENT_FROM_TOKEN_PARSE_FAILURE", token)
    return generation


def _discard(groups: dict[Any, set[Waiter]], key: Any, waiter: Waiter) -> None:
    group = groups.get(key)
    if group is not None:
        group.discard(waiter)
        if not group:
            del groups[key]
