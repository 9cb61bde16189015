"""Recovering: whatever is due in the ledger is looked at, whoever was to do it.

A lost message, a dead worker, a missed event and a broker that was away are all the same case here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from scheduler.deadline import give_up
from xenlaunch import states
from xenlaunch.ledger import Ledger
from xenlaunch.reading import without_pool
from xenlaunch.record import Record

ACCEPT_SECONDS: Final = 2.0
"""For so long one pass gives launches their pools, which may have to be asked for that."""


class Actions(Protocol):
    """What can be done about a launch that is due."""

    def accept(self, record: Record) -> bool: ...

    def begin(self, launch: str, step: str) -> None: ...

    def tell(self, record: Record) -> None: ...


@dataclass
class Recovery:
    """One pass over what is due."""

    ledger: Ledger
    actions: Actions
    clock: Callable[[], float] = time.monotonic

    def sweep(self, limit: int = 500) -> int:
        """Look at everything that is due, but what waits in a queue; how many that was.

        Who needs a pool yet comes last: a slow one is asked then, and nobody is to wait for that.
        """
        due = self.ledger.due(limit)
        new = without_pool(self.ledger, due)
        looked = sum(self._look_at(launch) for launch in due if launch not in new)
        until = self.clock() + ACCEPT_SECONDS
        for launch in due:
            if launch in new and self.clock() < until:  # who is left is still due
                looked += self._look_at(launch)
        return looked

    def _look_at(self, launch: str) -> bool:
        """Whether it was for us: one by one, what is sent for one makes the queue longer."""
        if not self.ledger.postpone(launch):
            return False
        for record in self.ledger.records([launch]):
            self.attend(record)
        return True

    def look(self, launch: str) -> None:
        """Look at one launch now: somebody says that it has news.

        That may be old news by now, and its message be on its way: then it is not due.
        """
        for record in self.ledger.records([launch]):
            free = not (record.lease or record.parked)
            if record.ended or (free and self.ledger.postpone(launch)):
                self.attend(record)

    def attend(self, record: Record) -> None:
        """Do for a launch what its record says comes next."""
        if record.ended:
            self.actions.tell(record)
        elif record.start_by and give_up(self.ledger, record):
            self.look(record.id)
        elif record.state == states.WAITING:
            if not record.pool and not self.actions.accept(record):
                self.look(record.id)
        elif record.parked:
            self._wake(record)
        else:
            self.actions.begin(record.id, record.step)

    def _wake(self, record: Record) -> None:
        """The deadline of what was waited for has passed: the step itself decides what then."""
        step = self.ledger.wake(record.id)
        if step:
            self.actions.begin(record.id, step)
