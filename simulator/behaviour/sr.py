"""SRs and their connections to hosts."""

from __future__ import annotations

from typing import Any, Final

from simulator.behaviour.vdi import sr_mark
from simulator.behaviour.vm_state import assert_live, is_live
from simulator.calls import Call, call, declare
from simulator.db import Row
from simulator.errors import ApiError
from simulator.generic import read_constructor, setters
from simulator.locks import Mark, exclude

_THIS: Final = "sr: SR ref"
#: of an SR whose maker leaves it to the storage
_SIZE: Final = 2**40

for _field in ("name_label", "name_description"):
    declare(setters("SR", _field, "string", _THIS, has_async=True))
declare(setters("SR", "shared", "bool", _THIS, has_async=True))


@call("SR.scan(sr: SR ref) -> void", has_async=True)
async def scan(call: Call, ref: str) -> str:
    return await _look_through(call, ref, "scan")


@call("SR.update(sr: SR ref) -> void", has_async=True)
async def update(call: Call, ref: str) -> str:
    return await _look_through(call, ref, "update")


async def _look_through(call: Call, ref: str, operation: str) -> str:
    sr = call.db.get("SR", ref)
    async with call.world.locks.marked(call, lambda: [sr_mark(call, sr, operation)]):
        await call.spend("SR.scan", sr=sr.ref)
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


_CREATE: Final = (
    "SR.create(host: host ref, device_config: (string -> string) map, physical_size: int, "
    "name_label: string, name_description: string, type: string, content_type: string, "
    "shared: bool, sm_config: (string -> string) map = {}) -> SR ref"
)


@call(_CREATE, has_async=True)
async def create(
    call: Call, host: str, config: dict[str, str], size: int, name: str, about: str, *kind: Any
) -> str:
    """A new SR, connected to its host, and if it is shared to all hosts."""
    type_, content, shared, sm_config = kind
    call.db.get("host", host)
    if type_ not in get_supported_types(call):
        raise ApiError("SR_UNKNOWN_DRIVER", type_)
    await call.spend("SR.create")
    sr = call.db.create(
        "SR",
        name_label=name,
        name_description=about,
        type=type_,
        content_type=content or "user",
        shared=shared,
        sm_config=sm_config,
        physical_size=size or _SIZE,
    )
    for one in call.db.all("host") if shared else [call.db.get("host", host)]:
        values = {"device_config": dict(config), "currently_attached": is_live(call, one)}
        call.db.create("PBD", host=one.ref, SR=sr.ref, **values)
    return sr.ref


@call("SR.destroy(sr: SR ref) -> void", has_async=True)
async def destroy(call: Call, ref: str) -> str:
    """Destroy the SR and all that is on it; at most one host may be connected, to do it."""
    sr = call.db.get("SR", ref)

    def check() -> None:
        exclude(sr)
        pbds = call.db.rows("PBD", sr["PBDs"])
        if len([pbd for pbd in pbds if pbd["currently_attached"]]) > 1:
            raise ApiError("SR_HAS_MULTIPLE_PBDS", ref)
        if sr["VDIs"]:
            raise ApiError("SR_NOT_EMPTY")

    async with call.world.locks.marked(call, lambda: [Mark(sr, "destroy", check)]):
        await call.spend("SR.create")
        for pbd in call.db.rows("PBD", list(sr["PBDs"])):
            call.db.destroy(pbd)
        call.db.destroy(sr)
    return ""


# -- connections to hosts


@call("PBD.create(args: PBD record) -> PBD ref", has_async=True)
def create_pbd(call: Call, args: Any) -> str:
    values = read_constructor("PBD", args)
    call.db.get("host", values["host"])
    for pbd in call.db.rows("PBD", call.db.get("SR", values["SR"])["PBDs"]):
        if pbd["host"] == values["host"]:
            raise ApiError("PBD_EXISTS", values["SR"], values["host"], pbd.ref)
    if (key := "SRmaster") in values["device_config"]:
        why = "This key is for internal use only"
        raise ApiError("VALUE_NOT_SUPPORTED", key, values["device_config"][key], why)
    return call.db.create("PBD", **values).ref


@call("PBD.destroy(self: PBD ref) -> void", has_async=True)
def destroy_pbd(call: Call, ref: str) -> str:
    pbd = call.db.get("PBD", ref)
    if pbd["currently_attached"]:
        raise ApiError("OPERATION_NOT_ALLOWED", "PBD is currently attached")
    call.db.destroy(pbd)
    return ""


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
    assert_live(call, host)

    def check() -> None:
        if how == "unplug":
            exclude(sr)
            _assert_unused(call, pbd, sr)
        elif not sr["shared"]:
            _assert_alone(call, pbd, sr)

    async with call.world.locks.marked(call, lambda: [Mark(sr, how, check)]):
        await call.spend("PBD.plug")
        call.db.set(pbd, "currently_attached", how == "plug")
    return ""


def _assert_unused(call: Call, pbd: Row, sr: Row) -> None:
    vms = call.db.rows("VM", call.db.get("host", pbd["host"])["resident_VMs"])
    vbds = [vbd for vm in vms for vbd in call.db.rows("VBD", vm["VBDs"])]
    used = [vbd["VDI"] for vbd in vbds if vbd["currently_attached"] and vbd["VDI"] in sr["VDIs"]]
    if used:
        raise ApiError("VDI_IN_USE", *used)


def _assert_alone(call: Call, pbd: Row, sr: Row) -> None:
    """What is not shared is one host's."""
    for other in call.db.rows("PBD", sr["PBDs"]):
        if other["currently_attached"] and other is not pbd:
            raise ApiError("SR_NOT_SHARABLE", sr.ref, other["host"])
