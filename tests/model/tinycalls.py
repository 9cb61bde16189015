"""The changing calls that a launch makes, as the tiny pool carries them out.

A call that takes a while is a generator: between two of its acts anything may happen.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from tests.model.tinyrows import NULL, VBD, VDI, VIF, ApiError, Row, Rows

Work = Generator[None, None, str]


@dataclass(eq=False)
class Job:
    """A call while it goes on. ``undo`` is what xapi takes back when it fails."""

    method: str
    launch: str
    task: str
    work: Work = field(init=False)
    on_host: bool = False
    undo: list[partial[Any]] = field(default_factory=list)


# Calls that take a while


def clone(rows: Rows, job: Job, source: str, name: str) -> Work:
    template = rows.row("VM", source)
    drives = list(rows.where("VBD", "VM", source).values())
    disks = {}
    for vbd in drives:
        yield
        made = disks[vbd["VDI"]] = rows.copy("VDI", rows.row("VDI", vbd["VDI"]))
        job.undo.append(partial(rows.forget_disk, made))
    yield
    vm = rows.copy("VM", template, name_label=name, current_operations={})
    job.undo.append(partial(rows.forget_vm, vm))
    for vbd in drives:
        yield
        rows.copy("VBD", vbd, VM=vm, VDI=disks[vbd["VDI"]], other_config={"owner": ""})
    for vif in list(rows.where("VIF", "VM", source).values()):
        yield
        rows.copy("VIF", vif, VM=vm)
    yield
    return vm


def start_on(rows: Rows, job: Job, vm: str, host: str, *_how: bool) -> Work:
    row = _free(rows, vm, "Halted")
    if row["is_a_template"]:
        raise ApiError("VM_IS_TEMPLATE", vm)
    row["current_operations"]["start"] = "start"
    job.undo.append(partial(row["current_operations"].pop, "start", None))
    yield
    job.on_host = True
    yield
    row = _still(rows, vm, "Halted")
    row["current_operations"].pop("start", None)
    row.update(power_state="Running", resident_on=host)
    rows.starts[vm] = rows.starts.get(vm, 0) + 1
    _judge_start(rows, vm)
    yield
    return ""


def _judge_start(rows: Rows, vm: str) -> None:
    """No second VM of a launch ever runs, and no VM comes up a second time."""
    launch = rows.makers.get(vm)
    running = [ref for ref in rows.where("VM", "power_state", "Running") if ref != vm]
    rows.wrongs += [
        f"{vm} came up while {other} of the same launch runs"
        for other in running
        if rows.makers.get(other) == launch
    ]
    if rows.starts[vm] > 1:
        rows.wrongs.append(f"{vm} came up {rows.starts[vm]} times")


def hard_shutdown(rows: Rows, job: Job, vm: str) -> Work:
    row = _free(rows, vm, "Running")
    row["current_operations"]["stop"] = "hard_shutdown"
    job.undo.append(partial(row["current_operations"].pop, "stop", None))
    yield
    job.on_host = True
    yield
    row = _still(rows, vm, "Running")
    row["current_operations"].pop("stop", None)
    row.update(power_state="Halted", resident_on=NULL)
    return ""


def create_disk(rows: Rows, job: Job, record: Row) -> Work:
    yield
    disk = rows.add("VDI", **{**VDI, **record})
    job.undo.append(partial(rows.forget_disk, disk))
    yield
    return disk


def destroy_disk(rows: Rows, _job: Job, disk: str) -> Work:
    rows.row("VDI", disk)
    users = [vbd["VM"] for vbd in rows.where("VBD", "VDI", disk).values()]
    if any(rows.rows("VM")[vm]["power_state"] == "Running" for vm in users):
        raise ApiError("VDI_IN_USE", disk, "destroy")
    yield
    rows.forget_disk(disk)
    yield
    return ""


def _free(rows: Rows, vm: str, power: str) -> Row:
    row = _still(rows, vm, power)
    if row["current_operations"]:
        raise ApiError("OTHER_OPERATION_IN_PROGRESS", "VM", vm, "another")
    return row


def _still(rows: Rows, vm: str, power: str) -> Row:
    row = rows.row("VM", vm)
    if row["power_state"] != power:
        raise ApiError("VM_BAD_POWER_STATE", vm, power.lower(), row["power_state"].lower())
    return row


# Calls that are answered at once


def destroy_vm(rows: Rows, _job: Job, vm: str) -> str:
    _free(rows, vm, "Halted")
    rows.forget_vm(vm)
    return ""


def provision(rows: Rows, _job: Job, vm: str) -> str:
    rows.row("VM", vm)["is_a_template"] = False
    return ""


def add_to_other_config(cls: str, rows: Rows, _job: Job, ref: str, key: str, value: str) -> str:
    config = rows.row(cls, ref)["other_config"]
    if key in config:
        raise ApiError("MAP_DUPLICATE_KEY", cls, "other_config", ref, key)
    config[key] = value
    return ""


def remove_from_other_config(cls: str, rows: Rows, _job: Job, ref: str, key: str) -> str:
    rows.row(cls, ref)["other_config"].pop(key, None)
    return ""


def set_field(column: str, rows: Rows, _job: Job, vm: str, value: Any) -> str:
    rows.row("VM", vm)[column] = value
    return ""


def create_vbd(rows: Rows, _job: Job, record: Row) -> str:
    rows.row("VDI", record["VDI"])
    return _plug(rows, "VBD", "userdevice", {**VBD, **record})


def create_vif(rows: Rows, _job: Job, record: Row) -> str:
    rows.row("network", record["network"])
    return _plug(rows, "VIF", "device", {**VIF, **record})


def _plug(rows: Rows, cls: str, place: str, row: Row) -> str:
    rows.row("VM", row["VM"])
    if any(there[place] == row[place] for there in rows.where(cls, "VM", row["VM"]).values()):
        raise ApiError("DEVICE_ALREADY_EXISTS", row[place])
    return rows.add(cls, **row)


def destroy_vif(rows: Rows, _job: Job, vif: str) -> str:
    rows.row("VIF", vif)
    del rows.rows("VIF")[vif]
    return ""


VERBS: Final[dict[str, Callable[..., Any]]] = {
    "VM.clone": clone,
    "VM.start_on": start_on,
    "VM.hard_shutdown": hard_shutdown,
    "VM.destroy": destroy_vm,
    "VM.provision": provision,
    "VM.add_to_other_config": partial(add_to_other_config, "VM"),
    "VM.remove_from_other_config": partial(remove_from_other_config, "VM"),
    "VDI.add_to_other_config": partial(add_to_other_config, "VDI"),
    "VDI.remove_from_other_config": partial(remove_from_other_config, "VDI"),
    "VM.set_name_label": partial(set_field, "name_label"),
    "VM.set_blocked_operations": partial(set_field, "blocked_operations"),
    "VDI.create": create_disk,
    "VDI.destroy": destroy_disk,
    "VBD.create": create_vbd,
    "VIF.create": create_vif,
    "VIF.destroy": destroy_vif,
}
