"""Adoptions that are killed: a Redis loses what it knew, and whoever reads the pool back dies.

One loss serves many points: each time that a worker dies over its adoption, another is asked to
adopt, and dies at the next of them. What the launches were doing at the loss is in
`lives.AT_A_LOSS`; their tokens are repeated when the pool is adopted.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.storm.batches import Batches, Doomed
from tests.storm.checker import Findings
from tests.storm.doomed_worker import ADOPTION
from tests.storm.lives import AT_A_LOSS, CLONING, STARTING, UNNAMED, in_step
from tests.storm.rig import POOL, Rig
from tests.support.waiting import wait_until
from xenlaunch import names, states
from xenlaunch.record import Record

WIPED: Final = "wiped"
ROLLED_BACK: Final = "rolled back"
ADOPTED_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Adopted:
    """A point of an adoption, after one kind of loss."""

    loss: str
    point: str

    def __str__(self) -> str:
        return f"adopt, {self.loss}: {self.point}"


@dataclass
class Struck:
    """What came of striking the points of adoptions."""

    findings: list[tuple[str, Findings]] = field(default_factory=list)
    struck: int = 0
    unreached: list[Adopted] = field(default_factory=list)


class Adoptions:
    """Losses of one rig's Redis, and the adoptions after them."""

    def __init__(self, batches: Batches, tell: Callable[[str], None]) -> None:
        self.batches = batches
        self.rig: Rig = batches.rig
        self.points = batches.points
        self.tell = tell
        self._losses = {WIPED: self._wiped, ROLLED_BACK: self._rolled_back}

    def listed(self) -> list[Adopted]:
        """The points of an adoption after each loss, found by living it; each counts once."""
        found: dict[str, Adopted] = {}
        for loss in self._losses:
            passed = self._live(loss)
            new = [Adopted(loss, point) for point in passed if point not in found]
            found |= {one.point: one for one in new}
            self.tell(f"adopt, {loss}: {len(passed)} points, {len(new)} of them new")
        return list(found.values())

    def _live(self, loss: str) -> list[str]:
        findings = self._run(loss, [])
        if findings:
            raise AssertionError("\n".join(findings.all()))
        return self.points.passed(ADOPTION)

    def strike(self, chosen: Iterable[Adopted]) -> Struck:
        """Strike these points, as many after one loss as come one after the other."""
        outcome = Struck()
        chosen = list(chosen)
        for loss in self._losses:
            left = [one for one in chosen if one.loss == loss]
            while left:
                findings = self._run(loss, [one.point for one in left])
                struck = len(self.points.struck(ADOPTION))
                self.tell(f"adopt, {loss}: {struck} points struck, {len(left) - struck} left")
                if findings:
                    self.tell("\n".join(["wrong:", *findings.all()]))
                    outcome.findings.append((f"adopt, {loss}: {left[0].point} and on", findings))
                outcome.struck += struck
                outcome.unreached += [] if struck else left[:1]
                left = left[max(struck, 1) :]
        return outcome

    def _run(self, loss: str, dooms: Sequence[str]) -> Findings:
        """One loss, an adoption that dies at these points until it does not, and what is wrong."""
        self.points.forget(ADOPTION)

        def lose_and_adopt(launches: Mapping[str, Doomed]) -> None:
            by_life = {one.life.name: launch for launch, one in launches.items()}
            self._losses[loss](by_life)
            self.points.doom(ADOPTION, dooms)
            self._adopt()

        lives = [Doomed(life) for life in AT_A_LOSS[loss]]
        return self.batches.run(lives, meanwhile=lose_and_adopt).findings

    # Losing

    def _wiped(self, launches: Mapping[str, str]) -> None:
        """All is gone, under its workers."""
        self._wait_for_the_middle(launches)
        self.rig.ledger.store.redis.flushall()
        wait_until(self.rig.ledger.deployment, 20, "a worker has registered again")

    def _rolled_back(self, launches: Mapping[str, str]) -> None:
        """Redis is again what it was when one launch was cloning, and another was starting.

        It writes each word to its disk before it answers, so what lies there is whole at any time.
        """
        self._wait_for_the_middle(launches)
        copy = self.rig.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.rig.redis.data_dir, copy)
        known = self._epoch()
        ended = launches[STARTING]
        self._wait(launches[CLONING], in_step(names.START, "the VM to start"))
        self._wait(ended, lambda record: record.ended)
        wait_until(lambda: self._tended() and self._epoch() > known, 20, "the epoch has grown")
        self.rig.redis.kill()
        shutil.rmtree(self.rig.redis.data_dir)
        shutil.copytree(copy, self.rig.redis.data_dir)
        self.rig.redis.start()

    def _epoch(self) -> int:
        claims = self.rig.patiently(self.rig.ledger.claims)
        return 0 if f"wish:{POOL}" in claims else int(claims.get(f"epoch:{POOL}", 0))

    def _wait_for_the_middle(self, launches: Mapping[str, str]) -> None:
        """Until each launch is where its name says."""
        there: dict[str, Callable[[Record], bool]] = {
            CLONING: in_step(names.CLONE, "the clone"),
            STARTING: in_step(names.START, "the VM to start"),
            UNNAMED: lambda record: record.state == states.FINISHING and bool(record.parked),
        }
        for name, launch in launches.items():
            self._wait(launch, there.get(name, lambda record: record.ended))

    def _wait(self, launch: str, there: Callable[[Record], bool]) -> None:
        def is_there() -> bool:
            return self._tended() and all(map(there, self.rig.records([launch])))

        wait_until(is_there, 60, f"{launch} is where it is to be at the loss")

    def _tended(self) -> bool:
        self.rig.tend()
        return True

    # Adopting

    def _adopt(self) -> None:
        """Ask until a worker has answered that all is adopted; who dies over it answers nothing."""
        app = self.rig.client.celery_app
        asked: Any = None
        deaths = 0

        def adopted() -> bool:
            nonlocal asked, deaths
            self.rig.tend()
            struck = len(self.points.struck(ADOPTION))
            if asked is None or struck > deaths:
                deaths = struck
                asked = self.rig.patiently(
                    lambda: app.send_task(names.TASK_ADOPT, queue=names.CONTROL_QUEUE)
                )
            if not asked.ready():
                return False
            answer, asked = asked.get(disable_sync_subtasks=False), None
            return all(pool["error"] is None for pool in answer)

        wait_until(adopted, ADOPTED_SECONDS, "the pool is adopted")
