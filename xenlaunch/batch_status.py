"""How a batch stands, from its own counters: its launches are not read for it.

The counters are kept by the ledger's scripts as the launches move. What state they add up to is
said here, once, for whoever waits for a batch and for whoever decides about it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self

from pydantic import Field, computed_field

from xenlaunch import states
from xenlaunch.frozen import Frozen

STOP: Final = "stop"
UNDO: Final = "undo"
CANCEL: Final = "cancel"
DESTROY: Final = "destroy"
AGAIN: Final = "again"

PARTIAL: Final = "partial"

STATES: Final = (
    *(states.WAITING, states.RUNNING, states.UNDOING),
    *(states.SUCCEEDED, PARTIAL, states.FAILED, states.CANCELLED, states.DESTROYED),
)
"""The states of a batch: a launch's own, and ``partial``."""

GOING_ON: Final = (states.WAITING, states.RUNNING, states.UNDOING)


class BatchStatus(Frozen):
    """A batch: how many of its launches are in which state, and what that comes to.

    ``least`` is how many must come up, ``tolerated`` how many may fail (None: any); ``reason`` says
    what was ruled for all of it. ``unknown`` are launches of which nothing is known: a Redis was
    lost, and their request has not been repeated. Times are UTC.
    """

    id: str
    name: str
    count: int
    waiting: int = 0
    running: int = 0
    undoing: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    destroyed: int = 0
    unknown: int = 0
    least: int = 0
    tolerated: int | None = None
    reason: str = ""
    submitted: datetime
    last_ended: datetime | None = Field(default=None, exclude=True)
    lost: int = Field(default=0, exclude=True)
    ruling: str = Field(default="", exclude=True)
    ruling_no: str = Field(default="0", exclude=True)
    carried: bool = Field(default=False, exclude=True)
    news: str = Field(default="", exclude=True)

    @classmethod
    def of(cls, fields: Mapping[str, str], known: int) -> Self:
        """From the batch's hash, and how many launches of it are known.

        Those that nobody has written down, as their sender died, count as on their way until a
        ruling has been carried out on all that there are.
        """
        there = int(fields.get("written", known)) if "carried" in fields else known
        unknown = max(0, int(fields["count"]) - there)
        counts: dict[str, Any] = {state: int(fields.get(state, 0)) for state in states.PUBLIC}
        counts[states.WAITING] -= unknown
        return cls(
            **counts,
            id=fields["id"],
            name=fields["name"],
            count=int(fields["count"]),
            unknown=unknown,
            least=int(fields.get("least", 0)),
            tolerated=int(fields["tolerated"]) if "tolerated" in fields else None,
            reason=fields.get("reason", ""),
            submitted=_time(fields["submitted"]),
            last_ended=_time(fields["ended"]) if "ended" in fields else None,
            lost=int(fields.get("lost", 0)),
            ruling=fields.get("ruling", ""),
            ruling_no=fields.get("ruling_no", "0"),
            carried="carried" in fields,
            news=fields.get("news", ""),
        )

    @property
    def going_on(self) -> int:
        """How many launches have not ended."""
        return self.waiting + self.running + self.undoing

    @property
    def is_missed(self) -> bool:
        """Whether fewer than must come up can do so. A VM that its owner destroys had come up."""
        return self.lost > self.count - self.least

    @property
    def is_too_bad(self) -> bool:
        """Whether more have failed than may."""
        return self.tolerated is not None and self.failed > self.tolerated

    @computed_field  # type: ignore[prop-decorator]  # mypy's own advice
    @property
    def state(self) -> str:
        """One of `STATES`."""
        return self._on_its_way() or self._end()

    @computed_field  # type: ignore[prop-decorator]  # mypy's own advice
    @property
    def ended(self) -> datetime | None:
        """When the last of it ended; None while anything is still to happen by itself."""
        return self.last_ended if self.has_ended else None

    @property
    def has_ended(self) -> bool:
        return not self._on_its_way()

    def _on_its_way(self) -> str:
        to_be_removed = self.succeeded and (
            (self.is_missed and self.ruling != DESTROY)
            or (self.ruling == DESTROY and not self.carried)
        )
        if self.going_on == 0 and self.ruling != AGAIN:
            return states.UNDOING if to_be_removed else ""
        if self.ruling in (UNDO, DESTROY, CANCEL) or self.undoing == self.going_on > 0:
            return states.UNDOING
        return states.WAITING if self.waiting == self.count - self.unknown else states.RUNNING

    def _end(self) -> str:
        if self.succeeded == 0 and self.destroyed and self.ruling != UNDO:
            return states.DESTROYED
        if self.lost == 0 and self.unknown == 0:
            return states.SUCCEEDED
        if self.succeeded == 0:
            return states.FAILED if self.failed else states.CANCELLED
        if self.ruling == CANCEL:
            return states.CANCELLED
        asked_for = self.least > 0 or self.tolerated is not None
        enough = asked_for and not self.is_too_bad and self.ruling != STOP
        return states.SUCCEEDED if enough else PARTIAL


def _time(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)
