"""What is written into the ledger when a pool is read that knows more than it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from xenlaunch import names, states
from xenlaunch.deed import Deed
from xenlaunch.lease import OPEN, Call, Made
from xenlaunch.ledger import KEEP_BATCH, Ledger
from xenlaunch.model import Host, LaunchRequest, LaunchResult, Leftover
from xenlaunch.record import Record
from xenlaunch.store import reachable

FORGOTTEN: Final = "unknown"
"""The template of a request of which a deed tells the digest only."""

ROLLED_BACK: Final = {
    "code": "LEDGER_ROLLED_BACK",
    "params": [],
    "message": "Redis lost what it knew of this launch; what it had made was removed: "
    "submit it again under another token.",
}

KEPT: Final = {
    "code": "VM_KEPT",
    "params": [],
    "message": "The launch had failed, and its VM was kept; Redis lost why.",
}


@dataclass(frozen=True)
class Found:
    """A VM in a pool that is its owner's, and what can be seen of it."""

    deed: Deed
    pool: str
    ref: str
    uuid: str
    host: Host | None
    macs: tuple[str, ...]
    addresses: tuple[str, ...]
    kept: bool = False

    @property
    def state(self) -> str:
        return states.FAILED if self.kept else states.SUCCEEDED


def adopt(ledger: Ledger, found: Found) -> str:
    """Make the launch of this VM one that has ended: ``new``, ``won``, ``known`` …"""
    deed, place = found.deed, found.deed.place
    index, batch = (place.index, place.model_dump()) if place else (0, {})
    described = json.dumps({**batch, "submitted": deed.submitted})
    return str(
        ledger.store.run(
            "adopt",
            deed.launch,
            *(found.state, found.uuid, found.pool, json.dumps(_fields(found)), deed.batch),
            *(index, described, KEEP_BATCH * ledger.times.keep),
        )
    )


def _fields(found: Found) -> dict[str, str]:
    """The record of the launch, as far as its VM tells of it."""
    deed = found.deed
    request = LaunchRequest(name=deed.name, template=FORGOTTEN)
    learnt = {"vm": found.ref, "vm_uuid": found.uuid, "macs": found.macs}
    fields = {
        "digest": deed.digest,
        "request": request.canonical(),
        "name": deed.name,
        "submitted": str(deed.submitted),
        "ended": str(deed.ended),
        "learnt": json.dumps({**learnt, "addresses": found.addresses}),
    }
    if deed.place is not None:
        fields["place"] = deed.place.model_dump_json()
    if found.host is not None:
        fields["host"] = found.host.model_dump_json()
    return fields | (_failure(found) if found.kept else {"result": _result(found)})


def _result(found: Found) -> str:
    return LaunchResult(
        id=found.deed.launch,
        name=found.deed.name,
        pool=found.pool,
        vm_uuid=found.uuid,
        host=found.host.name if found.host else "",
        macs=found.macs,
        addresses=found.addresses,
    ).model_dump_json()


def _failure(found: Found) -> dict[str, str]:
    error = found.deed.error
    left = Leftover(
        cls="VM",
        uuid=found.uuid,
        advice="It was kept, as asked: remove it with its disks when you have looked at it.",
    )
    return {
        "error": json.dumps(KEPT) if error is None else error.model_dump_json(),
        "leftovers": json.dumps([left.model_dump()]),
    }


# Launches that seem to live


def unknown_to(ledger: Ledger, record: Record, there: Iterable[Made]) -> list[Made]:
    """What of these a launch's record does not know, and what no call of it may be making now.

    A launch that has not begun to clone knows nothing, and needs not: it clears away what is there.
    """
    key = ledger.store.key("launch", record.id)
    with reachable(), ledger.store.redis.pipeline(transaction=False) as pipe:
        pipe.smembers(f"{key}:made")
        pipe.hvals(f"{key}:calls")
        made, calls = pipe.execute()
    if record.step == names.CONNECT and not calls:
        return []
    known = {json.loads(fact)["ref"] for fact in made}
    opened = [Call.from_json(text) for text in calls]
    making = {call.makes for call in opened if call.state == OPEN}
    return [one for one in there if one.ref not in known and one.cls not in making]


def roll_back(ledger: Ledger, launch: str, unknown: Sequence[Made]) -> str:
    """Have a launch undone, with all that the pool holds of it: ``undo``, ``undoing`` …"""
    facts = [one.to_json() for one in unknown]
    return str(ledger.store.run("rolled_back", launch, json.dumps(ROLLED_BACK), *facts))
