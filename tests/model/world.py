"""The whole of the model: one Redis, one pool, one broker, two workers, and the time."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from types import SimpleNamespace
from typing import Any, Final, cast

from celery.exceptions import Ignore
from kombu.exceptions import OperationalError
from pydantic import SecretStr

from tasks.step import Door
from tests.model.effects import (
    DEATHS,
    STALLS,
    Actor,
    Ambush,
    Answer,
    Effect,
    Kind,
    Process,
    Trouble,
    play,
)
from tests.model.keyspace import Keyspace
from tests.model.tinypool import TinyPool
from tests.model.wired import Baton, FreshRecords, WiredApp, WiredStore
from workers.duties import Beginning, Dispatching, Duties, Recovering
from workers.roles import Role
from workers.watcher import TaskWatcher
from xenlaunch import names
from xenlaunch.errors import XenlaunchError
from xenlaunch.lease import Lease
from xenlaunch.ledger import Ledger
from xenlaunch.model import LaunchRequest
from xenlaunch.slots import Slots
from xenlaunch.xapi.reach import Reach
from xenlaunch.xapi.session import Session
from xenlaunch.xapi.transport import Trust

DEPLOYMENT: Final = "model"
POOL: Final = "lab"
QUEUE: Final = f"{names.PREFIX}{names.pool_queue(POOL)}"
"""Where the scripts see how many messages there are."""

START: Final = 1_790_000_000_000

Say = Callable[[str], None]


class ModelTime:
    """The one clock of a model, in the place of the module `time`."""

    def __init__(self) -> None:
        self.ms = START

    def monotonic(self) -> float:
        return self.ms / 1000

    time = monotonic

    def sleep(self, seconds: float) -> None:
        """Nobody waits: the story says when time passes."""


TIME: Final = ModelTime()


class Worker(Process):
    """A worker process: what `workers.runtime.Runtime` is to the steps, and its roles."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(name)
        self.worker = name
        self.deployment = DEPLOYMENT
        self.ledger = Ledger(cast("Any", WiredStore(world.keyspace)))
        self.settings = SimpleNamespace(pools={POOL: SimpleNamespace(in_flight=2)}, weights={})
        self.fences: dict[str, str] = {}
        self.app = WiredApp(world.enqueue, world.results)
        session = Session(
            *(POOL, ["http://tiny"], "root", lambda: SecretStr("x"), Trust(allow_http=True)),
            clock=TIME.monotonic,
        )
        cast("Any", session)._transport.pool = world.pool
        cast("Any", session)._finding = Baton()
        records = cast("Any", FreshRecords(world.pool))
        slots = Slots(sr=1, host=1)
        self._reach = Reach(POOL, session, records, slots=slots, _looking=cast("Any", Baton()))
        duties = Duties(cast("Any", self.app), cast("Any", self))
        self.roles: dict[str, Role] = {
            "recover": Recovering(duties, pause=TIME.sleep),
            "dispatch": Dispatching(duties, POOL),
            "begin": Beginning(duties, POOL),
            "watch": TaskWatcher(self.ledger, DEPLOYMENT, self.reach, POOL, duties.begin),
        }

    @property
    def generations(self) -> "Worker":
        """One generation, which nobody doubts: nobody wipes this Redis."""
        return self

    def keep(self, pool: str) -> None:
        """The pool need not bear an epoch."""

    def permit(self, pool: str) -> None:
        """No pool stands still."""

    @property
    def breakers(self) -> "Worker":
        """No pool hangs in here."""
        return self

    def check(self, pool: str) -> None:
        """Its breaker is closed."""

    def hangs(self, _pool: str) -> bool:
        return False

    def place(self, _pool: str) -> AbstractContextManager[None]:
        """There are threads enough."""
        return nullcontext()

    def reach(self, pool: str = POOL) -> Reach:
        assert pool == POOL
        return self._reach

    def hold(self, lease: Lease) -> None:
        self.fences[lease.launch.id] = lease.fence

    def heard(self, claims: object) -> None:
        """No pool stands still, whatever is known of it."""

    def drop(self, lease: Lease) -> None:
        if self.fences.get(lease.launch.id) == lease.fence:
            del self.fences[lease.launch.id]

    def beat(self) -> None:
        self.ledger.renew(dict(self.fences))

    def step(self, launch: str, steps: tuple[str, ...]) -> None:
        """One delivery of a message; the next link goes out as Celery would send it."""
        door = Door(
            *(cast("Any", self), cast("Any", self.app), cast("Any", self.app), steps[0]),
            jitter=lambda: 0.5,
            clock=TIME.time,
        )
        try:
            door.enter(launch)
        except Ignore:
            return
        # A link that Celery could not send is one more message that was lost.
        with suppress(OperationalError):
            if steps[1:]:
                self.app.send(launch, steps[1:])

    def turn(self, role: str) -> None:
        """One turn of a role, which nobody is kept from having too."""
        try:
            self.roles[role].turn(lambda: True)
        except XenlaunchError:
            self.roles[role].let_go()


