"""Adopting a pool: what it holds of this deployment is read back into a ledger that lost it.

First the pool is closed: it bears nobody's generation, so that whoever used it last stops. Then it
is read. A finished VM becomes a launch that has succeeded, whatever the ledger knew; a launch that
seems to live, and of which the pool holds more than its record knows, is undone. Last of all the
pool bears this ledger's generation. Whoever dies in the middle has it done again: every part of it
says what is so, and the pool stays closed until all is done.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scheduler.generation import Generations
from tasks.poll import host_of
from tasks.remains import half_made_by, new_disks
from tasks.told import metrics_of, usable
from xenlaunch import names, states
from xenlaunch.adopting import Found, adopt, roll_back, unknown_to
from xenlaunch.deed import Deed
from xenlaunch.errors import PoolError
from xenlaunch.generation import OURS
from xenlaunch.lease import Made
from xenlaunch.ledger import Ledger
from xenlaunch.marks import is_settled, launch_of_disk, launch_of_name, launch_of_vm
from xenlaunch.xapi.reach import Reach

READY_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 3.0
"""How long those who used the pool last are given to see that it is closed, and to stop."""

OUR_DISKS: Final = f'field "name__description"="{names.MADE_BY_US}"'

Row = Mapping[str, Any]


@dataclass
class Adoption:
    """Reads pools back into the ledger."""

    ledger: Ledger
    generations: Generations
    deployment: str
    reach: Callable[[str], Reach]
    pause: Callable[[float], object] = time.sleep

    def adopt(self, pool: str) -> dict[str, Any]:
        """Adopt a pool; what was found and done, or the error that it ended with."""
        figures: dict[str, Any] = {
            "name": pool,
            "was": None,
            "succeeded": 0,
            "known": 0,
            "kept": 0,
            "undone": 0,
            "half_made": 0,
            "going_on": 0,
            "error": None,
        }
        try:
            figures["was"] = was = self.generations.ask(pool)
            if was != OURS:
                self.generations.close(pool)
                self.pause(SETTLE_SECONDS)
            figures |= self.read_back(self.reach(pool))
            if was != OURS:
                self.generations.take(pool)
        except PoolError as error:
            figures["error"] = error.message
        return figures

    def read_back(self, reach: Reach) -> Counter[str]:
        """Bring the ledger to what the pool holds; how many of what there was."""
        reach.records.barrier(READY_SECONDS)
        vms = reach.records.all("vm")
        disks = reach.session.read("VDI.get_all_records_where", OUR_DISKS)
        done = Counter(self.settled(reach, found) for found in self.owned(reach, vms))
        for launch, there in self.half_made(reach, vms, disks).items():
            done[self.unsettled(launch, there)] += 1
        return done

    # What is its owner's

    def owned(self, reach: Reach, vms: Mapping[str, Row]) -> Iterator[Found]:
        for ref, row in vms.items():
            launch = launch_of_vm(row, self.deployment) if is_settled(row) else ""
            marks = row["other_config"]
            finished = marks.get(names.OTHER_CONFIG_FINISHED)
            deed = Deed.read(finished or marks.get(names.OTHER_CONFIG_KEPT), launch)
            if deed is not None:
                yield Found(
                    deed,
                    reach.name,
                    ref,
                    row["uuid"],
                    host_of(reach, row["resident_on"]),
                    macs_of(reach, ref),
                    addresses_of(reach, ref),
                    kept=finished is None,
                )

    def settled(self, reach: Reach, found: Found) -> str:
        verdict = adopt(self.ledger, found)
        if verdict == "lives":
            return "known"
        if not found.kept and verdict != "differs":
            self.give_name(reach, found)
        if verdict in ("known", "differs"):
            return "known"
        return "kept" if found.kept else states.SUCCEEDED

    def give_name(self, reach: Reach, found: Found) -> None:
        """A VM whose launch was about to succeed may still have its working name."""
        name = reach.session.read("VM.get_name_label", found.ref)
        if launch_of_name(name, self.deployment) == found.deed.launch:
            login = reach.session.login
            reach.session.send("VM.set_name_label", found.ref, found.deed.name, as_login=login)

    # What is half made

    def half_made(
        self, reach: Reach, vms: Mapping[str, Row], disks: Mapping[str, Row]
    ) -> dict[str, list[Made]]:
        """All that is half made, by launch.

        A VM is marked as its owner's right after its disks: so while it is not, neither are they.
        """
        found: dict[str, list[Made]] = {}
        rows = {ref: row for ref, row in disks.items() if not is_settled(row)}
        for ref, row in vms.items():
            launch = half_made_by(row, self.deployment)
            if launch:
                found.setdefault(launch, []).append(Made("VM", ref, row["uuid"]))
                rows |= new_disks(reach.session, self.deployment, launch, ref)
        for ref, row in rows.items():
            launch = launch_of_disk(ref, row, self.deployment)
            found.setdefault(launch, []).append(Made("VDI", ref, row["uuid"]))
        found.pop("", None)
        return found

    def unsettled(self, launch: str, there: list[Made]) -> str:
        """Nobody knows of it: the sweeper's, after its grace. Else it is the launch's own affair,
        unless its record knows too little for that.
        """
        records = self.ledger.records([launch])
        if not records:
            return "half_made"
        unknown = [] if records[0].ended else unknown_to(self.ledger, records[0], there)
        if unknown and roll_back(self.ledger, launch, unknown) == "undo":
            return "undone"
        return "going_on"


def macs_of(reach: Reach, vm: str) -> tuple[str, ...]:
    rows = [row for row in reach.records.all("vif").values() if row["VM"] == vm]
    return tuple(str(row["MAC"]) for row in sorted(rows, key=lambda row: int(row["device"])))


def addresses_of(reach: Reach, vm: str) -> tuple[str, ...]:
    metrics = metrics_of(reach.records, vm)
    return usable(metrics["networks"]) if metrics else ()
