"""What a pool's records say: read once, then kept fresh by the pool's events.

One thread follows ``event.from`` and is the only one that writes. What breaks (the line, the
session, the pool's master) costs a pause and one full read, in which what has gone is found out
too. XAPI forgets deletions when a reader is slow, and says with each answer how many objects
there are: a count that does not fit is a reason for a full read as well.

What is read here is a moment old. Who must know that it is not calls ``barrier`` first.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from xenlaunch.errors import Busy, PoolError
from xenlaunch.xapi.fields import FIELDS
from xenlaunch.xapi.session import Session

log = logging.getLogger(__name__)

Record = Mapping[str, Any]
Tables = dict[str, dict[str, Record]]
T = TypeVar("T")

ADD: Final = "add"
MOD: Final = "mod"
DEL: Final = "del"

SILENT_POLLS: Final = 1.5
"""A pool answers each poll: one that has not for so many polls is not followed."""


@dataclass(frozen=True)
class Event:
    """A record came, changed, or went (then ``record`` is what it last said, if that is known)."""

    cls: str
    operation: str
    ref: str
    record: Record | None


def back_off(
    first: float = 0.5, most: float = 15.0, jitter: Callable[[], float] = random.random
) -> Iterator[float]:
    """Pauses that double, each somewhere between its half and its whole."""
    pause = first
    while True:
        yield pause * (0.5 + jitter() / 2)
        pause = min(most, pause * 2)


class Records:
    """What the pool's records say now, or said a moment ago."""

    CLASSES: Final = tuple(FIELDS)

    def __init__(
        self,
        session: Session,
        *,
        poll_seconds: float = 30.0,
        pauses: Callable[[], Iterator[float]] = back_off,
        resync_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._poll_seconds = poll_seconds
        self._pauses = pauses
        self._resync_seconds = resync_seconds
        self._clock = clock
        self._stopping = threading.Event()
        self._heard = threading.Condition()
        self._tables: Tables | None = None  # None until the first full read
        self._token = self._told = ""
        self._heard_at = clock()
        self._read_at = clock()
        self._error: PoolError | None = None
        self._subscribers: list[Callable[[Event], None]] = []
        self._thread = threading.Thread(
            target=self._follow, name=f"records-{session.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop following. The thread ends when its poll does: closing the session ends that."""
        self._stopping.set()
        with self._heard:
            self._heard.notify_all()

    def ready(self, seconds: float) -> None:
        """Wait for the first full read."""
        if self.wait_for(lambda: self._tables is not None, seconds) is None:
            raise self._late(seconds) from self._error

    def check(self) -> None:
        """Raise `Busy` where the pool is not followed now, or has said nothing for too long."""
        with self._heard:
            silent = self._clock() - self._heard_at > SILENT_POLLS * self._poll_seconds
            if self._error is not None or silent:
                raise self._late(SILENT_POLLS * self._poll_seconds) from self._error

    def get(self, cls: str, ref: str) -> Record | None:
        with self._heard:
            return self._known(cls).get(ref)

    def all(self, cls: str) -> Mapping[str, Record]:
        """All records of a class, by ref, as they are at one moment."""
        with self._heard:
            return dict(self._known(cls))

    def barrier(self, seconds: float = 5.0) -> None:
        """Return when all that the pool had done before this call can be seen, here and by those
        who are called back.
        """
        self.ready(seconds)
        pool = next(iter(self.all("pool")))
        reached = _generation(str(self._session.read("event.inject", "pool", pool)))
        if self.wait_for(lambda: _generation(self._told) >= reached, seconds) is None:
            raise self._late(seconds) from self._error

    def wait_for(self, look: Callable[[], T], seconds: float) -> T | None:
        """Look after each batch of events until there is something; None when time is up."""
        deadline = self._clock() + seconds
        with self._heard:
            while not (found := look()):
                left = deadline - self._clock()
                if left <= 0 or self._stopping.is_set():
                    return None
                self._heard.wait(left)
            return found

    def subscribe(self, callback: Callable[[Event], None]) -> None:
        """Have each event told from now on, in the follower's thread: be short, never raise."""
        with self._heard:
            self._subscribers.append(callback)

    def age(self) -> float:
        """Seconds since the pool was last heard; up to a poll's length says nothing."""
        with self._heard:
            return self._clock() - self._heard_at

    def _known(self, cls: str) -> dict[str, Record]:
        return {} if self._tables is None else self._tables[cls]

    def _late(self, seconds: float) -> Busy:
        name = self._session.name
        if self._error is None:
            why = f"its records have not come within {seconds:g} s"
        else:
            why = self._error.message
        return Busy("POOL_UNREACHABLE", [name], f"The pool {name} is not followed: {why}")

    # In the follower's thread.

    def _follow(self) -> None:
        token, pauses = "", self._pauses()
        while not self._stopping.is_set():
            try:
                batch = self._session.long_poll(self.CLASSES, token, self._poll_seconds)
                token, pauses = self._take(batch, full=not token), self._pauses()
            except PoolError as error:
                self._note(error)
                token = ""
                self._stopping.wait(next(pauses))
            except Exception:
                # Nobody else keeps the records fresh: whatever was odd about one answer, go on.
                log.exception("The pool %s said what cannot be followed", self._session.name)
                token = ""
                self._stopping.wait(next(pauses))

    def _note(self, error: PoolError) -> None:
        with self._heard:
            news = self._error is None and not self._stopping.is_set()
            self._error = error
        if news:
            log.warning("The pool %s is not followed now: %s", self._session.name, error.message)

    def _take(self, batch: Mapping[str, Any], *, full: bool) -> str:
        """Take in one answer of the pool; return the token to go on from, "" for a full read."""
        if self._stopping.is_set():
            return ""
        with self._heard:
            if self._error is not None:
                log.info("The pool %s is followed again.", self._session.name)
            before = self._tables or _empty()
            if full:
                after, told = _whole(batch["events"], before)
                self._read_at = self._clock()
            else:
                after, told = before, _apply(batch["events"], before)
            self._tables, self._error = after, None
            self._token, self._heard_at = str(batch["token"]), self._clock()
            subscribers = list(self._subscribers)
            again = not full and self._must_read_again(after, batch.get("valid_ref_counts", {}))
            self._heard.notify_all()
        for event in told:
            for callback in subscribers:
                callback(event)
        with self._heard:
            self._told = self._token
            self._heard.notify_all()
        return "" if again else self._token

    def _must_read_again(self, tables: Tables, counts: Mapping[str, int]) -> bool:
        """Whether the pool counts other than we do; at most every few seconds, for it costs."""
        counted = {cls.lower(): int(count) for cls, count in counts.items()}
        wrong = [cls for cls in tables if counted.get(cls, len(tables[cls])) != len(tables[cls])]
        return bool(wrong) and self._clock() - self._read_at >= self._resync_seconds


def _empty() -> Tables:
    return {cls: {} for cls in FIELDS}


def _generation(token: str) -> int:
    """How far a token has come in the pool's history."""
    return int(token.partition(",")[0] or -1)


def _kept(cls: str, snapshot: Mapping[str, Any]) -> Record:
    return {name: snapshot[name] for name in FIELDS[cls] if name in snapshot}


def _whole(events: Sequence[Mapping[str, Any]], before: Tables) -> tuple[Tables, list[Event]]:
    """Make new tables from a full read, and tell what is other than before."""
    after = _empty()
    _apply(events, after)
    told = []
    for cls, table in after.items():
        told += [Event(cls, DEL, ref, old) for ref, old in before[cls].items() if ref not in table]
        for ref, record in table.items():
            old = before[cls].get(ref)
            if old != record:
                told.append(Event(cls, ADD if old is None else MOD, ref, record))
    return after, told


def _apply(events: Sequence[Mapping[str, Any]], tables: Tables) -> list[Event]:
    """Bring the tables up to date; an event that changes nothing we keep is not told."""
    told = []
    for event in events:
        cls, ref = str(event["class"]).lower(), str(event["ref"])
        if cls not in tables:
            continue
        old = tables[cls].get(ref)
        if event["operation"] == DEL:
            if tables[cls].pop(ref, None) is not None:
                told.append(Event(cls, DEL, ref, old))
            continue
        if "snapshot" not in event:
            continue  # gone again already: its deletion is on the way
        record = _kept(cls, event["snapshot"])
        if record != old:
            tables[cls][ref] = record
            told.append(Event(cls, ADD if old is None else MOD, ref, record))
    return told
