"""All crash points: listed by living, then struck one a launch, a batch at a time.

``make storm STORM_ARGS=points`` runs them by hand, ``STORM_ARGS='points --only TEXT'`` those whose
names have the text in them, which is how one that failed is tried again.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, TypeVar

from tests.storm.adoptions import Adopted, Adoptions
from tests.storm.batches import Batches, Doomed
from tests.storm.checker import Findings
from tests.storm.lives import BY_NAME, LIVES, Life
from tests.storm.owner import Owner
from tests.storm.points import NEXT, Points
from tests.storm.rig import Rig

Tell = Callable[[str], None]
Point = TypeVar("Point", bound=Doomed | Adopted)

LEASE: Final = 2_500
SWEEP: Final = {"sweep_grace_seconds": 3, "sweep_every_seconds": 1}
WORKERS: Final = 8
TIME_SCALE: Final = 0.02
SIZES: Final = (48, 24, 8)
"""How many points are struck in one batch: what is not reached among many deaths is tried again
among fewer, for what is timed may go another way."""


@dataclass
class Outcome:
    """What came of striking the points."""

    findings: list[tuple[str, Findings]] = field(default_factory=list)
    struck: int = 0
    deaths: int = 0
    unreached: list[Doomed | Adopted] = field(default_factory=list)
    seconds: float = 0.0


class CrashPoints:
    """A rig for crash points; a context through its rig."""

    def __init__(self, folder: Path, tell: Tell, **more: str) -> None:
        self.points = Points(folder / "points")
        self.points.prepare()
        env = {"STORM_POINTS": str(folder / "points"), "STORM_LEASE": str(LEASE), **more}
        self.rig = Rig(
            folder,
            time_scale=TIME_SCALE,
            workers=WORKERS,
            concurrency=8,
            env=env,
            settings=SWEEP,
        )
        self.tell = tell

    def __enter__(self) -> Self:
        self.rig.__enter__()
        self.rig.begin()
        self.owner = Owner(self.rig.pool)
        self.batches = Batches(self.rig, self.points, self.owner)
        self.adoptions = Adoptions(self.batches, self.tell)
        return self

    def __exit__(self, *error: object) -> None:
        self.owner.close()
        self.rig.__exit__(*error)

    def listed(self) -> list[Doomed | Adopted]:
        """All points there are."""
        return [*self.lived(), *self.adoptions.listed()]

    def lived(self, lives: Iterable[Life] = LIVES) -> list[Doomed]:
        """The points of these lives, found by living them; one that two lives have counts once.

        They are lived twice, and what was passed both times counts: the rest is chance.
        """
        lives = list(lives)
        first, again = self._live(lives), self._live(lives)
        found: list[Doomed] = []
        known: set[str] = set()
        for life in lives:
            passed = [name for name in first[life.name] if name in again[life.name]]
            new = [name for name in passed if key_of(life, name) not in known]
            known |= {key_of(life, name) for name in new}
            found += [Doomed(life, name) for name in new]
            self.tell(f"{life.name}: {len(passed)} points, {len(new)} of them new")
        return found + self._of_the_process()

    def _live(self, lives: Sequence[Life]) -> dict[str, list[str]]:
        """What each of these lives passes."""
        lived = self.batches.run([Doomed(life) for life in lives])
        if lived.findings:
            raise AssertionError("\n".join(lived.findings.all()))
        if lived.missed:
            raise AssertionError(f"no worker passed {[one.dooms for one in lived.missed]}")
        return {
            life.name: list(of_the_death(passed) if life.dooms else passed)
            for life in lives
            for passed in [lived.passed[life.name]]
        }

    def _of_the_process(self) -> list[Doomed]:
        """What a process writes for itself: its roles, and the leases that it prolongs."""
        rest = BY_NAME["goes elsewhere"]
        found = []
        for subject in self.points.subjects():
            if not subject.startswith("l-"):
                kinds = dict.fromkeys(
                    name.rpartition(" #")[0] for name in self.points.passed(subject)
                )
                found += [Doomed(rest, kind + NEXT, subject) for kind in kinds]
                self.points.forget(subject)
        return found

    def strike(self, chosen: Sequence[Doomed | Adopted]) -> Outcome:
        """Have each of them struck; what is wrong is looked for again one by one, to name it."""
        outcome, begun = Outcome(), time.monotonic()
        self._strike_launches([one for one in chosen if isinstance(one, Doomed)], outcome)
        adopted = self.adoptions.strike(one for one in chosen if isinstance(one, Adopted))
        outcome.findings += adopted.findings
        outcome.struck += adopted.struck
        outcome.deaths += adopted.struck
        outcome.unreached += adopted.unreached
        outcome.seconds = time.monotonic() - begun
        return outcome

    def _strike_launches(self, doomed: Sequence[Doomed], outcome: Outcome) -> None:
        left = mixed(doomed)
        for size in SIZES:
            missed: list[Doomed] = []
            for batch in in_batches(left, size):
                missed += self._strike(batch, outcome)
            left = missed
        outcome.unreached += left

    def _strike(self, batch: Sequence[Doomed], outcome: Outcome) -> list[Doomed]:
        begun = time.monotonic()
        ended = self.batches.run(batch)
        outcome.struck += len(ended.struck)
        outcome.deaths += ended.deaths
        took = time.monotonic() - begun
        self.tell(f"{len(ended.struck)} of {len(batch)} points struck in {took:.0f} s")
        if ended.findings:
            self.tell("\n".join(["wrong:", *ended.findings.all()]))
            alone = [self._alone(one) for one in batch]
            named = [(name, found) for name, found in alone if found]
            outcome.findings += named or [("the batch, but none of it alone", ended.findings)]
        return ended.missed

    def _alone(self, one: Doomed) -> tuple[str, Findings]:
        ended = self.batches.run([one])
        if ended.findings:
            self.tell(f"wrong: {one}: {ended.findings.all()}")
        return str(one), ended.findings


def of_the_death(passed: Sequence[str]) -> Iterator[str]:
    """Up to the end of the step in which the first worker died: from there it is as always."""
    for name in passed:
        yield name
        if name.startswith(("after advance", "after succeed", "after undone")):
            return


def key_of(life: Life, point: str) -> str:
    """A point after a death is another one than before it."""
    return " | ".join([*life.dooms, point])


def mixed(points: Iterable[Doomed]) -> list[Doomed]:
    """In an order that is always the same and has nothing to do with the lives'."""
    return sorted(points, key=number_of)


def number_of(one: Doomed | Adopted) -> int:
    return int.from_bytes(hashlib.sha256(str(one).encode()).digest()[:4])


SHARES: Final = 20
"""In so many parts the points are taken, one with each run of the suite."""


def share(points: Iterable[Point], which: int) -> list[Point]:
    """One of the parts."""
    return [one for one in points if number_of(one) % SHARES == which % SHARES]


def in_batches(points: Sequence[Doomed], size: int) -> Iterator[list[Doomed]]:
    """So many at once; a subject that is no launch dies once in a batch."""
    left = list(points)
    while left:
        batch: list[Doomed] = []
        subjects: set[str] = set()
        rest = []
        for one in left:
            if len(batch) < size and not (one.subject and one.subject in subjects):
                batch.append(one)
                subjects.add(one.subject)
            else:
                rest.append(one)
        yield batch
        left = rest
