"""The roles that decide: dispatching each pool's line, and recovering what is due."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from celery import Celery

from scheduler.accept import accept
from scheduler.choosing import Choosing
from scheduler.dispatch import dispatch
from scheduler.inventory import Inventory
from scheduler.recover import Recovery
from scheduler.taken import Followed, Taken
from tasks import messages
from workers.runtime import Runtime
from xenlaunch.breaker import Breaker
from xenlaunch.errors import Busy, PoolError, StoreUnreachable
from xenlaunch.ledger import Ledger
from xenlaunch.record import Record
from xenlaunch.slots import PoolSlots

DISPATCH_EVERY: Final = 2.0
RECOVER_EVERY: Final = 0.5
TIDY_EVERY: Final = 600.0
READY_SECONDS: Final = 5.0
FIRST_SECONDS: Final = 3.0
"""So long whoever chooses among pools waits for one that this process has just begun to follow."""


@dataclass
class Duties:
    """What the scheduler needs done, done with this process's Celery app and runtime."""

    app: Celery
    runtime: Runtime
    _taken: dict[str, Taken] = field(default_factory=dict, repr=False)
    _asked: set[str] = field(default_factory=set, repr=False)
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def pools(self) -> tuple[str, ...]:
        return tuple(self.runtime.settings.pools)

    @property
    def ledger(self) -> Ledger:
        return self.runtime.ledger

    def begin(self, launch: str, step: str) -> None:
        messages.begin(self.app, self.ledger, launch, step)

    def tell(self, record: Record) -> None:
        messages.tell(self.app, self.ledger, record)

    def accept(self, record: Record) -> bool:
        return accept(self.ledger, record, self.choosing, self.runtime.settings.weights)

    @cached_property
    def choosing(self) -> Choosing:
        return Choosing(self)

    def answering(self, pool: str) -> Inventory:
        """The pool, if it is followed and may be used now; the first time it gets a moment."""
        if self.runtime.hangs(pool):
            raise Busy("POOL_SILENT", [pool], f"The pool {pool} does not answer just now.")
        self.permit(pool)
        seconds = 0.0 if pool in self._asked else FIRST_SECONDS
        self._asked.add(pool)
        inventory = self.inventory(pool, seconds)
        inventory.records.check()
        return inventory

    def is_quick(self, pool: str) -> bool:
        """Whether a pool answers this process soon, if it is asked."""
        return self.runtime.is_quick(pool)

    def permit(self, pool: str) -> None:
        """Raise `Busy` where a pool stands still."""
        self.runtime.permit(pool)

    def breaker(self, pool: str) -> Breaker | None:
        """A pool's breaker, if it is open."""
        return self.runtime.breakers.find(pool)

    def inventory(self, pool: str, seconds: float = READY_SECONDS) -> Inventory:
        self.runtime.breakers.check(pool)
        reach = self.runtime.reach(pool)
        reach.records.ready(seconds)
        return Inventory(reach, self._taken_of(pool, reach.records))

    def _taken_of(self, pool: str, records: Followed) -> Taken:
        """What is counted of a pool's VMs as long as this process lives."""
        with self._counting:
            if pool not in self._taken:
                self._taken[pool] = Taken(records, self.runtime.deployment)
            return self._taken[pool]

    @property
    def recovery(self) -> Recovery:
        return Recovery(self.ledger, self)


@dataclass
class Dispatching:
    """The role of sending a pool's line on its way."""

    duties: Duties
    pool: str
    _stands: bool = False  # all who wait were told why

    @property
    def name(self) -> str:
        return f"dispatch:{self.pool}"

    def let_go(self) -> None:
        """What was said of the line holds for a moment only."""
        self._stands = False

    def turn(self, held: Callable[[], bool]) -> None:
        ledger = self.duties.ledger
        ledger.await_nudge(self.pool, DISPATCH_EVERY)
        if not held():
            return
        if ledger.waiting(self.pool, 1):
            inventory = self.inventory()
            # First the epoch, then the launches: a copy from before them is told from this Redis.
            self.duties.runtime.generations.keep(self.pool)
            most = self.duties.runtime.settings.pools[self.pool].in_flight
            dispatch(ledger, self.pool, inventory, self.duties.begin, most)
        else:
            self.duties.permit(self.pool)
            self.duties.runtime.generations.keep(self.pool)

    def inventory(self) -> Inventory:
        """The pool; where it cannot be used, whoever waits for it is told why."""
        try:
            self.duties.permit(self.pool)
            found = self.duties.inventory(self.pool)
        except PoolError as error:
            self._say_why(f"waiting for the pool {self.pool}: {error.message}")
            raise
        if self._stands:
            self._say_why("")
        return found

    def _say_why(self, reason: str) -> None:
        self.duties.ledger.say_why_all(self.pool, reason)
        self._stands = bool(reason)


@dataclass
class Beginning:
    """The role of beginning those to whom a slot was given, in a script that cannot send."""

    duties: Duties
    pool: str

    @property
    def name(self) -> str:
        return f"begin:{self.pool}"

    def let_go(self) -> None:
        """Nothing is remembered."""

    def turn(self, held: Callable[[], bool]) -> None:  # noqa: ARG002  what was taken is begun
        given = PoolSlots(self.duties.ledger, self.pool).await_given(DISPATCH_EVERY)
        if given is not None:
            self.duties.begin(*given)


@dataclass
class Recovering:
    """The role of looking at what is due."""

    duties: Duties
    pause: Callable[[float], object] = field(default=time.sleep)
    name: str = "recover"
    _tidied: float = 0.0
    _server: str = ""
    _quiet_until: float = 0.0

    def let_go(self) -> None:
        """Nothing is remembered."""

    def turn(self, held: Callable[[], bool]) -> None:  # noqa: ARG002  a pass is short
        if self._redis_was_away():
            self.pause(RECOVER_EVERY)
            return
        if not self.duties.recovery.sweep():
            self.pause(RECOVER_EVERY)
        if time.monotonic() - self._tidied > TIDY_EVERY:
            self._tidied = time.monotonic()
            self.duties.ledger.forget_expired()

    def _redis_was_away(self) -> bool:
        """While it was, nobody could renew a lease: those who live get one period to do so."""
        ledger = self.duties.ledger
        try:
            server = ledger.server_run()
        except StoreUnreachable:
            self._server = "away"
            raise
        if server != self._server:
            if self._server:
                self._quiet_until = time.monotonic() + ledger.times.lease / 1000
            self._server = server
        return time.monotonic() < self._quiet_until
