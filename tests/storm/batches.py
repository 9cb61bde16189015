"""One batch of launches, each doomed to crash points of its own, on workers that are replaced."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tests.storm.checker import Expected, Findings, check, in_the_log, vms_of
from tests.storm.lives import SOURCE, Life
from tests.storm.owner import Owner
from tests.storm.points import Points
from tests.storm.rig import DEPLOYMENT, Rig
from tests.support.waiting import wait_until
from xenlaunch.errors import TooLate
from xenlaunch.ledger import launch_id
from xenlaunch.model import LaunchRequest
from xenlaunch.names import OTHER_CONFIG_MARK
from xenlaunch.rulings import CANCELLED_BY_OWNER

BATCH_SECONDS: Final = 120.0
SWEPT_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Doomed:
    """A launch to come: its life, and the point at which whoever carries it dies (if any).

    Where there is a ``subject``, it is no launch: the process, or a role.
    """

    life: Life
    point: str = ""
    subject: str = ""

    @property
    def dooms(self) -> list[str]:
        first = [] if self.subject else [*self.life.dooms]
        return [*first, *([self.point] if self.point else [])]

    def __str__(self) -> str:
        return f"{self.subject or self.life.name}: {self.point}"


@dataclass
class Ended:
    """How a batch went."""

    findings: Findings
    struck: list[Doomed] = field(default_factory=list)
    missed: list[Doomed] = field(default_factory=list)
    passed: dict[str, list[str]] = field(default_factory=dict)
    deaths: int = 0


def make_source(rig: Rig, owner: Owner) -> None:
    """Have a launch make the VM that others are cloned from; its owner halts it."""
    fields = {"name": SOURCE, "template": "debian-12", "disks": [{"new": "1GiB"}] * 2}
    launch = rig.client.submit(LaunchRequest.parse(fields), token=SOURCE).id
    wait_until(lambda: not rig.untold([launch]), 60, "the source is there")
    owner.halt(SOURCE)


class Batches:
    """Runs batches on one rig, whose workers pass points."""

    def __init__(self, rig: Rig, points: Points, owner: Owner) -> None:
        self.rig = rig
        self.points = points
        self.owner = owner
        self.existing = owner.make_disk("somebody's disk", "sr-2")
        make_source(rig, owner)
        self._count = 0

    def run(
        self,
        doomed: Sequence[Doomed],
        meanwhile: Callable[[Mapping[str, Doomed]], None] | None = None,
    ) -> Ended:
        """Submit them all, see them to their ends, and say what is wrong then.

        ``meanwhile`` is done while they go on; then all of them are submitted once more.
        """
        self._count += 1
        tokens = [f"batch {self._count}, {number}" for number in range(len(doomed))]
        named = zip(tokens, doomed, strict=True)
        launches = {launch_id(DEPLOYMENT, token): one for token, one in named}
        before = self.rig.pool.state()
        unknown = launch_id(DEPLOYMENT, f"of nobody, {self._count}")
        self.owner.leave_half_made(unknown)
        rules = [rule for launch, one in launches.items() for rule in one.life.befalls(launch)]
        self.rig.pool.faults(rules)
        for launch, one in launches.items():
            self.points.doom(one.subject or launch, one.dooms)
        requests = {
            launch: one.life.request(f"vm-{launch[2:8]}", self.existing)
            for launch, one in launches.items()
        }
        self._submit(requests.values(), tokens)
        if meanwhile:
            meanwhile(launches)
            self._submit(requests.values(), tokens)
        self._see_through(launches)
        self._see_swept(unknown)
        ended = self._judge(before, launches, requests)
        self.owner.remove_new(before)
        return ended

    def _submit(self, requests: Iterable[LaunchRequest], tokens: Sequence[str]) -> None:
        for request, token in zip(requests, tokens, strict=True):
            self.rig.client.submit(request, token=token)

    def _see_through(self, launches: Mapping[str, Doomed]) -> None:
        to_cancel = {launch: one for launch, one in launches.items() if one.life.cancel_when}
        to_reopen = {launch: one.life.then for launch, one in launches.items() if one.life.then}
        untold: set[str] = set(launches)

        def all_told() -> bool:
            nonlocal untold
            self.rig.tend()
            for record in self.rig.records(list(to_cancel)):
                wanted = to_cancel[record.id].life.cancel_when
                if wanted and wanted(record):
                    self.rig.ledger.cancel(record.id, CANCELLED_BY_OWNER)
                    del to_cancel[record.id]
            untold = self.rig.untold(list(untold))
            for launch in to_reopen.keys() - untold:
                with suppress(TooLate):  # it has ended otherwise: the checker says so
                    to_reopen.pop(launch)(self.rig.client, launch)
                untold.add(launch)
            return not untold

        with suppress(AssertionError):  # the checker says which have not
            wait_until(all_told, BATCH_SECONDS, f"{len(launches)} launches have ended")

    def _see_swept(self, unknown: str) -> None:
        """What nobody remembers is swept; the checker says whether it was."""

        def swept() -> bool:
            self.rig.tend()
            state = self.rig.pool.state()
            disks = (row["other_config"] for row in state["VDI"].values())
            marked = any(f"/{unknown}/" in row.get(OTHER_CONFIG_MARK, "") for row in disks)
            return not (marked or unknown in vms_of(state))

        with suppress(AssertionError):
            wait_until(swept, SWEPT_SECONDS, "what nobody remembers is swept")

    def _judge(
        self, before: Any, launches: Mapping[str, Doomed], requests: Mapping[str, LaunchRequest]
    ) -> Ended:
        expected = {
            launch: Expected(one.life.ends, one.life.leaves, requests[launch])
            for launch, one in launches.items()
        }
        rig = self.rig
        findings = check(before, rig.pool.state(), rig.ledger, rig.redis.url, expected)
        findings += in_the_log(rig.pool.control("GET", "/calls?changing=1"))
        ended = Ended(findings)
        for launch, one in launches.items():
            struck = self.points.struck(one.subject or launch)
            ended.deaths += len(struck)
            ended.passed[one.life.name] = self.points.passed(launch)
            (ended.struck if struck == one.dooms else ended.missed).append(one)
            if one.subject:
                self.points.forget(one.subject)
        return ended
