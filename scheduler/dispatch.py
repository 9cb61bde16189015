"""Dispatching: the head of a pool's line goes, while the pool has room for it.

Level-triggered: each pass looks at the whole of what is, whatever has woken it.
"""

from collections.abc import Callable
from typing import Any

from scheduler.inventory import Inventory
from scheduler.placement import HostRoom, Need, NoRoom, Placed, place, reserve
from xenlaunch import states
from xenlaunch.errors import Refused
from xenlaunch.ledger import Ledger
from xenlaunch.model import Host
from xenlaunch.record import Record

Begin = Callable[[str, str], None]
"""Sends the chain of a launch from a step on."""


def dispatch(ledger: Ledger, pool: str, inventory: Inventory, begin: Begin, most: int) -> int:
    """Begin what can begin while fewer than ``most`` are in flight; how many have left the line."""
    waiting = ledger.records(ledger.waiting(pool))
    if not waiting:
        return 0
    held = ledger.in_flight(pool)
    hosts = inventory.hosts(held)
    gone = 0
    for record in waiting:
        need = inventory.need(record.request, record.avoid, template_of(record))
        rooms = inventory.with_gpus(hosts, need.gpu, held) if need.gpu else hosts
        verdict = place(rooms.values(), need)
        if isinstance(verdict, NoRoom):
            gone += _turn_away(ledger, record, verdict)
            continue
        reservation = reservation_of(verdict, need)
        shown = host_of(verdict.host).model_dump_json()
        step = ledger.admit(record.id, shown, reservation, most)
        if step == "full":
            break
        if step == "stale":
            continue
        hosts = reserve(hosts, verdict.host.ref, need.memory)
        held = {**held, record.id: reservation}
        begin(record.id, step)
        gone += 1
    return gone


def template_of(record: Record) -> str:
    """The uuid of the template that the launch has pinned, if it was on its way before."""
    return str((record.learnt.get("template") or {}).get("uuid", ""))


def reservation_of(verdict: Placed, need: Need) -> dict[str, Any]:
    """What is held for a launch until its VM has it: its memory, and its GPU if it needs one."""
    held = {"host": verdict.host.ref, "memory": need.memory}
    return {**held, "gpu": need.gpu} if need.gpu else held


def _turn_away(ledger: Ledger, record: Record, verdict: NoRoom) -> int:
    if not verdict.never:
        ledger.say_why(record.id, f"waiting for room: {verdict}")
        return 0
    code = "NO_HOSTS_LEFT" if record.avoid else "CANNOT_FIT"
    sentence = f"No host of the pool can take this VM. {verdict}."
    refused = Refused(code, [f"{name}: {reason}" for name, reason in verdict.reasons], sentence)
    ledger.refuse(record.id, states.FAILED, refused.as_record())
    return 1


def host_of(room: HostRoom) -> Host:
    return Host(ref=room.ref, uuid=room.uuid, name=room.name)
