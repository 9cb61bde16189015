"""The door between Celery and the steps: claim, carry out, write down how it went.

Celery sees a step succeed when the ledger has moved on, and fail when the ledger has ended the
launch. Everything else (a message that came too late or twice, a lease that was lost, a step that
parks) ends in ``Ignore``, so that no link of the chain is published that the ledger has not wished.
"""

import logging
import math
import random
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Protocol

from celery import Celery, Task
from celery.exceptions import Ignore

from tasks.again import Again, again
from tasks.chain import body, following
from tasks.destroy import destroy
from tasks.messages import UNSENT, begin, tell
from tasks.naming import naming
from tasks.undo import undo
from xenlaunch import names, states
from xenlaunch.copying import steps_of
from xenlaunch.errors import (
    Busy,
    CancelAsked,
    LeaseLost,
    OutcomeUnknown,
    Parked,
    Place,
    PoolError,
    Refused,
    SessionLost,
    ShutOut,
    Silent,
    StoreUnreachable,
    Unsteady,
)
from xenlaunch.lease import Lease, Unclaimed, claim
from xenlaunch.ledger import Ledger
from xenlaunch.model import Launch, LaunchResult
from xenlaunch.xapi.pool import Pool
from xenlaunch.xapi.reach import Reach

log = logging.getLogger(__name__)

FIRST_DELAY = 0.5
LONGEST_DELAY = 60.0
CROWDED_DELAY = 4.0
PATIENCE = 3600.0
"""For how many seconds one step puts up with a pool that is busy or cannot be reached.

They run from the first time that it was, and leave out what the step was parked for beside that.
"""

READY_SECONDS = 20.0
"""How long a step waits for the pool's records in a process that has only begun to read them."""

UNKNOWN_TRIES = 10
"""How often in a row a step looks for the outcome of a call before it gives up."""

UNSTEADY_TRIES = 4
"""How often in a row a step tries again what a storage has failed to do."""

TRIES: Final[Mapping[type[PoolError], int]] = {
    OutcomeUnknown: UNKNOWN_TRIES,
    Unsteady: UNSTEADY_TRIES,
}


