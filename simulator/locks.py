"""What makes operations wait for each other.

An operation marks the objects it works on (current_operations), under one lock for the whole pool;
a mark that excludes it makes the call wait on the server and try again, whenever any operation
ends and at the latest after a while. About a hundred calls may wait so; the next is refused with
TOO_MANY_PENDING_TASKS. Starts do not wait here but in the queue of their host.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from simulator.errors import ApiError, OtherOperation

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.db import Row
    from simulator.world import World

WAITERS_MAX: Final = 101
#: for so long a call tries again; not scaled, for a slow machine would look like a busy pool
STANDARD_SECONDS: Final = 2 * 3600.0
QUICK_SECONDS: Final = 120.0
#: with a time scale of 0 a retry still gives other operations their turn
_LEAST_WAIT: Final = 0.02


class Mark(NamedTuple):
    """An operation on an object, and what must hold for it to begin."""

    row: Row
    operation: str
    check: Callable[[], None] | None = None


class Locks:
    """The pool-wide lock, the calls that wait, and the queue of each host."""

    def __init__(self, world: World, host_workers: int) -> None:
        self.world = world
        self.host_workers = host_workers
        self.placement = asyncio.Lock()
        self._waiters: set[object] = set()
        self._changed: asyncio.Future[None] | None = None
        self._hosts: dict[str, asyncio.Semaphore] = {}

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._waiters)

    def wake(self) -> None:
        """An operation ended: let those that wait try again."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._changed = None

    def host_queue(self, host: str) -> asyncio.Semaphore:
        """The workers of a host: so many lifecycle operations run on it at once."""
        return self._hosts.setdefault(host, asyncio.Semaphore(self.host_workers))

    @contextlib.asynccontextmanager
    async def marked(
        self, call: Call, marks: Callable[[], Sequence[Mark]], *, quick: bool = False
    ) -> AsyncIterator[None]:
        """Hold the marks while the operation runs. They are asked for anew at each try."""
        held = await self._take(call, marks, quick=quick)
        try:
            yield
        finally:
            self._release(call, held)

    async def _take(
        self, call: Call, marks: Callable[[], Sequence[Mark]], *, quick: bool
    ) -> list[Mark]:
        clock = asyncio.get_running_loop().time
        deadline = clock() + (QUICK_SECONDS if quick else STANDARD_SECONDS)
        while True:
            call.stop_if_cancelled()
            try:
                return self._try(call, marks())
            except OtherOperation:
                if clock() >= deadline:
                    raise
            await self._wait(quick=quick)

    def _try(self, call: Call, marks: Sequence[Mark]) -> list[Mark]:
        """Mark all or none. Nothing awaits in here, so this is the pool-wide lock."""
        for mark in marks:
            if mark.check is not None:
                mark.check()
        for mark in marks:
            self.world.db.put(mark.row, "current_operations", call.mark, mark.operation)
        return list(marks)

    def _release(self, call: Call, marks: Sequence[Mark]) -> None:
        for row, _, _ in marks:
            if self.world.db.find(row.cls.name, row.ref) is row:
                self.world.db.drop(row, "current_operations", call.mark)
        self.wake()

    async def _wait(self, *, quick: bool) -> None:
        if self.waiting >= WAITERS_MAX:
            raise ApiError("TOO_MANY_PENDING_TASKS")
        latency = self.world.latency
        seconds = (
            latency.of("retry.quick") if quick else latency.uniform("retry.least", "retry.most")
        )
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        waiters, waiter = self._waiters, object()
        waiters.add(waiter)
        try:
            await asyncio.wait([self._changed], timeout=max(seconds, _LEAST_WAIT))
        finally:
            waiters.discard(waiter)

    def forget_all(self) -> None:
        """An xapi restart: nothing is locked; marks that are left over are wiped."""
        self.placement = asyncio.Lock()
        self._waiters = set()
        self._changed = None
        db = self.world.db
        for table in db.tables.values():
            if "current_operations" in table.cls.fields and table.cls.name != "task":
                for row in list(table.rows.values()):
                    db.set(row, "current_operations", {})


def exclude(row: Row, *, beside: Collection[str] = ()) -> None:
    """Refuse while an operation runs on the object, unless it is one of `beside`."""
    for task, operation in row["current_operations"].items():
        if operation not in beside:
            raise OtherOperation(row.cls.name, row.ref, operation, task)
