"""A launch's record as it lies in Redis, read once and typed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from xenlaunch import states
from xenlaunch.copying import read_request
from xenlaunch.guest import Guest
from xenlaunch.model import (
    Host,
    Launch,
    LaunchError,
    LaunchRequest,
    LaunchResult,
    LaunchStatus,
    Leftover,
)

_LEARNT = {
    *("template", "vm", "vm_uuid", "sources", "moves", "networks", "macs", "addresses", "note"),
    *("setup_sr", "loose", "leftovers"),
}


class Record:
    """The fields of one launch's hash."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = fields

    def __getattr__(self, name: str) -> str:
        return self.fields.get(name, "")

    @property
    def request(self) -> LaunchRequest:
        """What was asked for; what is told to the guest is in it until the launch has ended."""
        request = read_request(self.fields["request"])
        told = self.fields.get("setup")
        return request.but(guest=Guest.model_validate_json(told)) if told else request

    @property
    def index(self) -> int:
        """The launch's place in its batch, from 1."""
        return int(json.loads(self.fields.get("place", "{}")).get("index", 1))

    @property
    def learnt(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.fields.get("learnt", "{}"))
        return found

    @property
    def host(self) -> Host | None:
        return Host.model_validate_json(self.fields["host"]) if "host" in self.fields else None

    @property
    def avoid(self) -> dict[str, str]:
        """The hosts that have refused this launch, by uuid, each with its reason."""
        found: dict[str, str] = json.loads(self.fields.get("avoid", "{}"))
        return found

    @property
    def parked(self) -> dict[str, Any] | None:
        return json.loads(self.fields["parked"]) if "parked" in self.fields else None

    @property
    def troubles(self) -> dict[str, float]:
        """What trouble this step has met, by code, and since when in ms."""
        found: dict[str, float] = json.loads(self.fields.get("troubles", "{}"))
        return found

    @property
    def error(self) -> LaunchError | None:
        """Why the launch ended without a VM, and what it had to leave behind."""
        found = self.fields.get("error")
        if not found:
            return None
        error = LaunchError.model_validate_json(found)
        left = ", ".join(f"{thing.cls} {thing.uuid}" for thing in self.leftovers)
        return error.but(message=f"{error.message} Left behind: {left}.") if left else error

    @property
    def leftovers(self) -> tuple[Leftover, ...]:
        """What the launch had to leave in the pool."""
        found = json.loads(self.fields.get("leftovers", "null")) or self.learnt.get("leftovers", ())
        return tuple(Leftover.model_validate(thing) for thing in found)

    @property
    def result(self) -> LaunchResult:
        return LaunchResult.model_validate_json(self.fields["result"])

    @property
    def ended(self) -> bool:
        return "ended" in self.fields

    @property
    def seconds(self) -> dict[str, float]:
        """How long each step has taken, waiting included."""
        return {
            name.removeprefix("ms:"): int(value) / 1000
            for name, value in self.fields.items()
            if name.startswith("ms:")
        }


def launch_of(record: Record, deployment: str) -> Launch:
    """The launch as a step sees it."""
    learnt = {name: value for name, value in record.learnt.items() if name in _LEARNT}
    return Launch.model_validate(
        {
            "id": record.id,
            "deployment": deployment,
            "pool": record.pool,
            "request": record.request,
            "host": record.host,
            "index": record.index,
            **learnt,
        }
    )


def learnt_of(launch: Launch) -> str:
    """What the steps have learnt, as it lies in the record."""
    return launch.model_dump_json(include=_LEARNT, exclude_defaults=True)


def status_of(record: Record) -> LaunchStatus:
    learnt = record.learnt
    host = record.host
    shown = states.public(record.state)
    going_on = shown in (states.RUNNING, states.UNDOING)
    return LaunchStatus(
        id=record.id,
        name=record.name,
        state=shown,
        step=record.step if going_on else None,
        pool=record.pool or None,
        host=host.name if host else None,
        vm_uuid=learnt.get("vm_uuid") or None,
        addresses=tuple(learnt.get("addresses", ())),
        error=record.error if record.outcome or record.ended else None,
        batch=record.batch or None,
        submitted=_time(record.submitted),
        ended=_time(record.fields["ended"]) if record.ended else None,
        doing=_doing(record),
        macs=tuple(learnt.get("macs", ())),
        note=learnt.get("note", ""),
        leftovers=record.leftovers,
        seconds=record.seconds,
    )


def _doing(record: Record) -> str:
    reason = waits_for(record)
    if reason and record.start_by:
        return f"{reason}; it must begin by {_time(record.start_by):%Y-%m-%d %H:%M:%SZ}"
    return reason


def waits_for(record: Record) -> str:
    """What a launch waits for, as far as it is known, as in ``waiting for its turn``; or ''."""
    parked = record.parked
    if parked:
        return f"waiting for {parked['what']}"
    if record.state == states.WAITING:
        return record.why or record.reason or "waiting for its turn"
    return ""


def _time(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