class World:
    """Everything, and the one who decides what happens next."""

    def __init__(self, say: Say = lambda _sentence: None) -> None:
        TIME.ms = START
        self.say = say
        self.keyspace = Keyspace(lambda: TIME.ms)
        self.pool = TinyPool()
        self.queue: list[tuple[str, tuple[str, ...]]] = []
        self.results: dict[str, str] = {}
        self.wire: list[Effect] = []
        self.actors: list[Actor] = []
        self.wrongs: list[str] = []
        self.ambush: Ambush | None = None
        self.ledger = Ledger(cast("Any", WiredStore(self.keyspace)))
        self.ledger.register(DEPLOYMENT, "generation", [POOL])
        self.workers = [Worker(self, "w1"), Worker(self, "w2")]
        self.launches: list[str] = []
        self._born = len(self.workers)

    # What happens from outside

    def submit(self, **fields: Any) -> str:
        request = LaunchRequest.parse({"name": "web", "template": "debian-12", **fields})
        launch = self.ledger.submit(DEPLOYMENT, request, f"token-{len(self.launches)}")
        if launch not in self.launches:
            self.launches.append(launch)
        return launch

    def cancel(self, launch: str) -> str:
        return self.ledger.cancel(launch, {"code": "CANCELLED", "params": [], "message": "So."})

    def enqueue(self, launch: str, steps: tuple[str, ...]) -> None:
        self.queue.append((launch, steps))
        self.keyspace.run("RPUSH", QUEUE, launch)

    def take_message(self, place: int) -> tuple[str, tuple[str, ...]]:
        self.keyspace.run("LPOP", QUEUE)
        return self.queue.pop(place)

    def pass_time(self, seconds: float) -> None:
        """Leases of all processes that go are renewed meanwhile."""
        left = int(seconds * 1000)
        while left > 0:
            TIME.ms += min(left, 3000)
            left -= 3000
            for worker in self.going():
                worker.beat()

    # Processes

    def going(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.goes]

    def kill(self, worker: Process) -> None:
        worker.is_dead = True
        for actor in [one for one in self.actors if one.process is worker]:
            actor.end()
            self.actors.remove(actor)

    def replace_dead(self) -> None:
        """Whoever died is started again, as another process."""
        for place, worker in enumerate(self.workers):
            if worker.is_dead:
                self._born += 1
                self.workers[place] = Worker(self, f"w{self._born}")

    def deliver(self, place: int, worker: Worker, *, keep: bool = False) -> Actor:
        message = self.queue[place] if keep else self.take_message(place)
        launch, steps = message
        return self.start(worker, steps[0], lambda: worker.step(launch, steps))

    def take_turn(self, role: str, worker: Worker) -> Actor | None:
        """A process has one thread for each role."""
        name = f"the turn of {role}"
        if any(actor.process is worker and actor.name == name for actor in self.actors):
            return None
        return self.start(worker, name, lambda: worker.turn(role))

    def start(self, worker: Worker, name: str, body: Callable[[], object]) -> Actor:
        actor = Actor(worker, name, body)
        self.actors.append(actor)
        self._watched(actor, actor.begin)
        return actor

    def go_on(self, actor: Actor, trouble: Trouble = Trouble.NONE) -> None:
        """Let the effect that an actor waits for happen, and the actor go on to its next."""
        effect, actor.waits = actor.waits, None
        heard, actor.heard = actor.heard, None
        if heard is None:
            assert effect is not None
            trouble = self._ambushed(effect, trouble)
            if trouble is not Trouble.NONE:
                self.say(f"  {actor}: {effect}: {trouble.value}")
            heard = self._befall(actor, effect, trouble)
        if heard is not None:
            answer = heard
            self._watched(actor, lambda: actor.hear(answer))

    def _ambushed(self, effect: Effect, trouble: Trouble) -> Trouble:
        """The trouble that lies in wait for one of the next changing effects, if this is it."""
        ambush = self.ambush
        if ambush is None or trouble is not Trouble.NONE or not ambush.heeds(effect):
            return trouble
        ambush.skip -= 1
        if ambush.skip >= 0:
            return trouble
        self.ambush = None
        return ambush.trouble

    def _befall(self, actor: Actor, effect: Effect, trouble: Trouble) -> Answer | None:
        """What the actor hears; None where it hears nothing now."""
        if trouble in (Trouble.LATE, Trouble.DIES_LATE) and effect.kind is not Kind.MESSAGE:
            self.wire.append(effect)
        if trouble in DEATHS:
            if trouble is Trouble.DIES_AFTER:
                play(effect, Trouble.NONE)
            self.kill(actor.process)
            return None
        if trouble in STALLS:
            actor.process.stands_still = True
            if trouble is Trouble.STALLS_AFTER:
                actor.heard = play(effect, Trouble.NONE)
            actor.waits = effect
            return None
        return play(effect, trouble)

    def _watched(self, actor: Actor, go: Callable[[], None]) -> None:
        try:
            go()
        except Exception as escaped:  # noqa: BLE001  whatever it is, Celery would see it
            wrong = f"{actor} let {escaped!r} escape"
            self.wrongs += [] if wrong in self.wrongs else [wrong]
        if actor.dead and actor in self.actors:
            self.actors.remove(actor)

    def arrive(self, place: int) -> Effect:
        """What was held back on the wire arrives; nobody hears the answer."""
        effect = self.wire.pop(place)
        play(effect, Trouble.NONE)
        return effect

    # When all goes well

    def finish_all(self) -> None:
        """Whoever can go on does, one after the other, to the end."""
        while going := [actor for actor in self.actors if actor.process.goes]:
            for actor in going:
                if actor in self.actors and actor.process.goes:
                    self.go_on(actor)

    def deliver_all(self) -> None:
        while self.queue and self.going():
            for worker in self.going():
                if self.queue:
                    self.deliver(0, worker)
            self.finish_all()

    def round(self) -> None:
        """A second in which nothing goes wrong."""
        self.finish_all()
        self.deliver_all()
        for worker in self.going()[:1]:
            for role in self._called_for():
                self.take_turn(role, worker)
                self.finish_all()
        self.deliver_all()
        self.pool.work()
        self.pass_time(1)

    def _called_for(self) -> list[str]:
        """The roles that would find something to do."""
        found = {
            "recover": self._next_due() <= TIME.ms,
            "dispatch": self.keyspace.run("ZCARD", f"xenlaunch:waiting:{POOL}"),
            "begin": self.keyspace.run("LLEN", f"xenlaunch:given:{POOL}"),
            "watch": self.keyspace.run("HLEN", f"xenlaunch:parked:{POOL}"),
        }
        return [role for role, has_work in found.items() if has_work]

    def _next_due(self) -> float:
        first = self.keyspace.run("ZRANGE", "xenlaunch:due", 0, 0)
        return float(self.keyspace.run("ZSCORE", "xenlaunch:due", first[0])) if first else math.inf

    def _skip_idle_time(self) -> None:
        """Where all wait for a moment, it comes."""
        idle = not (self.queue or self.pool.jobs or self._called_for())
        wait = self._next_due() - TIME.ms
        if idle and 1000 < wait < math.inf:
            self.pass_time(wait / 1000)

    def settle(self, *, wakes_late: bool = False) -> None:
        """The troubles are over; what was held back arrives when all else has come to its end.

        Who stands still wakes up now or, late, only when others have done all that there was to do.
        """
        self.ambush = None
        self.replace_dead()
        if wakes_late and not self.going():
            self._born += 1
            self.workers.append(Worker(self, f"w{self._born}"))
        if wakes_late:
            self._until_quiet()
        for worker in self.workers:
            worker.stands_still = False
        self._until_quiet()
        while self.wire:
            self.arrive(0)
        self._until_quiet()

    def _until_quiet(self) -> None:
        for _ in range(400):
            if self._is_quiet():
                return
            self.round()
            self._skip_idle_time()
        self.wrongs.append(f"it never comes to an end: {self._restless()}")

    def _is_quiet(self) -> bool:
        busy = any(actor.process.goes for actor in self.actors)
        return not (busy or self.queue or self.pool.jobs or self._restless())

    def _restless(self) -> list[str]:
        left: list[str] = self.keyspace.run("ZRANGE", "xenlaunch:due", 0, -1)
        waiting: list[str] = self.keyspace.run("ZRANGE", f"xenlaunch:waiting:{POOL}", 0, -1)
        return left + waiting

    def state(self, launch: str) -> str:
        record = self.ledger.record(launch)
        return f"{record.state} at {record.step}" + (" (parked)" if record.parked else "")

    def close(self) -> None:
        for worker in self.workers:
            self.kill(worker)
