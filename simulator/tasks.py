"""Tasks: the rows by which a client follows its calls, and their collection.

Every call that has an Async form makes one, also when it is made synchronously (the row then goes
as the call returns). On success the status is written last: who sees it ended sees it whole.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from simulator.calls import OTHER_CONFIG
from simulator.errors import ApiError, TaskCancelled
from simulator.values import NULL, now
from simulator.wire_xml import encode_value

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.db import Row
    from simulator.world import World

COLLECT_EVERY: Final = 30.0
COMPLETED_KEPT_SECONDS: Final = 65 * 60
PENDING_KEPT_SECONDS: Final = 24 * 3600
YOUNG_TASKS_MAX: Final = 200
RUNNING: Final = frozenset({"pending", "cancelling"})


class Tasks:
    """The pool's tasks."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cancelled: set[str] = set()
        self.created: dict[str, float] = {}  # by ref, for the collection
        self.finished: dict[str, float] = {}
        self.session_of: dict[str, str] = {}
        self.owner_of: dict[str, str] = {}  # the user, who may have logged out
        self._progress: dict[str, float] = {}
        self._sleepers: dict[str, set[asyncio.Future[None]]] = {}
        self._being_read: set[str] = set()  # ended tasks of sub-operations

    # -- the life of a task

    def begin(self, call: Call, parent: str = NULL) -> Row:
        other_config = {
            f"http:{name.removeprefix(OTHER_CONFIG)}": value
            for name, value in call.headers.items()
            if name.startswith(OTHER_CONFIG)
        }
        row = self.create(
            call.sent_as,
            subtask_of=self._parent(call.headers.get("subtask-of", parent)),
            other_config=other_config,
            allowed_operations=["cancel"],
        )
        self.belongs_to(row, call.session)
        return row

    def belongs_to(self, row: Row, session: str) -> None:
        self.session_of[row.ref] = session
        self.owner_of[row.ref] = self.world.sessions.owner_of(session)
        if (owner := self.world.db.find("session", session)) is not None:
            owner["tasks"].append(row.ref)
            self.world.db.touch(owner)

    def create(self, label: str, **values: Any) -> Row:
        row = self.world.db.create(
            "task",
            name_label=label,
            created=now(),
            status="pending",
            type="<none/>",
            resident_on=self.world.master().ref,
            **values,
        )
        self.created[row.ref] = time.time()
        return row

    def _parent(self, ref: str) -> str:
        return ref if self.world.db.find("task", ref) else NULL

    def succeed(self, row: Row, value: Any) -> None:
        self._end(row, status="success", result=encode_value(value))

    def fail(self, row: Row, error: ApiError) -> None:
        if isinstance(error, TaskCancelled) and error.params == (row.ref,):
            self._end(row, status="cancelled")
        else:
            self._end(row, status="failure", error_info=error.description)

    def _end(self, row: Row, *, status: str, **how: Any) -> None:
        if self.world.db.find("task", row.ref) is None:
            return
        self.world.db.update(
            row,
            allowed_operations=[],
            finished=now(),
            progress=1.0,
            **how,
            status=status,
        )
        self.finished[row.ref] = time.time()
        self.cancelled.discard(row.ref)
        if "destroy" in row["current_operations"].values():
            # The real one leaves this to the next collection; nobody can tell but by its delay.
            self.remove(row)

    def set_status(self, row: Row, status: str) -> None:
        """What a client says of a task that it made itself."""
        if status in RUNNING:
            self.world.db.set(row, "status", status)
        else:
            self._end(row, status=status)

    def progress(self, row: Row | None, done: float) -> None:
        if row is not None and self.world.db.find("task", row.ref) and row["status"] in RUNNING:
            self.world.db.set(row, "progress", done)

    def _memories(self) -> tuple[dict[str, Any], ...]:
        return self.created, self.finished, self.session_of, self.owner_of, self._progress

    def remove(self, row: Row) -> None:
        for sub in self.world.db.rows("task", list(row["subtasks"])):
            if sub.ref in self._being_read:
                self.remove(sub)
        self._leave_session(row.ref)
        for memory in self._memories():
            memory.pop(row.ref, None)
        self.cancelled.discard(row.ref)
        self._being_read.discard(row.ref)
        self.world.db.destroy(row)

    def _leave_session(self, ref: str) -> None:
        owner = self.world.db.find("session", self.session_of.get(ref, ""))
        if owner is not None and ref in owner["tasks"]:
            owner["tasks"].remove(ref)
            self.world.db.touch(owner)

    def remove_when_read(self, row: Row) -> None:
        """Leave the ended task of a sub-operation for as long as xapi takes to read it."""
        self._being_read.add(row.ref)
        seconds = self.world.latency.of("subtask.read")
        asyncio.get_running_loop().call_later(seconds, self.remove, row)

    # -- what clients do to them

    def cancel(self, row: Row, by: str) -> None:
        """Ask the operation to stop; it may still succeed."""
        if row["status"] not in RUNNING:
            return
        self.world.db.put(row, "current_operations", by, "cancel")
        self.cancelled.add(row.ref)
        for sleeper in self._sleepers.pop(row.ref, set()):
            if not sleeper.done():
                sleeper.set_result(None)
        for sub in self.world.db.rows("task", row["subtasks"]):
            if "cancel" in sub["allowed_operations"]:
                self.cancel(sub, by)
        self.world.locks.wake()

    def destroy(self, row: Row, by: str) -> None:
        if row["status"] in RUNNING:
            self.world.db.put(row, "current_operations", by, "destroy")
        else:
            self.remove(row)

    async def sleep(self, row: Row | None, seconds: float) -> None:
        """Sleep, unless the task is cancelled before or meanwhile."""
        if row is None:
            await asyncio.sleep(seconds)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sleepers = self._sleepers.setdefault(row.ref, set())
        sleepers.add(woken)
        timer = asyncio.get_running_loop().call_later(seconds, _wake, woken)
        try:
            await woken
        finally:
            timer.cancel()
            sleepers.discard(woken)
            if not sleepers:
                self._sleepers.pop(row.ref, None)

    # -- collection

    async def collect_for_ever(self) -> None:
        while True:
            await asyncio.sleep(COLLECT_EVERY)
            self.collect(time.time())
            self.world.sessions.collect(time.time())

    def collect(self, at: float) -> None:
        """Remove what is old, and when there are too many tasks, completed ones, read or not."""
        young: list[Row] = []
        for row in self.world.db.all("task"):
            if self._is_old(row, at):
                self.remove(row)
            else:
                young.append(row)
            self._progress[row.ref] = row["progress"]
        self._progress = {r.ref: r["progress"] for r in young}
        if len(young) > YOUNG_TASKS_MAX:
            self._thin_out(young)

    def _is_old(self, row: Row, at: float) -> bool:
        if row["status"] not in RUNNING:
            return at - self.finished.get(row.ref, at) > COMPLETED_KEPT_SECONDS
        stuck = self._progress.get(row.ref) == row["progress"]
        return stuck and at - self.created.get(row.ref, at) > PENDING_KEPT_SECONDS

    def _thin_out(self, young: list[Row]) -> None:
        completed = [row for row in young if row["status"] not in RUNNING]
        completed.sort(key=lambda row: self.finished.get(row.ref, 0.0))
        kept = max(0, YOUNG_TASKS_MAX - len(completed))
        for row in completed[: len(completed) - kept]:
            self.remove(row)

    def forget_all(self) -> None:
        """An xapi restart: tasks are not written down anywhere."""
        for row in self.world.db.all("task"):
            self.world.db.forget(row)
        for memory in self._memories():
            memory.clear()
        self.cancelled.clear()
        self._being_read.clear()


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
