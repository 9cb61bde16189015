"""VDI: virtual disks. One operation at a time changes an SR, wherever in the pool it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from simulator.behaviour.vm_state import is_live
from simulator.calls import Call, call, declare
from simulator.db import Row
from simulator.errors import ApiError
from simulator.generic import read_constructor, setters
from simulator.locks import Mark, exclude
from simulator.memory import MIB
from simulator.values import EPOCH, NULL, now

#: VHDs are made of blocks
_BLOCK: Final = 2 * MIB
#: what a VHD can describe
_LARGEST: Final = 2_088_960 * MIB
#: what an empty disk or a fresh clone takes on a thin SR
_THIN: Final = 8 * MIB
#: fields that a clone has of its own
_NOT_COPIED: Final = frozenset({"uuid", "VBDs", "crash_dumps", "snapshots", "current_operations"})

_PARAMS: Final = "driver_params: (string -> string) map = {}"

for _field, _type in (
    ("name_label", "string"),
    ("name_description", "string"),
    ("on_boot", "enum on_boot"),
    ("allow_caching", "bool"),
):
    declare(setters("VDI", _field, _type, "self: VDI ref", has_async=True))
for _field in ("sharable", "read_only", "managed", "missing"):
    declare(setters("VDI", _field, "bool", "self: VDI ref"))


# -- what must hold


def seeing(call: Call, sr: Row) -> Row:
    """A host that sees the SR and lives: what is done to its disks is done there."""
    hosts = [pbd["host"] for pbd in call.db.rows("PBD", sr["PBDs"]) if pbd["currently_attached"]]
    if not hosts:
        raise ApiError("SR_HAS_NO_PBDS", sr.ref)
    for host in call.db.rows("host", hosts):
        if is_live(call, host):
            return host
    raise ApiError("HOST_OFFLINE", hosts[0])


def assert_plugged(call: Call, sr: Row) -> None:
    seeing(call, sr)


def sr_mark(call: Call, sr: Row, operation: str) -> Mark:
    """Hold the SR: whatever changes its disks excludes all else that does."""

    def check() -> None:
        assert_plugged(call, sr)
        exclude(sr, beside={"plug"})

    return Mark(sr, operation, check)


def vdi_mark(call: Call, vdi: Row, operation: str, *, attached_ok: bool) -> Mark:
    def check() -> None:
        call.db.get("VDI", vdi.ref)
        exclude(vdi, beside={"copy"})
        for vbd in call.db.rows("VBD", vdi["VBDs"]):
            exclude(vbd)
            if vbd["currently_attached"] and not attached_ok:
                raise ApiError("VDI_IN_USE", vdi.ref, operation)

    return Mark(vdi, operation, check)


def _marks(call: Call, vdi: Row, operation: str, *, attached_ok: bool) -> Callable[[], list[Mark]]:
    sr = call.db.get("SR", vdi["SR"])
    if sr["content_type"] == "iso":
        raise ApiError("SR_OPERATION_NOT_SUPPORTED", sr.ref)
    return lambda: [
        vdi_mark(call, vdi, operation, attached_ok=attached_ok),
        sr_mark(call, sr, f"vdi_{operation}"),
    ]


def _assert_persistent(vdi: Row) -> None:
    """A disk that is reset when its VM starts is no disk to take copies of."""
    if vdi["on_boot"] == "reset":
        raise ApiError("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")


def take_space(call: Call, sr: Row, size: int, *, promised: int) -> None:
    """Use space on the SR; `promised` is the size that the disk may grow to."""
    free = sr["physical_size"] - sr["physical_utilisation"]
    if max(size, promised) > free:
        raise ApiError("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")
    call.db.update(
        sr,
        physical_utilisation=sr["physical_utilisation"] + size,
        virtual_allocation=sr["virtual_allocation"] + promised,
    )


def rounded(size: int) -> int:
    """Give the size that the SR makes of it, which has an end.

    >>> rounded(0), rounded(2 * MIB), rounded(2 * MIB + 1)
    (2097152, 2097152, 4194304)
    """
    if not 0 <= size <= _LARGEST:
        raise _invalid_size(f"VDI size must be between 1 MB and {_LARGEST // MIB} MB")
    return max(1, -(-size // _BLOCK)) * _BLOCK


def _invalid_size(why: str) -> ApiError:
    return ApiError("SR_BACKEND_FAILURE_79", "", f"VDI Invalid size [opterr={why}]", "")


# -- the calls


@call("VDI.create(args: VDI record) -> VDI ref", has_async=True)
async def create(call: Call, args: Any) -> str:
    values = read_constructor("VDI", args)
    sr = call.db.get("SR", values["SR"])
    if sr["content_type"] == "iso":
        raise ApiError("SR_OPERATION_NOT_SUPPORTED", sr.ref)
    async with call.world.locks.marked(call, lambda: [sr_mark(call, sr, "vdi_create")]):
        await call.spend("VDI.create", sr=sr.ref)
        values["virtual_size"] = rounded(values["virtual_size"])
        take_space(call, sr, _THIN, promised=values["virtual_size"])
        return make_row(call, **values).ref


def make_row(call: Call, **values: Any) -> Row:
    row = call.db.create("VDI", **{"physical_utilisation": _THIN, "managed": True, **values})
    call.db.set(row, "location", row.uuid)
    return row


@call(f"VDI.clone(vdi: VDI ref, {_PARAMS}) -> VDI ref", has_async=True)
async def clone(call: Call, ref: str, _params: dict[str, str]) -> str:
    return await _fast_copy(call, ref, "clone")


@call(f"VDI.snapshot(vdi: VDI ref, {_PARAMS}) -> VDI ref", has_async=True)
async def snapshot(call: Call, ref: str, _params: dict[str, str]) -> str:
    copy = call.db.get("VDI", await _fast_copy(call, ref, "snapshot"))
    call.db.update(copy, is_a_snapshot=True, snapshot_of=ref, snapshot_time=now())
    return copy.ref


async def _fast_copy(call: Call, ref: str, operation: str) -> str:
    vdi = call.db.get("VDI", ref)
    if operation == "snapshot":
        _assert_persistent(vdi)
    async with call.world.locks.marked(call, _marks(call, vdi, operation, attached_ok=True)):
        await call.spend(f"VDI.{operation}", sr=vdi["SR"])
        sr = call.db.get("SR", vdi["SR"])
        take_space(call, sr, _THIN, promised=0)  # a clone is let in however full it may become
        call.db.set(sr, "virtual_allocation", sr["virtual_allocation"] + vdi["virtual_size"])
        return _copy_row(call, vdi, sr.ref, _THIN)


def _copy_row(call: Call, vdi: Row, sr: str, used: int) -> str:
    values = {
        name: value.copy() if isinstance(value, (list, dict)) else value
        for name, value in vdi.values.items()
        if name not in _NOT_COPIED
    }
    own = {"SR": sr, "is_a_snapshot": False, "snapshot_of": NULL, "snapshot_time": EPOCH}
    copy = make_row(call, **{**values, **own, "physical_utilisation": used})
    call.world.images.copy(vdi.ref, copy.ref)
    return copy.ref


@call(
    f'VDI.copy(vdi: VDI ref, sr: SR ref = "{NULL}", base_vdi: VDI ref = "{NULL}", '
    f'into_vdi: VDI ref = "{NULL}") -> VDI ref',
    has_async=True,
)
async def copy(call: Call, ref: str, sr_ref: str, _base: str, into: str) -> str:
    """A full copy marks the disk alone, so it runs beside the work of the SR."""
    vdi = call.db.get("VDI", ref)
    _assert_persistent(vdi)
    target = call.db.find("VDI", into)
    sr = call.db.get("SR", target["SR"] if target else sr_ref if sr_ref != NULL else vdi["SR"])
    if sr["content_type"] == "iso":
        raise ApiError("SR_OPERATION_NOT_SUPPORTED", sr.ref)

    def check() -> None:
        exclude(vdi, beside={"copy"})
        for vbd in call.db.rows("VBD", vdi["VBDs"]):
            exclude(vbd)
            if vbd["currently_attached"] and vbd["mode"] == "RW":
                raise ApiError("VDI_IN_USE", vdi.ref, "copy")

    async with call.world.locks.marked(call, lambda: [Mark(vdi, "copy", check)]):
        assert_plugged(call, call.db.get("SR", vdi["SR"]))
        assert_plugged(call, sr)
        await call.spend("VDI.copy per GiB", vdi["virtual_size"] / 2**30, sr=sr.ref)
        if target is not None:
            call.world.images.copy(vdi.ref, target.ref)
            return target.ref
        take_space(call, sr, vdi["physical_utilisation"], promised=vdi["virtual_size"])
        return _copy_row(call, vdi, sr.ref, vdi["physical_utilisation"])


@call("VDI.destroy(self: VDI ref) -> void", has_async=True)
async def destroy(call: Call, ref: str) -> str:
    vdi = call.db.get("VDI", ref)
    async with call.world.locks.marked(call, _marks(call, vdi, "destroy", attached_ok=False)):
        await call.spend("VDI.destroy", sr=vdi["SR"])
        forget(call, vdi)
    return ""


def forget(call: Call, vdi: Row) -> None:
    """Remove the disk, its devices, and what it took of its SR."""
    sr = call.db.find("SR", vdi["SR"])
    for vbd in call.db.rows("VBD", list(vdi["VBDs"])):
        call.db.destroy(vbd)
    if sr is not None:
        call.db.update(
            sr,
            physical_utilisation=max(0, sr["physical_utilisation"] - vdi["physical_utilisation"]),
            virtual_allocation=max(0, sr["virtual_allocation"] - vdi["virtual_size"]),
        )
    call.world.images.drop(vdi.ref)
    call.db.destroy(vdi)


@call("VDI.resize(vdi: VDI ref, size: int) -> void", has_async=True)
async def resize(call: Call, ref: str, size: int) -> str:
    return await _resize(call, ref, size, attached_ok=False)


@call("VDI.resize_online(vdi: VDI ref, size: int) -> void", has_async=True)
async def resize_online(call: Call, ref: str, size: int) -> str:
    return await _resize(call, ref, size, attached_ok=True)


async def _resize(call: Call, ref: str, size: int, *, attached_ok: bool) -> str:
    vdi = call.db.get("VDI", ref)
    async with call.world.locks.marked(call, _marks(call, vdi, "resize", attached_ok=attached_ok)):
        await call.spend("VDI.resize", sr=vdi["SR"])
        size = rounded(size)
        if size < vdi["virtual_size"]:
            raise _invalid_size("shrinking not allowed")
        grown = size - vdi["virtual_size"]
        take_space(call, call.db.get("SR", vdi["SR"]), 0, promised=grown)
        call.db.set(vdi, "virtual_size", size)
    return ""


@call("VDI.forget(vdi: VDI ref) -> void", has_async=True)
async def forget_call(call: Call, ref: str) -> str:
    vdi = call.db.get("VDI", ref)
    async with call.world.locks.marked(call, _marks(call, vdi, "forget", attached_ok=False)):
        for vbd in call.db.rows("VBD", list(vdi["VBDs"])):
            call.db.destroy(vbd)
        call.db.destroy(vdi)
    return ""
