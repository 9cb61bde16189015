"""VM.provision: a clone of a template becomes a VM, with the disks that the template describes.

Phases: disk (before each disk), vbd (the disk is there, and nobody's), done.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from xml.parsers import expat

from simulator.behaviour import vbd, vdi
from simulator.behaviour.operations import suboperation
from simulator.behaviour.vm_config import become_vm
from simulator.behaviour.vm_state import assert_may
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError
from simulator.locks import Mark
from simulator.values import int64

_DESCRIPTION: Final = "Created by template provisioner"


class _Disk(NamedTuple):
    device: str
    size: int
    sr: str
    bootable: bool
    type: str


@call("VM.provision(vm: VM ref) -> void", has_async=True)
async def provision(call: Call, ref: str) -> str:
    vm = call.db.get("VM", ref)

    def check() -> None:
        assert_may(call, vm, "provision", "Halted")
        if not vm["is_a_template"]:
            raise ApiError("PROVISION_ONLY_ALLOWED_ON_TEMPLATE")

    async with call.world.locks.marked(call, lambda: [Mark(vm, "provision", check)]):
        await call.spend("VM.provision")
        become_vm(call, vm)
        for disk in read_disks(vm["other_config"].get("disks", "")):
            await call.phase("disk")
            await _make_disk(call, vm, disk)
        await call.phase("done")
        for key in ("disks", "postinstall"):
            call.db.drop(vm, "other_config", key)
    return ""


def read_disks(text: str) -> list[_Disk]:
    """Read the disks that a template describes.

    >>> read_disks('<provision><disk device="0" size="1" sr="x" bootable="true"/></provision>')
    [_Disk(device='0', size=1, sr='x', bootable=True, type='system')]
    """
    disks: list[_Disk] = []

    def start(tag: str, has: dict[str, str]) -> None:
        if tag == "disk":
            bootable, type_ = has.get("bootable") == "true", has.get("type", "system")
            size = int64(has["size"])
            disks.append(_Disk(has["device"], size, has.get("sr", ""), bootable, type_))

    if text:
        parser = expat.ParserCreate()
        parser.StartElementHandler = start
        try:
            parser.Parse(text, True)
        except (expat.ExpatError, KeyError, ValueError) as wrong:
            raise ApiError("INTERNAL_ERROR", f"Xml.Error({wrong})") from None
    return disks


async def _make_disk(call: Call, vm: Row, disk: _Disk) -> None:
    if disk.sr not in call.db.tables["SR"].by_uuid:
        raise ApiError("UUID_INVALID", "sr", disk.sr)
    record: dict[str, Any] = {
        "SR": call.db.by_uuid("SR", disk.sr).ref,
        "virtual_size": disk.size,
        "name_label": disk.device,
        "name_description": _DESCRIPTION,
        "type": disk.type if disk.type in {"system", "user", "ephemeral"} else "system",
        "sharable": False,
        "read_only": False,
        "other_config": {},
    }
    made = await suboperation(call, "VDI.create", vdi.create, record)
    await call.phase("vbd")
    device: dict[str, Any] = {
        "VM": vm.ref,
        "VDI": made,
        "userdevice": disk.device,
        "bootable": disk.bootable,
        "mode": "RW",
        "type": "Disk",
        "empty": False,
        "unpluggable": disk.type != "system",
        "other_config": {"owner": ""},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    await suboperation(call, "VBD.create", vbd.create, device)
