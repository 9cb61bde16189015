"""The random storm: a batch without an end, and things that die under it, from one seed.

It goes in rounds. Each has a stack of its own and so many kills; then nothing more is killed or
asked for, all launches end, and everything is checked. A round's seed is made of the storm's and
its number, so that each can be had again alone.
"""

import heapq
import itertools
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.storm.checker import Findings, check, in_the_log
from tests.storm.demand import Demand
from tests.storm.kills import OF_ACTION, Strikes
from tests.storm.owner import Owner
from tests.storm.recovery import Recovery
from tests.storm.rig import Rig
from tests.support.waiting import wait_until
from xenlaunch.errors import StoreUnreachable

Tell = Callable[[str], None]

PAUSE: Final = 2.0
"""Seconds between two kills, on average."""
IN_FLIGHT: Final = 40
WORKERS: Final = 4
TIME_SCALE: Final = 0.3
LAST_SECONDS: Final = 180.0
REPORT_EVERY: Final = 20


@dataclass
class Round:
    """What one round came to."""

    number: int
    kills: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    from_death: list[float] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    seconds: float = 0.0

    @property
    def struck(self) -> int:
        return sum(self.kills.values())


class Storm:
    """One round on one stack."""

    def __init__(self, rig: Rig, seed: str, number: int, tell: Tell) -> None:
        self.rig = rig
        self.chance = Random(f"{seed}/{number}")
        self.round = Round(number)
        self.tell = tell
        self.owner = Owner(rig.pool)
        existing = self.owner.make_disk("somebody's disk", "sr-2")
        self.owner.close()
        self.before = rig.pool.state()
        label = f"{seed}/{number}"
        self.demand = Demand(rig, Random(label), existing, label, IN_FLIGHT)
        self.recovery = Recovery(rig)
        self.strikes = Strikes(rig, self.chance, self.recovery, self._later)
        self._acts: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._reported = 0
        self._next = 0.0

    def rage(self, kills: int) -> Round:
        begun = time.monotonic()
        self._next = begun + 2
        wait_until(lambda: self._turn(kills), kills * PAUSE * 4 + 60, f"{kills} kills")
        self.tell(f"  {self._progress()}; the last launches end")
        try:
            wait_until(self._calms_down, LAST_SECONDS, "all launches have ended")
        except AssertionError as late:
            self.tell(f"  {late}: {sorted(self.demand.in_flight)}")
        self._judge()
        self.round.seconds = time.monotonic() - begun
        self.demand.close()
        return self.round

    def _turn(self, kills: int) -> bool:
        """One turn of the storm; whether there were enough of them."""
        now = time.monotonic()
        self._act(now)
        self._look(more=True)
        if now >= self._next:
            self._next = now + self.chance.expovariate(1 / PAUSE)
            kind = self._strike()
            if kind:
                self.round.kills[kind] += 1
            self._count_rules()
            self._report()
        return self.round.struck >= kills

    def _strike(self) -> str:
        try:
            return self.strikes.strike()
        except StoreUnreachable:
            return ""

    def _calms_down(self) -> bool:
        self._act(time.monotonic())
        self._look(more=False)
        return not (self._acts or self.demand.in_flight or self.demand.batches.going_on)

    def _look(self, *, more: bool) -> None:
        self.rig.tend()
        if not self.strikes.redis_away:
            try:
                self.recovery.look(self.demand.in_flight)
                self.demand.look(more=more)
            except StoreUnreachable:
                return  # it is on its way back

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._acts, (time.monotonic() + seconds, next(self._numbers), act))

    def _act(self, now: float) -> None:
        while self._acts and self._acts[0][0] <= now:
            heapq.heappop(self._acts)[2]()

    def _count_rules(self) -> None:
        struck = Counter(
            OF_ACTION[rule["action"]]
            for rule in self.rig.pool.control("GET", "/faults")
            if rule["action"] in OF_ACTION and rule["struck"]
        )
        for kind in OF_ACTION.values():
            self.round.kills[kind] = struck[kind]

    def _report(self) -> None:
        if self.round.struck >= self._reported + REPORT_EVERY:
            self._reported = self.round.struck
            self.tell(f"  {self._progress()}")

    def _progress(self) -> str:
        asked = len(self.demand.expected)
        return f"round {self.round.number}: {self.round.struck} kills, {asked} launches"

    def _judge(self) -> None:
        self._count_rules()
        rig = self.rig
        found = check(
            self.before, rig.pool.state(), rig.ledger, rig.redis.url, self.demand.expected
        )
        self.round.findings = found + in_the_log(rig.pool.control("GET", "/calls?changing=1"))
        records = {one.id: one for one in rig.ledger.records(list(self.demand.expected))}
        self.round.findings += Findings(wrong=tuple(self.demand.batches.wrong(records)))
        self.round.ends.update(record.state for record in records.values())
        self.round.recoveries = self.recovery.seconds
        self.round.from_death = self.recovery.from_death


def one_round(folder: Path, seed: str, number: int, kills: int, tell: Tell) -> Round:
    here = folder / f"round-{number}"
    shutil.rmtree(here, ignore_errors=True)  # a storm that was broken off has left its Redis there
    rig = Rig(here, time_scale=TIME_SCALE, workers=WORKERS, options=["--listen-all"])
    with rig:
        rig.begin()
        return Storm(rig, seed, number, tell).rage(kills)
