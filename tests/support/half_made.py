"""What a launch leaves behind whose ledger has forgotten it, made by hand as the steps make it."""

from typing import Any

from tests.support.stacks import Stack
from xenlaunch import names


def half_made_vm(stack: Stack, launch: str, deployment: str = "tests", **more: bool) -> str:
    """A VM of this launch as it is after `clone`, with a new disk if wanted; its ref.

    What a sweeper knows it by comes last: it must not be gone before it is made.
    """
    template = next(
        ref
        for ref, row in stack.rows("VM").items()
        if row["is_a_template"] and row["name_label"] == "debian-12"
    )
    vm = str(stack.call("VM.clone", template, "half made"))
    uuid = stack.call("VM.get_uuid", vm)
    if more.get("marked", True):
        mark = f"{deployment}/{launch}/{uuid}"
        stack.call("VM.add_to_other_config", vm, names.OTHER_CONFIG_MARK, mark)
    stack.call("VM.remove_from_other_config", vm, "disks")
    stack.call("VM.provision", vm)
    if more.get("running", False):
        stack.call("VM.start", vm, False, False)
    if more.get("disk", False):
        vdi = new_disk(stack, launch, deployment, said="")
        attach(stack, vm, vdi, f"{deployment}/{launch}/vbd:0")
        stack.call("VDI.set_name_description", vdi, names.MADE_BY_US)
    stack.call("VM.set_name_label", vm, names.working_name(deployment, launch, 1))
    return vm


def new_disk(
    stack: Stack, launch: str, deployment: str = "tests", said: str = names.MADE_BY_US
) -> str:
    """A disk that a launch has made, and nothing has yet; its ref."""
    sr = next(ref for ref, row in stack.rows("SR").items() if row["name_label"] == "sr-1")
    record: dict[str, Any] = {
        "name_label": "web data 0",
        "name_description": said,
        "SR": sr,
        "virtual_size": str(1 << 30),
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {names.OTHER_CONFIG_MARK: f"{deployment}/{launch}/vdi:0"},
    }
    vdi = str(stack.call("VDI.create", record))
    stack.call("VDI.add_to_other_config", vdi, names.OTHER_CONFIG_DISK, vdi)
    return vdi


def attach(stack: Stack, vm: str, vdi: str, mark: str) -> None:
    record = {
        "VM": vm,
        "VDI": vdi,
        "userdevice": "1",
        "bootable": False,
        "mode": "RW",
        "type": "Disk",
        "unpluggable": True,
        "empty": False,
        "other_config": {names.OTHER_CONFIG_MARK: mark},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    stack.call("VBD.create", record)
