"""A deed: what is written on a VM that is its owner's, enough to make its launch's record anew.

It is the value of the mark `xenlaunch-finished` (or `xenlaunch-kept`), and is read by nobody but
`xenlaunch adopt`, after Redis has lost what it knew.
"""

from typing import Self

from pydantic import ValidationError

from xenlaunch.frozen import Frozen
from xenlaunch.model import LaunchError
from xenlaunch.record import Record


class Place(Frozen):
    """Where a launch stands in its batch, and what that batch was submitted as."""

    index: int
    count: int
    digest: str
    name: str = ""


class Deed(Frozen):
    """Whose a VM is: its launch, what that was asked for as, and when. Times in milliseconds."""

    launch: str
    name: str
    digest: str
    batch: str = ""
    place: Place | None = None
    submitted: int
    ended: int
    error: LaunchError | None = None

    @classmethod
    def of(cls, record: Record, now: int) -> Self:
        place = record.fields.get("place")
        return cls(
            launch=record.id,
            name=record.name,
            digest=record.digest,
            batch=record.batch,
            place=Place.model_validate_json(place) if place else None,
            submitted=int(record.submitted or now),
            ended=now,
            error=record.error,
        )

    @classmethod
    def read(cls, text: str | None, launch: str) -> Self | None:
        """The deed of this launch in a mark's value, if it is one."""
        try:
            deed = cls.model_validate_json(text or "")
        except ValidationError:
            return None
        return deed if deed.launch == launch else None

    def to_text(self) -> str:
        return self.model_dump_json(exclude_defaults=True)
