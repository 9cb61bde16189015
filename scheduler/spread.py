"""Spreading a template: its copies on other SRs are listed, asked for, and removed.

Each copy is made by a launch of its own, so what is asked for here survives whoever dies. What is
there already is not made again, and only what was made here is ever removed: never the original,
and never the last that there is.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from scheduler.inventory import Inventory
from tasks import lookup
from tasks.copies import Copy, copies
from tasks.spread import check_room
from tasks.unused import is_copy
from xenlaunch import names, states
from xenlaunch.adopting import Found, adopt
from xenlaunch.deed import Deed
from xenlaunch.errors import PoolError, Refused, TokenReused
from xenlaunch.ledger import Ledger
from xenlaunch.marks import launch_of_vm
from xenlaunch.record import Record
from xenlaunch.spreading import Copying, Copyings
from xenlaunch.xapi.reach import Reach

THERE: Final = "there"
WAITING: Final = "waiting"
COPYING: Final = "copying"
REMOVING: Final = "removing"
FAILED: Final = "failed"

SHOWN: Final = {states.WAITING: WAITING, states.RUNNING: COPYING, states.FINISHING: COPYING}
"""How the state of the launch that makes a copy is called of the copy."""

REMOVED: Final = {"code": "CANCELLED", "params": [], "message": "The copy is not wanted any more."}

Row = dict[str, Any]


@dataclass
class Spreading:
    """One pool's templates and their copies."""

    ledger: Ledger
    reach: Reach
    inventory: Inventory
    deployment: str

    @property
    def copyings(self) -> Copyings:
        return Copyings(self.ledger, self.deployment, self.reach.name)

    # Listing

    def report(self, template: str) -> list[Row]:
        """Each copy that there is, and each that is made, removed, or could not be made."""
        # First what is under way, then what is there: nothing goes from one to the other unseen.
        known = self.copyings.of(self.name_of(self.family(template)))
        family = self.family(template)
        if is_behind(family, known):
            self.inventory.records.barrier()
            family = self.family(template)
        under_way = self.under_way(family, known)
        launches = {row["launch"] for row in under_way}
        there = [row for row in map(self.row_of, family) if row["launch"] not in launches]
        return sorted([*there, *under_way], key=lambda row: (row["sr"], row["uuid"]))

    def rows_on(self, template: str, srs: Sequence[str]) -> list[Row]:
        """The rows of these SRs, by name or uuid."""
        rows = self.inventory.records.all("sr")
        wanted = {
            row["name_label"]
            for row in rows.values()
            if {row["uuid"], row["name_label"]} & set(srs)
        }
        return [row for row in self.report(template) if row["sr"] in wanted]

    def family(self, template: str) -> tuple[Copy, ...]:
        """All copies of a template, by its name or the uuid of one of them."""
        [one, *others] = copies(self.inventory, template)
        if not lookup.is_template(one.record):
            sentence = f"{one.record['name_label']!r} is no template: only one of those has copies."
            raise Refused("TEMPLATE_NOT_FOUND", [template], sentence)
        return (one, *others) if others else copies(self.inventory, one.record["name_label"])

    def name_of(self, family: Sequence[Copy]) -> str:
        return str(family[0].record["name_label"])

    def row_of(self, copy: Copy) -> Row:
        srs = [self.inventory.records.get("sr", sr) or {} for sr in copy.srs]
        ours = self.is_ours(copy)
        return self.row(
            template=copy.record["name_label"],
            sr=", ".join(str(row.get("name_label", "")) for row in srs),
            hosts=min((self.hosts(sr) for sr in copy.srs), default=0),
            uuid=copy.record["uuid"],
            made_here=ours,
            state=THERE,
            launch=launch_of_vm(copy.record, self.deployment) if ours else "",
        )

    def row(self, **said: Any) -> Row:
        """A row of the answer: what is not said is as it is where there is nothing yet."""
        blank = {"sr": "", "hosts": 0, "hosts_total": len(self.inventory.records.all("host"))}
        blank |= {"uuid": "", "made_here": False, "state": FAILED, "percent": None}
        return {"pool": self.reach.name, "template": "", **blank, "launch": "", "error": "", **said}

    def is_ours(self, copy: Copy) -> bool:
        return is_copy(copy.record) and bool(launch_of_vm(copy.record, self.deployment))

    def hosts(self, sr: str) -> int:
        """How many hosts reach an SR now."""
        pbds = self.inventory.records.all("pbd").values()
        return sum(row["SR"] == sr and bool(row["currently_attached"]) for row in pbds)

    def under_way(self, family: Sequence[Copy], known: Mapping[str, Copying]) -> list[Row]:
        """The copies that are not there, as the launches that make or remove them stand."""
        name, taken = self.name_of(family), {sr for copy in family for sr in copy.srs}
        refs = {row["uuid"]: ref for ref, row in self.inventory.records.all("sr").items()}
        found = []
        for copying in known.values():
            ref, record = refs.get(copying.sr, ""), copying.record
            state = shown(record) if record else ""
            if record and state and not (state == FAILED and ref in taken):
                found.append(self.row_under_way(name, ref, copying, state, record))
        return found

    def row_under_way(
        self, name: str, sr: str, copying: Copying, state: str, record: Record
    ) -> Row:
        row = self.inventory.records.get("sr", sr) or {}
        return self.row(
            template=name,
            sr=str(row.get("name_label", copying.sr)),
            hosts=self.hosts(sr),
            uuid=str(record.learnt.get("vm_uuid", "")),
            made_here=True,
            state=state,
            percent=self.percent(record) if state == COPYING else None,
            launch=copying.launch,
            error=record.error.message if state == FAILED and record.error else "",
        )

    def percent(self, record: Record) -> int | None:
        """How much is copied, as the pool says of its task; None where it cannot say."""
        if record.step != names.CLONE:
            return 100 if record.step == names.POLL else 0
        ref = str((record.parked or {}).get("ref", ""))
        with suppress(PoolError):
            if ref.startswith("OpaqueRef:"):
                return int(100 * float(self.inventory.read("task.get_progress", ref)))
        return None

    # Making

    def spread(self, template: str, srs: Sequence[str]) -> list[Row]:
        """Have copies made on these SRs, where there are none; how each of them stands."""
        self.reach.permit()
        # First what is under way, then what is there: nothing goes from one to the other unseen.
        before = self.copyings.of(self.name_of(self.family(template)))
        self.inventory.records.barrier()
        family = self.family(template)
        original = min(family, key=lambda copy: (self.is_ours(copy), copy.record["uuid"]))
        refused = []
        for wanted in dict.fromkeys(srs):
            try:
                self.spread_to(original, family, wanted, before)
            except PoolError as error:
                refused.append(self.refusal(template, wanted, error))
        return [*self.rows_on(template, srs), *refused]

    def spread_to(
        self, original: Copy, family: Sequence[Copy], wanted: str, before: dict[str, Copying]
    ) -> None:
        ref, row = lookup.storage(self.inventory.records, wanted)
        name, known = self.name_of(family), before.get(row["uuid"])
        if known and is_going(known):
            sentence = f"The copy of {name!r} on {wanted!r} is being removed: ask again after that."
            raise Refused("COPY_CHANGES", [name, wanted], sentence)
        if any(ref in copy.srs for copy in family) or (known and is_under_way(known)):
            return
        if not original.disks:
            sentence = f"The template {name!r} has no disks: it needs no copies."
            raise Refused("TEMPLATE_HAS_NO_DISKS", [name], sentence)
        if not self.hosts(ref):
            sentence = f"No host of the pool reaches the storage repository {wanted!r} now."
            raise Refused("SR_NOT_REACHED", [wanted], sentence)
        check_room(self.inventory, name, ref, sum(disk.size for disk in original.disks.values()))
        with suppress(TokenReused):  # somebody was first, who copies from another copy
            self.copyings.begin(name, str(original.record["uuid"]), row["uuid"], known)

    def refusal(self, template: str, sr: str, error: PoolError) -> Row:
        return self.row(template=template, sr=sr, error=error.message)

    # Removing

    def remove(self, template: str, srs: Sequence[str]) -> list[Row]:
        """Have the copies on these SRs removed; how each of them stands."""
        self.reach.permit()
        before = self.copyings.of(self.name_of(self.family(template)))
        self.inventory.records.barrier()
        family = list(self.family(template))
        refused = []
        for wanted in dict.fromkeys(srs):
            try:
                family = self.remove_from(family, wanted, before)
            except PoolError as error:
                refused.append(self.refusal(template, wanted, error))
        said = {row["sr"] for row in refused}
        return [*(row for row in self.rows_on(template, srs) if row["sr"] not in said), *refused]

    def remove_from(
        self, family: list[Copy], wanted: str, before: dict[str, Copying]
    ) -> list[Copy]:
        """Have one copy removed, or its making stopped; the copies that are left."""
        ref, row = lookup.storage(self.inventory.records, wanted)
        name, known = self.name_of(family), before.get(row["uuid"])
        found = [copy for copy in family if ref in copy.srs]
        if not found:
            if known is None or not is_under_way(known):
                sentence = f"The template {name!r} has no copy on {wanted!r}."
                raise Refused("COPY_NOT_FOUND", [name, wanted], sentence)
            self.ledger.cancel(known.launch, REMOVED)
            return family
        left = [copy for copy in family if ref not in copy.srs]
        self.check_may_go(found[0], left, wanted)
        self.reopen(found[0])
        return left

    def check_may_go(self, copy: Copy, left: Sequence[Copy], wanted: str) -> None:
        name = str(copy.record["name_label"])
        if not self.is_ours(copy):
            raise Refused(
                "COPY_NOT_OURS",
                [name, wanted],
                f"The template {name!r} on {wanted!r} was not made by 'xenlaunch template spread': "
                "only what was is removed.",
            )
        if not left:
            raise Refused(
                "LAST_COPY",
                [name, wanted],
                f"What is on {wanted!r} is the last that there is of the template {name!r}.",
            )

    def reopen(self, copy: Copy) -> None:
        """Turn the launch that has made the copy to its undo; one that has expired is read back."""
        launch = launch_of_vm(copy.record, self.deployment)
        deed = Deed.read(copy.record["other_config"].get(names.OTHER_CONFIG_FINISHED), launch)
        if deed is not None and not self.ledger.records([launch]):
            uuid = str(copy.record["uuid"])
            adopt(self.ledger, Found(deed, self.reach.name, copy.ref, uuid, None, (), ()))
        verdict = self.ledger.reopen(launch, states.DESTROYED)
        if verdict not in ("undoing", "done"):
            name = str(copy.record["name_label"])
            sentence = f"The copy of {name!r} is not finished yet: remove it when it is."
            raise Refused("COPY_CHANGES", [name], sentence)


def is_behind(family: Sequence[Copy], known: Mapping[str, Copying]) -> bool:
    """Whether a copy is there of which this process has not heard; or it is gone again."""
    uuids = {copy.record["uuid"] for copy in family}
    made = [
        one.record for one in known.values() if one.record and one.record.state == states.SUCCEEDED
    ]
    return any(record.learnt.get("vm_uuid") not in uuids for record in made)


def shown(record: Record) -> str:
    """What is said of a copy that a launch with this record makes; '' where there is none."""
    if record.state == states.UNDOING:
        return FAILED if record.outcome == states.FAILED else REMOVING
    ended = {states.FAILED: FAILED}
    return SHOWN.get(record.state, ended.get(record.state, ""))


def is_under_way(copying: Copying) -> bool:
    return copying.record is not None and not copying.record.ended


def is_going(copying: Copying) -> bool:
    """Whether the copy is being removed, whole or half."""
    return copying.record is not None and copying.record.state == states.UNDOING
