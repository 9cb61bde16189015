"""A worker that notices each of its crash points, and dies at the one that is meant for it.

``python -m tests.storm.doomed_worker -A workers worker …`` is Celery's command line with, around
what changes the ledger or a pool, the crash points of `points`. Nothing in production code knows of
them. What it is told comes by the environment:

    STORM_POINTS    the folder of the points; without it there are none
    STORM_STALL     for how many seconds a worker stands still at its point, instead of dying there
    STORM_LEASE     the lease in milliseconds, and with it shorter times for roles and resends
    STORM_WITHOUT   which of the guards is taken out, to see that the storm finds it (`without`)
"""

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tests.storm import without
from tests.storm.points import Points, general

CHANGING_READS: Final = frozenset({"task.cancel", "task.destroy"})
"""What `Session.read` is used for though it changes something: it may be repeated."""

ADOPTION: Final = "adoption"
"""Whom all that is about that is written while a pool is adopted."""

_WORD: Final = re.compile(r"[A-Za-z][\w:.* -]{0,40}")
_FENCE: Final = re.compile(r"[0-9a-f]{16}")

_here = threading.local()


def main(argv: Sequence[str]) -> int:
    """Be a worker; what the environment says is changed first."""
    if lease := os.environ.get("STORM_LEASE"):
        hasten(int(lease))
    if guard := os.environ.get("STORM_WITHOUT"):
        without.take_out(guard)
    if folder := os.environ.get("STORM_POINTS"):
        install(Points(Path(folder), float(os.environ.get("STORM_STALL", "0"))))
    from celery.bin.celery import celery

    sys.argv = ["celery", *argv]
    return int(celery(auto_envvar_prefix="CELERY") or 0)


def hasten(lease: int) -> None:
    """Shorter times: what is tried hundreds of times must not wait ten seconds each time."""
    import scheduler.adopt
    import scheduler.generation
    import workers.roles
    import workers.runtime
    from xenlaunch.ledger import Ledger, Times

    times = Times(lease=lease, resend=lease // 4, resend_most=lease)
    vars(workers.runtime)["Ledger"] = lambda store: Ledger(store, times)
    vars(workers.roles).update(LEASE_MS=lease, KEEP_EVERY=lease / 5000)
    vars(scheduler.generation).update(EPOCH_EVERY=1.0)
    vars(scheduler.adopt).update(SETTLE_SECONDS=1.0)


WRITES: Final[Mapping[str, tuple[str, ...]]] = {
    "xenlaunch.ledger.Ledger": (
        *("register", "say_why", "say_why_all", "await_nudge", "forget_expired", "pruned"),
    ),
    "xenlaunch.slots.PoolSlots": ("await_given",),
    "xenlaunch.sights.Sights": ("replace", "put_off", "with_leftovers"),
}
"""What writes into Redis beside the ledger's scripts; `test_points.py` sees that it is all."""


def install(points: Points) -> None:
    """Put a point on either side of whatever changes the ledger or a pool."""
    from xenlaunch.store import Store
    from xenlaunch.xapi.session import Session

    def around(owner: type, name: str, label: Callable[..., tuple[str, str] | None]) -> None:
        plain = getattr(owner, name)

        @wraps(plain)
        def with_points(self: Any, *given: Any, **named: Any) -> Any:
            labelled = label(*given, **named)
            if labelled is None:
                return plain(self, *given, **named)
            subject, what = labelled
            points.go_past(subject, f"before {what}")
            answer = plain(self, *given, **named)
            points.go_past(subject, f"after {what}")
            return answer

        setattr(owner, name, with_points)

    around(Store, "run", of_script)
    for name, label in CALLS.items():
        around(Session, name, label)
    for owner, written in WRITES.items():
        module, _, name = owner.rpartition(".")
        for method in written:
            around(getattr(import_module(module), name), method, of_write(method))
    from scheduler.adopt import Adoption
    from tasks.step import Door

    _remember(Door, "carry_out", lambda lease: str(lease.launch.id))
    _remember(Adoption, "adopt", lambda _pool: ADOPTION)


def of_write(method: str) -> Callable[..., tuple[str, str]]:
    """Whom a write without a script is about: the launch that it names, or whoever does it."""

    def label(*given: Any, **_: Any) -> tuple[str, str]:
        first = str(given[0]) if given else ""
        return first if first.startswith("l-") else _subject(), method

    return label


def _remember(owner: type, name: str, whose: Callable[[Any], str]) -> None:
    """What is called without saying for whom is called for the one for whom this runs."""
    plain = getattr(owner, name)

    @wraps(plain)
    def remembering(self: Any, given: Any) -> Any:
        _here.subject = whose(given)
        try:
            return plain(self, given)
        finally:
            del _here.subject

    setattr(owner, name, remembering)


def _subject() -> str:
    return getattr(_here, "subject", "") or _of_the_thread()


def _of_the_thread() -> str:
    """A role's thread bears the role's name; all others are the process."""
    name = threading.current_thread().name
    return f"role-{name}" if ":" in name or name == "recover" else "process"


def of_script(script: str, subject: str, *arguments: Any) -> tuple[str, str]:
    """Whom a script of the ledger is about, and what it says, in words that repeat."""
    if script == "renew":
        return "process", "renew"
    if script == "again":  # the calls to be made anew, which follow, are in no order
        arguments = arguments[:3]
    said = " ".join([script, *filter(None, map(_in_words, arguments))])
    if _subject() == ADOPTION:
        return ADOPTION, said
    return (subject if subject.startswith("l-") else f"role-{subject}".replace("/", "-")), said


def _in_words(argument: Any) -> str:
    text = general(str(argument))
    if text.startswith("{"):
        known = json.loads(str(argument))
        return str(known.get("state", "")) + (" with task" if known.get("task") else "")
    return text if _WORD.fullmatch(text) and not _FENCE.fullmatch(text) else ""


def of_send(
    method: str, *params: Any, headers: Mapping[str, str] | None = None, **__: Any
) -> tuple[str, str]:
    """A changing call of a launch bears a mark in its header: deployment/launch/call/attempt."""
    mark = next(iter((headers or {}).values()), "")
    subject, what = [*mark.split("/"), "", "", ""][1:3]
    if method.startswith("pool."):
        what = str(params[1])  # the key of what the pool bears
    said = f"{method} {general(what)}".rstrip()
    return (subject if subject.startswith("l-") else _subject()), said


def of_read(method: str, *_: Any, **__: Any) -> tuple[str, str] | None:
    return (_subject(), method) if method in CHANGING_READS else None


CALLS: Final[Mapping[str, Callable[..., tuple[str, str] | None]]] = {
    "send": of_send,
    "read": of_read,
    "upload": lambda *_, **__: (_subject(), "upload"),
    "end": lambda _: (_subject(), "session.end"),
}
"""What a session does that may change something in a pool, and how its points are called."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
