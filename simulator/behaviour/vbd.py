"""VBD: a disk, or a CD drive, as a VM sees it.

Creating one checks little: whether the disk may be used is asked when it is attached.
"""

from __future__ import annotations

import re
from typing import Any, Final

from simulator.behaviour.host_work import change_domain
from simulator.behaviour.vm_state import assert_power
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError
from simulator.generic import read_constructor
from simulator.guests import is_like
from simulator.locks import Mark, exclude
from simulator.memory import is_hvm
from simulator.values import NULL

DEVICES_MAX: Final = 255
_DISK_NAME: Final = re.compile(r"(?:xvd|hd|sd)([a-z]+)")
#: disks that xapi keeps for itself, by the names that it has for them when it refuses them
_INTERNAL: Final = {
    "ha_statefile": "HA statefile",
    "redo_log": "Redo log",
    "rrd": "rrd",
    "pvs_cache": "PVS cache",
    "cbt_metadata": "CBT metadata",
}


def device_number(userdevice: str) -> int | None:
    """
    The place of a device: 0, hda and xvda are the same one.

    >>> device_number("3"), device_number("xvdd"), device_number("hdaa"), device_number("floppy")
    (3, 3, 26, None)
    """
    if userdevice.isascii() and userdevice.isdecimal() and len(userdevice) <= 3:
        number = int(userdevice)
    elif found := _DISK_NAME.fullmatch(userdevice):
        number = 0
        for letter in found.group(1)[:3]:
            number = number * 26 + ord(letter) - ord("a") + 1
        number -= 1
    else:
        return None
    return number if number < DEVICES_MAX else None


def disk_name(number: int) -> str:
    """Give the name that a guest sees.

    >>> disk_name(0), disk_name(25), disk_name(26)
    ('xvda', 'xvdz', 'xvdaa')
    """
    letters = ""
    number += 1
    while number:
        number, place = divmod(number - 1, 26)
        letters = chr(ord("a") + place) + letters
    return f"xvd{letters}"


def taken(call: Call, vm: Row) -> set[int | None]:
    return {device_number(vbd["userdevice"]) for vbd in call.db.rows("VBD", vm["VBDs"])}


def free_devices(call: Call, vm: Row) -> list[str]:
    used = taken(call, vm)
    return [str(number) for number in range(DEVICES_MAX) if number not in used]


@call("VBD.create(args: VBD record) -> VBD ref", has_async=True)
async def create(call: Call, args: Any) -> str:
    values = read_constructor("VBD", args)
    vm = call.db.get("VM", values["VM"])
    if not values["empty"]:
        _check_type(call, values)
    if values["type"] == "CD" and values["mode"] != "RO":
        raise ApiError("VBD_CDS_MUST_BE_READONLY")
    if values["empty"] and values["type"] != "CD":
        raise ApiError("VBD_NOT_REMOVABLE_MEDIA", "in constructor")
    if not values["empty"]:
        _check_medium(call, values)
    exclude(vm, beside=set(vm["current_operations"].values()) - {"pool_migrate", "migrate_send"})
    if values["type"] == "Floppy" and not is_hvm(vm):
        raise ApiError("NOT_IMPLEMENTED", "VBD.create: floppy of a PV guest")
    values["userdevice"] = _choose_device(call, vm, values["userdevice"])
    await call.spend("VBD.create")
    call.db.get("VM", vm.ref)  # it, or the disk, may have gone meanwhile
    if not values["empty"]:
        _check_medium(call, values)
    values["userdevice"] = _choose_device(call, vm, values["userdevice"])
    values.pop("currently_attached", None)
    if values["empty"]:
        values["VDI"] = NULL
    return call.db.create("VBD", **values).ref


def _check_type(call: Call, values: dict[str, Any]) -> None:
    vdi = call.db.get("VDI", values["VDI"])
    if vdi["type"] in _INTERNAL:
        raise ApiError("VDI_INCOMPATIBLE_TYPE", vdi.ref, _INTERNAL[vdi["type"]])


def _check_medium(call: Call, values: dict[str, Any]) -> None:
    vdi = call.db.get("VDI", values["VDI"])
    if values["type"] == "CD":
        _assert_iso(call, vdi)
    if values["mode"] == "RW" and vdi["read_only"]:
        raise ApiError("VDI_READONLY", vdi.ref)


def _assert_iso(call: Call, vdi: Row) -> None:
    """A drive takes what lies in a library, and nothing else."""
    content = call.db.get("SR", vdi["SR"])["content_type"]
    if content != "iso":
        raise ApiError("VDI_IS_NOT_ISO", vdi.ref, content)