class Runtime(Protocol):
    """What a worker process gives to the steps that it runs."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def deployment(self) -> str: ...

    @property
    def worker(self) -> str: ...

    def reach(self, pool: str) -> Reach: ...

    def place(self, pool: str) -> AbstractContextManager[None]: ...

    def hold(self, lease: Lease) -> None: ...

    def drop(self, lease: Lease) -> None: ...

    def heard(self, claims: Mapping[str, str]) -> None: ...


@dataclass
class Door:
    """One delivery of one step's message."""

    runtime: Runtime
    app: Celery
    task: "Task[Any, Any]"
    step: str
    jitter: Callable[[], float] = field(default=random.random)
    clock: Callable[[], float] = field(default=time.time)

    def enter(self, launch: str) -> Any:
        """Carry out the step if it is this launch's turn for it."""
        ledger = self.runtime.ledger
        try:
            deployment, worker = self.runtime.deployment, self.runtime.worker
            lease = claim(ledger, launch, self.step, deployment=deployment, worker=worker)
        except StoreUnreachable as lost:
            raise Ignore from lost
        if isinstance(lease, Unclaimed):
            if lease.why == "cancel":
                begin(self.app, ledger, launch, names.UNDO)
            raise Ignore
        self.runtime.hold(lease)
        self.runtime.heard(lease.claims)
        try:
            return self.carry_out(lease)
        finally:
            self.runtime.drop(lease)

    def carry_out(self, lease: Lease) -> Any:
        """Run the step to where it ends, parks or stops."""
        try:
            try:
                return self.until_parked(lease)
            except CancelAsked:
                self.turn_to_undo(lease, "cancelled", Refused("CANCELLED"))
        except (LeaseLost, StoreUnreachable) as lost:
            log.info("Step %s of %s stops here: %s", self.step, lease.launch.id, lost)
            raise Ignore from lost

    def until_parked(self, lease: Lease) -> Any:
        while True:
            try:
                return self.attempt(lease)
            except Parked as wait:
                if self.park(lease, wait):
                    raise Ignore from None

    def attempt(self, lease: Lease) -> Any:
        """Run the step once, and turn what the pool says into what happens next."""
        try:
            with self.runtime.place(lease.launch.pool):
                return self.enter_pool(lease)
        except Silent as silent:
            self.await_pool(lease, silent)
        except Place as elsewhere:
            self.another_host(lease, elsewhere)
        except (Busy, OutcomeUnknown, ShutOut, SessionLost) as wait:
            self.again(lease, wait)
        except PoolError as refused:
            self.give_up(lease, refused)
        except (Parked, CancelAsked, LeaseLost, StoreUnreachable):
            raise
        except Exception as bug:
            # A fault of ours must end the launch too, visibly: it would fail for ever otherwise.
            log.exception("Step %s of %s failed unexpectedly", self.step, lease.launch.id)
            sentence = f"xenlaunch itself failed in {self.step}: {type(bug).__name__}."
            self.give_up(lease, Refused("INTERNAL", [self.step], sentence))
        raise Ignore

    def enter_pool(self, lease: Lease) -> Any:
        reach = self.runtime.reach(lease.launch.pool)
        reach.permit()
        pool = Pool(reach, lease, self.clock)
        pool.catch_up()
        return self.undo(lease, pool) if self.step == names.UNDO else self.forward(lease, pool)

    def forward(self, lease: Lease, pool: Pool) -> Any:
        pool.records.ready(READY_SECONDS)
        with naming(pool.records):
            launch = body(lease.launch, self.step)(lease.launch, pool)
        pool.conclude()
        if self.step != names.POLL:
            steps = steps_of(lease.record.fields["request"])
            lease.advance(launch, following(self.step, steps))
            return None
        result = result_of(launch, lease)
        lease.succeed(launch, result)
        tell(self.app, self.runtime.ledger, self.runtime.ledger.record(launch.id))
        return result.model_dump(mode="json")

    def undo(self, lease: Lease, pool: Pool) -> Any:
        while not self.undone(lease, pool):
            lease.made.update(lease.facts())
        record = self.runtime.ledger.record(lease.launch.id)
        if record.ended:
            tell(self.app, self.runtime.ledger, record)
        return None

    def undone(self, lease: Lease, pool: Pool) -> bool:
        """False where more has come to be known meanwhile that is to be undone."""
        if lease.record.outcome == states.WAITING:
            came = again(lease.launch, pool, list(lease.calls))
            pool.conclude()
            return (
                lease.again(came.step, came.anew) if isinstance(came, Again) else lease.undone(came)
            )
        remove = destroy if lease.record.outcome == states.DESTROYED else undo
        left = remove(lease.launch, pool)
        pool.conclude()
        return lease.undone(left)

    # What happens next

    def park(self, lease: Lease, wait: Parked, trouble: str = "") -> bool:
        """False where what the step waits for is there already: it goes on at once."""
        if not lease.park(wait.what, wait.ref, wait.seconds, trouble=trouble):
            return False
        self.show_waiting(wait.what)
        return True

    def again(self, lease: Lease, wait: PoolError) -> None:
        """The same step, a little later each time."""
        if self.is_worn_out(lease, wait):
            self.give_up(lease, wait)
            return
        retries = int(lease.record.retries or 0)
        longest = CROWDED_DELAY if wait.code == "POOL_BUSY_HERE" else LONGEST_DELAY
        delay = min(FIRST_DELAY * 2 ** min(retries, 20), longest) * (0.5 + self.jitter())
        if lease.park(wait.message, "", delay, retry=True, trouble=wait.code):
            task_id = names.task_id(lease.launch.id, self.step)
            with suppress(*UNSENT):
                self.task.backend.store_result(task_id, wait, "RETRY")
                self.task.send_event("task-retried", exception=wait.message)

    def await_pool(self, lease: Lease, silent: Silent) -> None:
        """Until the pool's breaker is closed; looked at now and then whether that was missed."""
        if self.is_worn_out(lease, silent):
            self.give_up(lease, silent)
            return
        pool, since, why = silent.params
        what = f"the pool {pool}, which does not answer since {since}: {why}"
        until = Parked(what, names.breaker_ref(lease.launch.id), LONGEST_DELAY)
        self.park(lease, until, silent.code)

    def is_worn_out(self, lease: Lease, wait: PoolError) -> bool:
        """Whether trouble has been waited out for too long, or too often. An undo always goes on.

        Time in line for a slot, or until a call is over, is no trouble.
        """
        often = lease.in_a_row(wait.code) >= TRIES.get(type(wait), math.inf)
        return self.step != names.UNDO and (often or lease.troubled(self.clock()) > PATIENCE)

    def another_host(self, lease: Lease, elsewhere: Place) -> None:
        host = lease.launch.host
        if host is None or self.step == names.UNDO or lease.is_sure:
            self.again(lease, elsewhere)
            return
        lease.another_host(back_to(self.step), host.uuid, elsewhere.message.rstrip("."))
        self.show_waiting("another host")

    def give_up(self, lease: Lease, error: PoolError) -> None:
        if self.step == names.UNDO:
            # Undo never gives up on its own account: what it cannot do, it tries again.
            lease.park(error.message, "", LONGEST_DELAY, retry=True, trouble=error.code)
            return
        self.turn_to_undo(lease, "failed", error)

    def turn_to_undo(self, lease: Lease, outcome: str, error: PoolError) -> NoReturn:
        lease.turn_to_undo(outcome, error.as_record())
        begin(self.app, self.runtime.ledger, lease.launch.id, names.UNDO)
        raise Ignore

    def show_waiting(self, what: str) -> None:
        """Let Flower and the result backend see what the ledger knows, if they can."""
        with suppress(*UNSENT):
            self.task.update_state(state="WAITING", meta={"what": what})
            self.task.send_event("task-waiting", what=what)


def back_to(step: str) -> str:
    """The step with which a launch goes on upon another host: what comes before it is done.

    >>> back_to("start"), back_to("vbds")
    ('network', 'vbds')
    """
    return min(step, names.NETWORK, key=names.STEPS.index)


def result_of(launch: Launch, lease: Lease) -> LaunchResult:
    return LaunchResult(
        id=launch.id,
        name=launch.request.name,
        pool=launch.pool,
        vm_uuid=launch.vm_uuid,
        host=launch.host.name if launch.host else "",
        macs=launch.macs,
        addresses=launch.addresses,
        note=launch.note,
        leftovers=launch.leftovers,
        seconds=lease.record.seconds,
    )


def register(app: Celery, runtime: Runtime) -> None:
    """Teach Celery the steps."""
    for step, name in names.TASK_OF.items():
        _register_one(app, runtime, step, name)


def _register_one(app: Celery, runtime: Runtime, step: str, name: str) -> None:
    @app.task(bind=True, name=name, max_retries=None)
    def run(self: "Task[Any, Any]", launch: str) -> Any:
        return Door(runtime, app, self, step).enter(launch)
