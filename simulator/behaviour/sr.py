"""SRs and their connections to hosts."""

from __future__ import annotations

from typing import Final

from simulator.behaviour.vdi import sr_mark
from simulator.behaviour.vm_state import is_live
from simulator.calls import Call, call, declare
from simulator.db import Row
from simulator.errors import ApiError
from simulator.generic import setters
from simulator.locks import Mark, exclude

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


@call("SR.update(sr: SR ref) -> void", has_async=True)
async def update(call: Call, ref: str) -> str:
    sr = call.db.get("SR", ref)
    async with call.world.locks.marked(call, lambda: [sr_mark(call, sr, "update")]):
        await call.spend("SR.scan")
    return ""


@call("SR.get_supported_types() -> string set", changes=False)
def get_supported_types(call: Call) -> list[str]:
    return sorted({row["type"] for row in call.db.all("SM")})


@call("SR.forget(sr: SR ref) -> void", has_async=True)
def forget(call: Call, ref: str) -> str:
    """Forget the SR with its disks, which stay where they are."""
    sr = call.db.get("SR", ref)
    exclude(sr)
    pbds = call.db.rows("PBD", list(sr["PBDs"]))
    if any(pbd["currently_attached"] for pbd in pbds):
        raise ApiError("SR_HAS_PBD", ref)
    for pbd in pbds:
        call.db.destroy(pbd)
    for vdi in call.db.rows("VDI", list(sr["VDIs"])):
        for vbd in call.db.rows("VBD", list(vdi["VBDs"])):
            call.db.destroy(vbd)
        call.db.destroy(vdi)
    call.db.destroy(sr)
    return ""


# -- connections to hosts


@call("PBD.plug(self: PBD ref) -> void", has_async=True)
async def plug(call: Call, ref: str) -> str:
    return await _connect(call, ref, "plug")


@call("PBD.unplug(self: PBD ref) -> void", has_async=True)
async def unplug(call: Call, ref: str) -> str:
    return await _connect(call, ref, "unplug")


async def _connect(call: Call, ref: str, how: str) -> str:
    """Plugging may go on beside what else the SR does; unplugging waits until it has the SR."""
    pbd = call.db.get("PBD", ref)
    sr, host = call.db.get("SR", pbd["SR"]), call.db.get("host", pbd["host"])
    if not is_live(call, host):
        raise ApiError("HOST_OFFLINE", host.ref)

    def check() -> None:
        if how == "unplug":
            exclude(sr)
            _assert_unused(call, pbd, sr)

    async with call.world.locks.marked(call, lambda: [Mark(sr, how, check)]):
        await call.spend("PBD.plug")
        call.db.set(pbd, "currently_attached", how == "plug")
    return ""


def _assert_unused(call: Call, pbd: Row, sr: Row) -> None:
    for vdi in call.db.rows("VDI", sr["VDIs"]):
        for vbd in call.db.rows("VBD", vdi["VBDs"]):
            vm = call.db.find("VM", vbd["VM"])
            if vbd["currently_attached"] and vm and vm["resident_on"] == pbd["host"]:
                raise ApiError("VDI_IN_USE", vdi.ref, "detach")
