"""What happened to one launch, step by step: made from the history that the ledger keeps of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from xenlaunch import states
from xenlaunch.reading import Moment

LINE: Final = "line"
"""Not a step: the time before a launch has its host."""


@dataclass(frozen=True)
class Wait:
    """What a step was parked on; ``retry``: the pool was busy."""

    what: str
    began: datetime
    ended: datetime | None = None
    retry: bool = False


@dataclass(frozen=True)
class Span:
    """One step, or the wait for a host, from its beginning to its end."""

    step: str
    began: datetime
    ended: datetime | None = None
    stopped: bool = False
    waits: tuple[Wait, ...] = field(default=())

    def end(self, at: datetime, *, stopped: bool = False) -> "Span":
        return replace(self.resume(at), ended=at, stopped=stopped)

    def resume(self, at: datetime) -> "Span":
        """Whatever is waited for is there."""
        waits = tuple(wait if wait.ended else replace(wait, ended=at) for wait in self.waits)
        return replace(self, waits=waits)


def timeline(history: Iterable[Moment]) -> tuple[Span, ...]:
    """The spans of a launch in order; the last has no end while it goes on."""
    spans: list[Span] = []
    for moment in history:
        _take(spans, moment)
    return tuple(spans)


def _take(spans: list[Span], moment: Moment) -> None:
    last = spans[-1] if spans and spans[-1].ended is None else None
    if moment.kind in {"parked", "retry"} and last is not None:
        if moment.state == states.WAITING:  # another host is to be found
            wait = Wait(moment.what, moment.at, moment.at, retry=True)
            spans[-1] = replace(last, waits=(*last.waits, wait)).end(moment.at, stopped=True)
            spans.append(Span(LINE, moment.at))
        else:
            wait = Wait(moment.what, moment.at, retry=moment.kind == "retry")
            spans[-1] = replace(last.resume(moment.at), waits=(*last.waits, wait))
    elif moment.kind == "step":
        _begin(spans, last, moment)
    elif moment.kind == "state":
        _move(spans, last, moment)


def _begin(spans: list[Span], last: Span | None, moment: Moment) -> None:
    if last is not None and last.step == moment.step:
        spans[-1] = last.resume(moment.at)
        return
    if last is not None:
        spans[-1] = last.end(moment.at)
    spans.append(Span(moment.step, moment.at))


def _move(spans: list[Span], last: Span | None, moment: Moment) -> None:
    going_wrong = moment.state in {states.UNDOING, states.FAILED, states.CANCELLED}
    # That it runs ends the wait for a host alone: a step's own end is the next one's beginning.
    if last is not None and (last.step == LINE or moment.state != states.RUNNING):
        undone = last.step == "undo"
        spans[-1] = last.end(moment.at, stopped=going_wrong and not undone)
    if moment.state == states.WAITING:
        spans.append(Span(LINE, moment.at))