def _choose_device(call: Call, vm: Row, userdevice: str) -> str:
    used = taken(call, vm)
    if userdevice == "autodetect":
        free = next((number for number in range(DEVICES_MAX) if number not in used), None)
        if free is None:
            raise ApiError("INVALID_DEVICE", userdevice)
        return str(free)
    number = device_number(userdevice)
    if number is None:
        raise ApiError("INVALID_DEVICE", userdevice)
    if number in used:
        raise ApiError("DEVICE_ALREADY_EXISTS", userdevice)
    return userdevice


@call("VBD.destroy(self: VBD ref) -> void", has_async=True)
def destroy(call: Call, ref: str) -> str:
    vbd = call.db.get("VBD", ref)
    if vbd["currently_attached"]:
        vm = call.db.get("VM", vbd["VM"])
        raise ApiError("OPERATION_NOT_ALLOWED", f"VBD '{vbd.uuid}' still attached to '{vm.uuid}'")
    exclude(vbd)
    call.db.destroy(vbd)
    return ""


# -- attaching


def attach_mark(call: Call, vbd: Row) -> Mark:
    """Hold the device while it is attached; here the disk's other users are looked at."""
    return Mark(vbd, "attach", lambda: _check_attach(call, vbd))


def _check_attach(call: Call, vbd: Row) -> None:
    exclude(vbd)
    if not vbd["empty"]:
        _assert_attachable(call, vbd)


def assert_no_disk_twice(call: Call, vbds: list[Row]) -> None:
    """A disk that is in one VM twice cannot be written to."""
    writers = {vbd["VDI"]: vbd for vbd in vbds if vbd["mode"] == "RW" and not vbd["empty"]}
    for vbd in vbds:
        writer = writers.get(vbd["VDI"], vbd)
        if writer is not vbd and not call.db.get("VDI", vbd["VDI"])["sharable"]:
            raise ApiError("VDI_IN_USE", vbd["VDI"])


def _assert_attachable(call: Call, vbd: Row) -> None:
    vdi = call.db.get("VDI", vbd["VDI"])
    if not vdi["managed"]:
        raise ApiError("VDI_NOT_MANAGED", vbd.ref)  # XAPI names the device, not the disk
    exclude(vdi)
    if vbd["mode"] == "RW" and vdi["read_only"]:
        raise ApiError("VDI_READONLY", vdi.ref)
    for other in _other_writers(call, vbd):
        exclude(other)
    assert_alone(call, vbd)


def assert_alone(call: Call, vbd: Row) -> None:
    """The host asks it once more: after a restart of xapi nobody holds the disk."""
    for other in _other_writers(call, vbd):
        if other["currently_attached"]:
            raise ApiError("VDI_IN_USE", vbd["VDI"])


def _other_writers(call: Call, vbd: Row) -> list[Row]:
    """The devices of the disk that may not be attached beside this one."""
    vdi = call.db.find("VDI", vbd["VDI"])
    if vdi is None or vdi["sharable"]:
        return []
    others = (row for row in call.db.rows("VBD", vdi["VBDs"]) if row is not vbd)
    return [other for other in others if "RW" in {vbd["mode"], other["mode"]}]


@call("VBD.assert_attachable(self: VBD ref) -> void", has_async=True, changes=False)
def assert_attachable(call: Call, ref: str) -> str:
    vbd = call.db.get("VBD", ref)
    if not vbd["empty"]:
        _assert_attachable(call, vbd)
    return ""


def _pluggable_vm(call: Call, vbd: Row, refused: str) -> Row:
    """The VM, if the device may be plugged or unplugged; `refused` is for one that is already."""
    vm = call.db.get("VM", vbd["VM"])
    assert_power(vm, "Running")
    if vbd["currently_attached"] == (refused == "DEVICE_ALREADY_ATTACHED"):
        raise ApiError(refused, vbd.ref)
    if is_hvm(vm) and is_like(vm, "no-tools"):
        raise ApiError("VM_MISSING_PV_DRIVERS", vm.ref)
    if is_hvm(vm) and vbd["type"] == "CD":
        raise ApiError(
            "OPERATION_NOT_ALLOWED",
            "HVM CDROMs cannot be hotplugged/unplugged, only inserted or ejected",
        )
    return vm


