"""What an actor does to the world outside, one effect at a time, and what may befall each.

Everything that a process does to Redis, to the pool or to the broker is an ``Effect``. Before it
happens the actor is stopped, and the story decides who goes on and how. Actors are greenlets: the
code that they run knows nothing of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import redis
from greenlet import GreenletExit, getcurrent, greenlet
from kombu.exceptions import OperationalError

from tests.model.tinyrows import ApiError
from xenlaunch.errors import PoolError
from xenlaunch.xapi.refusals import refusal
from xenlaunch.xapi.transport import Unsent

ADDRESS: Final = "http://tiny"


class Kind(Enum):
    SCRIPT = "script"
    LEDGER = "ledger"
    POOL = "pool"
    MESSAGE = "message"


class Trouble(Enum):
    """What befalls one effect; the value is how the story says it."""

    NONE = "it is done and answered"
    BEFORE = "the line breaks before it is done"
    AFTER = "it is done, and the line breaks before the answer"
    TWICE = "it is done twice"
    LATE = "it is held back on the wire, and the sender gives up waiting"
    BUSY = "the pool is too busy for it"
    REFUSED = "the pool refuses it"
    PLACE = "the host is full"
    DIES_BEFORE = "its process dies before it"
    DIES_AFTER = "its process dies after it, unanswered"
    DIES_LATE = "its process dies, and it is still on the wire"
    STALLS_BEFORE = "its process stands still, and it is still on the wire"
    STALLS_AFTER = "its process stands still before it hears the answer"


DEATHS: Final = {Trouble.DIES_BEFORE, Trouble.DIES_AFTER, Trouble.DIES_LATE}
STALLS: Final = {Trouble.STALLS_BEFORE, Trouble.STALLS_AFTER}

_ANSWERS: Final = {
    Trouble.BUSY: ("TOO_MANY_PENDING_TASKS",),
    Trouble.REFUSED: ("LICENCE_RESTRICTION", "that"),
    Trouble.PLACE: ("HOST_NOT_ENOUGH_FREE_MEMORY", "2", "1"),
}


@dataclass(eq=False)
class Effect:
    kind: Kind
    name: str
    act: Callable[[], Any]
    changes: bool = True

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}"


@dataclass
class Ambush:
    """Trouble that lies in wait for a changing effect to come, whoever does it."""

    trouble: Trouble
    skip: int
    only_pool: bool

    def heeds(self, effect: Effect) -> bool:
        return effect.changes and (effect.kind is Kind.POOL or not self.only_pool)


@dataclass
class Answer:
    """What the actor gets to hear."""

    value: Any = None
    error: BaseException | None = None


def play(effect: Effect, trouble: Trouble) -> Answer:
    """Let an effect happen, or not, and say what its sender hears of it."""
    if trouble in _ANSWERS and effect.kind is Kind.POOL and effect.changes:
        return Answer(error=refusal(effect.name, *_code(trouble)))
    if trouble in (Trouble.BEFORE, Trouble.LATE):
        return Answer(error=_unheard(effect, trouble))
    answer = _done(effect)
    if trouble is Trouble.TWICE and effect.kind is not Kind.POOL:
        answer = _done(effect)
    if trouble is Trouble.AFTER:
        return Answer(error=_unheard(effect, trouble))
    return answer


def _code(trouble: Trouble) -> tuple[str, list[str]]:
    code, *params = _ANSWERS[trouble]
    return code, params


def _done(effect: Effect) -> Answer:
    try:
        return Answer(effect.act())
    except ApiError as error:
        return Answer(error=refusal(effect.name, error.code, error.params))
    except (PoolError, redis.RedisError) as error:
        return Answer(error=error)


def _unheard(effect: Effect, trouble: Trouble) -> BaseException:
    if effect.kind is Kind.MESSAGE:
        return OperationalError("the broker is away")
    if effect.kind is not Kind.POOL:
        return redis.TimeoutError("no answer") if trouble is Trouble.LATE else _cut()
    if trouble is Trouble.BEFORE:
        return Unsent(ADDRESS, "no connection", call=effect.name)
    code = "ANSWER_LATE" if trouble is Trouble.LATE else "CONNECTION_LOST"
    return refusal(effect.name, code, [effect.name, ADDRESS, "the line broke"])


def _cut() -> redis.ConnectionError:
    return redis.ConnectionError("the line broke")


@dataclass(eq=False)
class Process:
    """A worker process, which may stand still, and may die."""

    name: str
    is_dead: bool = False
    stands_still: bool = False
    busy_with: set[str] = field(default_factory=set)

    @property
    def goes(self) -> bool:
        return not (self.is_dead or self.stands_still)


class Actor(greenlet):
    """One thread of a process: a step that is carried out, or a turn of a role."""

    def __init__(self, process: Process, name: str, body: Callable[[], object]) -> None:
        super().__init__(self._live)
        self.process = process
        self.name = name
        self.body = body
        self.waits: Effect | None = None
        self.heard: Answer | None = None

    def __str__(self) -> str:
        return f"{self.name} in {self.process.name}"

    def _live(self) -> None:
        self.body()

    def begin(self) -> None:
        self.waits = self.switch()

    def hear(self, answer: Answer) -> None:
        """Go on to the next effect; None when there is no more."""
        self.waits = self.switch(answer)

    def end(self) -> None:
        """Its process is dead: nothing that it still does has an effect."""
        self.waits = None
        if not self.dead:
            self.throw(GreenletExit)


def perform(effect: Effect) -> Any:
    """Do something to the world outside, when and how the story says."""
    actor = getcurrent()
    if not isinstance(actor, Actor):
        answer = play(effect, Trouble.NONE)
    elif actor.process.is_dead:
        raise GreenletExit
    else:
        assert actor.parent is not None
        answer = actor.parent.switch(effect)
    if answer.error is not None:
        raise answer.error
    return answer.value
