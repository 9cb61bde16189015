"""What the page shows, as JSON: made from the ledger, and holding nothing that is secret."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from workers.flowerpage.timeline import LINE, Span, timeline
from xenlaunch import names, states
from xenlaunch.following import read
from xenlaunch.ledger import Ledger
from xenlaunch.model import LaunchRequest, LaunchStatus
from xenlaunch.reading import BatchCounts, Whole, batches, counts, newest, whole

BATCHES: Final = 12
MOST: Final = 1000
"""The most launches that are shown at once."""


def overview(ledger: Ledger, state: str | None, batch: str | None, limit: int) -> dict[str, Any]:
    """Batches, and launches by state: of one batch, or those that moved last."""
    if batch:
        of_batch = read(ledger, ledger.launches_of(batch))
        number = {name: sum(one.state == name for one in of_batch) for name in states.PUBLIC}
        found = [status for status in of_batch if state in {None, status.state}]
    else:
        number, found = counts(ledger), newest(ledger, state, limit)
    return {
        "batches": [_batch(one) for one in batches(ledger, BATCHES)],
        "counts": number,
        "launches": [_row(status) for status in found[:limit]],
        "total": number[state] if state else sum(number.values()),
    }


def detail(ledger: Ledger, launch: str) -> dict[str, Any]:
    """All about one launch."""
    found = whole(ledger, launch)
    status, spans = found.status, timeline(found.history)
    begun = {span.step for span in spans}
    goes_on = status.state in {states.WAITING, states.RUNNING}
    return {
        **_row(status),
        "request": _request(found.record.request),
        "macs": status.macs,
        "vm_uuid": status.vm_uuid,
        "note": found.record.learnt.get("note", ""),
        "error": status.error and status.error.model_dump(),
        "refused_by": _refusals(found),
        "leftovers": [left.model_dump() for left in status.leftovers],
        "made": [{"cls": fact.cls, "ref": fact.ref, "uuid": fact.uuid} for fact in found.made],
        "spans": [_span(span) for span in spans],
        "ahead": [step for step in names.STEPS if step not in begun] if goes_on else [],
        "cancel": _cancel(found),
    }


def _cancel(found: Whole) -> str:
    """Whether the launch can be cancelled: ``possible``, ``asked``, or why not."""
    record = found.record
    if record.ended:
        return "ended"
    if record.state == states.FINISHING:
        return "late"
    return "asked" if record.cancel or record.state == states.UNDOING else "possible"


def _row(status: LaunchStatus) -> dict[str, Any]:
    return {
        "id": status.id,
        "name": status.name,
        "state": status.state,
        "step": status.step,
        "doing": status.doing,
        "pool": status.pool,
        "host": status.host,
        "addresses": status.addresses,
        "why": status.error.message if status.error else "",
        "batch": status.batch,
        "submitted": _ms(status.submitted),
        "ended": _ms(status.ended),
    }


def _batch(batch: BatchCounts) -> dict[str, Any]:
    return {
        "id": batch.id,
        "name": batch.name,
        "count": batch.count,
        "submitted": _ms(batch.submitted),
        "states": dict(batch.states),
    }


def _request(request: LaunchRequest) -> dict[str, Any]:
    """What was asked for, in named fields alone: what else a request may hold is not shown."""
    return {
        "template": request.template,
        "vcpus": request.vcpus,
        "memory": request.memory,
        "disks": len(request.disks),
        "nics": None if request.nics is None else [nic.shown for nic in request.nics],
        "wait_for": _waits_for(request),
        "on_failure": request.on_failure,
        "priority": request.priority,
        "owner": request.owner,
    }


def _waits_for(request: LaunchRequest) -> str:
    wait = request.wait_for
    if isinstance(wait, str):
        return wait
    return f"{wait}, port {wait.port}" if wait.port else str(wait)


def _refusals(found: Whole) -> list[str]:
    return sorted(set(found.hosts_refused.values()))


def _span(span: Span) -> dict[str, Any]:
    return {
        "step": span.step,
        "is_line": span.step == LINE,
        "began": _ms(span.began),
        "ended": _ms(span.ended),
        "stopped": span.stopped,
        "waits": [
            {"what": w.what, "began": _ms(w.began), "ended": _ms(w.ended), "retry": w.retry}
            for w in span.waits
        ],
    }


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def changed(events: Iterable[tuple[str, dict[str, str]]]) -> list[str]:
    """The launches that events are about, each once."""
    return list(dict.fromkeys(event["launch"] for _, event in events))
