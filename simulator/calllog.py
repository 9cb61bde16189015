"""The log of every call, for a test to read back. No password or session ref is ever in it."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from simulator.calls import Method

CALLS_KEPT: Final = 200_000
_ARGUMENT_SHOWN: Final = 200
MASK: Final = "***"


class Entry:
    """One call as the log keeps it."""

    __slots__ = (
        "args",
        "asynchronous",
        "changes",
        "ended",
        "method",
        "object",
        "originator",
        "outcome",
        "seq",
        "session_uuid",
        "started",
        "task",
    )

    def __init__(self, seq: int, method: str, originator: str, session_uuid: str) -> None:
        self.seq = seq
        self.method = method
        self.asynchronous = method.startswith("Async.")
        self.originator = originator
        self.session_uuid = session_uuid
        self.args: list[str] = []
        self.object = ""
        self.task = ""
        self.changes = False
        self.outcome = "running"
        self.started = time.time()
        self.ended: float | None = None

    def describe(self, method: Method, args: Sequence[Any]) -> None:
        secret = method.secret
        self.args = [MASK if i in secret else _shown(a) for i, a in enumerate(args)]
        self.changes = method.changes
        if method.params and method.params[0].type.endswith(" ref") and 0 not in secret:
            self.object = str(args[0])

    def end(self, outcome: str) -> None:
        """The outcome is `ok` or the code of the error; an Async call's is that of its task."""
        self.outcome = outcome
        self.ended = time.time()

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class CallLog:
    """The last calls, oldest first."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=CALLS_KEPT)
        self._numbers = itertools.count(1)

    def begin(self, method: str, originator: str = "", session_uuid: str = "") -> Entry:
        entry = Entry(next(self._numbers), method, originator, session_uuid)
        self._entries.append(entry)
        return entry

    def read(self, since: int = 0, *, changing: bool = False) -> list[dict[str, Any]]:
        return [
            entry.as_dict()
            for entry in self._entries
            if entry.seq > since and (entry.changes or not changing)
        ]

    def clear(self) -> None:
        self._entries.clear()


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _ARGUMENT_SHOWN else text[:_ARGUMENT_SHOWN] + "…"
