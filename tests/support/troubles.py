"""Every class of error at every changing call, in every way that it can come: the table.

The calls are not listed by hand: they are what launches of three kinds have written down as they
went (one that came up, one that failed, one that was kept). The classes are those of XAPI's own
errors, by what should be done about them, each with a code or two that stand for the rest.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

REF: Final = re.compile(r"OpaqueRef:[0-9a-f-]+|[0-9a-f]{8}-[0-9a-f-]{27}")

ANSWER: Final = "answer"
TASK: Final = "task"
DONE: Final = "done"
BEFORE: Final = "before"
AFTER: Final = "after"

WAYS: Final[Mapping[str, Mapping[str, str]]] = {
    ANSWER: {"action": "refuse"},
    TASK: {"action": "fail"},
    DONE: {"action": "fail", "when": "after"},
    BEFORE: {"action": "drop"},
    AFTER: {"action": "drop", "when": "after"},
}
"""How it comes: in the answer; in the pool task; in either though all was done; or not at all."""


@dataclass(frozen=True)
class Kind:
    """One class of errors: what stands for it, how it comes, and whether a launch gets over it."""

    name: str
    errors: tuple[tuple[str, ...], ...]
    ways: tuple[str, ...] = (ANSWER, TASK)
    passes: bool = True
    methods: re.Pattern[str] = re.compile("")


KINDS: Final = (
    Kind("session", (("SESSION_INVALID", "OpaqueRef:1"),), (ANSWER,)),
    Kind("master", (("HOST_IS_SLAVE", "127.0.0.1"), ("HOST_STILL_BOOTING",)), (ANSWER,)),
    Kind("overload", (("TOO_MANY_PENDING_TASKS",), ("TOO_BUSY",))),
    Kind(
        "contention",
        (
            ("OTHER_OPERATION_IN_PROGRESS", "VDI", "OpaqueRef:1", "clone", "OpaqueRef:2"),
            ("OPERATION_NOT_ALLOWED", "Failed to lock all VIFs"),
        ),
    ),
    Kind("place", (("HOST_NOT_ENOUGH_FREE_MEMORY", "2", "1"), ("HOST_OFFLINE", "OpaqueRef:1"))),
    Kind(
        "unknown",
        (
            ("CANNOT_CONTACT_HOST", "OpaqueRef:1"),
            ("TASK_CANCELLED", "OpaqueRef:1"),
            ("INTERNAL_ERROR", "Connection reset by peer"),
        ),
        (ANSWER, TASK, DONE),
    ),
    Kind("line", (("",),), (BEFORE, AFTER)),
    Kind("storage", (("SR_BACKEND_FAILURE_46", "", "not now", ""), ("SR_UNHEALTHY", "sr"))),
    Kind(
        "permanent",
        (
            ("LICENCE_RESTRICTION", "this"),
            ("SR_BACKEND_FAILURE_44", "", "There is insufficient space", ""),
            ("INTERNAL_ERROR", "Not_found"),
            ("NEVER_HEARD_OF", "at all"),
        ),
        passes=False,
    ),
    Kind(
        "race",
        (("MAP_DUPLICATE_KEY", "VM", "other_config", "OpaqueRef:1", "xenlaunch"),),
        (ANSWER,),
        passes=False,
        methods=re.compile(r"VM\.add_to_other_config"),
    ),
    Kind(
        "race",
        (("DEVICE_ALREADY_EXISTS", "1"),),
        (ANSWER,),
        passes=False,
        methods=re.compile(r"V[BI][DF]\.create"),
    ),
)


@dataclass(frozen=True)
class Trouble:
    """One line of the table: this error, in this way, at this call."""

    key: str
    method: str
    kind: Kind
    error: tuple[str, ...]
    way: str

    def __str__(self) -> str:
        return f"{self.method} [{self.key}] {' '.join(self.error)} ({self.way})"

    @property
    def in_undo(self) -> bool:
        return self.key.startswith("undo")

    def fault(self, launch: str) -> dict[str, Any]:
        """The rule for the simulator that brings this trouble on that launch, once."""
        return aimed(launch, self.key, self.method, self.way, self.error)


def aimed(
    launch: str, key: str, method: str, way: str, error: Sequence[str], times: int = 1
) -> dict[str, Any]:
    """A rule for the simulator that strikes one call of one launch, by the mark that it bears."""
    return {
        "method": method.removeprefix("Async."),
        "mark": f"tests/{launch}/{key}/*",
        "times": times,
        "error": list(error),
        **WAYS[way],
    }


def call_keys(calls: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The calls that a launch has written down, with whatever is another each time left open."""
    return sorted({(REF.sub("*", key), method) for key, method in calls if method})


def table(calls: Iterable[tuple[str, str]], *, every_code: bool) -> Iterator[Trouble]:
    """Every class of error, in every way, at every one of these calls.

    Where a class has several codes they take turns, unless every code is asked for.
    """
    turn = itertools.count()
    for (key, method), kind in itertools.product(calls, KINDS):
        if not kind.methods.match(method.removeprefix("Async.")):
            continue
        for way in kind.ways:
            if way == TASK and not method.startswith("Async."):
                continue  # such a call has no pool task: what fails it is the answer
            count = len(kind.errors)
            chosen = kind.errors if every_code else (kind.errors[next(turn) % count],)
            yield from (Trouble(key, method, kind, error, way) for error in chosen)