@call("VBD.plug(self: VBD ref) -> void", has_async=True)
async def plug(call: Call, ref: str) -> str:
    vbd = call.db.get("VBD", ref)
    vm = _pluggable_vm(call, vbd, "DEVICE_ALREADY_ATTACHED")
    if is_hvm(vm) and vbd["type"] == "Disk" and vbd["mode"] == "RO":
        raise ApiError("DISK_VBD_MUST_BE_READWRITE_FOR_HVM", ref)

    def check() -> None:
        _check_attach(call, vbd)
        _pluggable_vm(call, vbd, "DEVICE_ALREADY_ATTACHED")
        if not vbd["empty"]:
            _assert_seen(call, vbd, vm["resident_on"])

    async with call.world.locks.marked(call, lambda: [Mark(vbd, "plug", check)]):

        def end() -> None:
            assert_alone(call, vbd)
            attach(call, vbd)

        await change_domain(call, vm, "VBD.plug", end)
    return ""


def _assert_seen(call: Call, vbd: Row, host: str) -> None:
    """Refuse a disk on storage that the host is not connected to."""
    sr = call.db.get("SR", call.db.get("VDI", vbd["VDI"])["SR"])
    pbds = call.db.rows("PBD", sr["PBDs"])
    if not any(pbd["currently_attached"] and pbd["host"] == host for pbd in pbds):
        raise ApiError("SR_NOT_ATTACHED", sr.ref)


def attach(call: Call, vbd: Row) -> None:
    number = device_number(vbd["userdevice"]) or 0
    call.db.update(vbd, currently_attached=True, device=disk_name(number))


def attach_at_once(call: Call, vdi: Row, domain: Row) -> Row:
    """Give a control domain the disk, as xapi does when it is to write to one itself."""
    vbd = call.db.create(
        "VBD",
        VM=domain.ref,
        VDI=vdi.ref,
        userdevice=_choose_device(call, domain, "autodetect"),
        mode="RW",
        type="Disk",
        unpluggable=True,
    )
    try:
        _assert_attachable(call, vbd)
    except ApiError:
        call.db.destroy(vbd)
        raise
    attach(call, vbd)
    return vbd


def detach(call: Call, vbd: Row) -> None:
    call.db.update(vbd, currently_attached=False, device="")


@call("VBD.unplug(self: VBD ref) -> void", has_async=True)
async def unplug(call: Call, ref: str) -> str:
    vbd = call.db.get("VBD", ref)
    if not vbd["unpluggable"]:
        raise ApiError("VBD_NOT_UNPLUGGABLE", ref)
    vm = _pluggable_vm(call, vbd, "DEVICE_ALREADY_DETACHED")

    def check() -> None:
        exclude(vbd)
        _pluggable_vm(call, vbd, "DEVICE_ALREADY_DETACHED")

    mark = Mark(vbd, "unplug", check)
    async with call.world.locks.marked(call, lambda: [mark]):
        await change_domain(call, vm, "VBD.plug", lambda: detach(call, vbd))
    return ""


@call("VBD.unplug_force(self: VBD ref) -> void", has_async=True)
async def unplug_force(call: Call, ref: str) -> str:
    return await unplug(call, ref)


@call("VBD.insert(vbd: VBD ref, vdi: VDI ref) -> void", has_async=True)
def insert(call: Call, ref: str, vdi_ref: str) -> str:
    vbd, vdi = call.db.get("VBD", ref), call.db.get("VDI", vdi_ref)
    if vbd["type"] != "CD":
        raise ApiError("VBD_NOT_REMOVABLE_MEDIA", ref)
    if not vbd["empty"]:
        raise ApiError("VBD_NOT_EMPTY", ref)
    _assert_iso(call, vdi)
    assert_power(call.db.get("VM", vbd["VM"]), "Halted", "Running", "Paused")
    exclude(vbd)
    call.db.update(vbd, VDI=vdi.ref, empty=False)
    return ""


@call("VBD.eject(vbd: VBD ref) -> void", has_async=True)
def eject(call: Call, ref: str) -> str:
    vbd = call.db.get("VBD", ref)
    if vbd["type"] != "CD":
        raise ApiError("VBD_NOT_REMOVABLE_MEDIA", ref)
    if vbd["empty"]:
        raise ApiError("VBD_IS_EMPTY", ref)
    assert_power(call.db.get("VM", vbd["VM"]), "Halted", "Running", "Paused")
    exclude(vbd)
    call.db.update(vbd, VDI=NULL, empty=True)
    return ""


@call("VBD.set_mode(self: VBD ref, value: enum vbd_mode) -> void", has_async=True)
def set_mode(call: Call, ref: str, mode: str) -> str:
    vbd = call.db.get("VBD", ref)
    vm = call.db.get("VM", vbd["VM"])
    if vm["power_state"] != "Halted":
        raise ApiError("VM_BAD_POWER_STATE", vm.ref, "halted", vm["power_state"].lower())
    if vbd["type"] == "CD" and mode != "RO":
        raise ApiError("VBD_CDS_MUST_BE_READONLY")
    call.db.set(vbd, "mode", mode)
    return ""
