"""SRs and their connections to hosts."""

from __future__ import annotations

from typing import Final

from simulator.behaviour.vdi import sr_mark
from simulator.calls import Call, call, declare
from simulator.errors import ApiError
from simulator.generic import setters

_THIS: Final = "sr: SR ref"

for _field in ("name_label", "name_description"):
    declare(setters("SR", _field, "string", _THIS, has_async=True))
declare(setters("SR", "shared", "bool", _THIS, has_async=True))


@call("SR.scan(sr: SR ref) -> void", has_async=True)
async def scan(call: Call, ref: str) -> str:
    sr = call.db.get("SR", ref)
    async with call.world.locks.marked(call, lambda: [sr_mark(call, sr, "scan")]):
        await call.spend("SR.scan")
    return ""


@call("PBD.plug(self: PBD ref) -> void", has_async=True)
def plug(call: Call, ref: str) -> str:
    call.db.set(call.db.get("PBD", ref), "currently_attached", True)
    return ""


@call("PBD.unplug(self: PBD ref) -> void", has_async=True)
def unplug(call: Call, ref: str) -> str:
    pbd = call.db.get("PBD", ref)
    for vdi in call.db.rows("VDI", call.db.get("SR", pbd["SR"])["VDIs"]):
        for vbd in call.db.rows("VBD", vdi["VBDs"]):
            vm = call.db.find("VM", vbd["VM"])
            if vbd["currently_attached"] and vm and vm["resident_on"] == pbd["host"]:
                raise ApiError("VDI_IN_USE", vdi.ref, "detach")
    call.db.set(pbd, "currently_attached", False)
    return ""
