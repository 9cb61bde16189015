"""VM.clone and VM.copy, in the phases of the real ones.

All disks, one after the other; then the row, under its new name already; then the VBDs, one by
one; then the VIFs; then the task's result. A look by name in between finds half a VM, and a
restart of xapi in between leaves one. Phases: disk, row, vbd, vif, memory (of a suspended VM),
result. A snapshot is made in the same way (vm_snapshot.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any, Final

from simulator.behaviour import vdi
from simulator.behaviour.message import tell
from simulator.behaviour.operations import suboperation
from simulator.behaviour.vif import mac_for
from simulator.behaviour.vm_state import COPYING, assert_licensed, assert_may
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError
from simulator.locks import Mark
from simulator.values import EPOCH, NULL

#: what a clone has of its own, whatever its source held
_OWN: Final[dict[str, Any]] = {
    "is_default_template": False,
    "is_a_snapshot": False,
    "snapshot_of": NULL,
    "snapshot_time": EPOCH,
    "snapshot_info": {},
    "snapshot_metadata": "",
    "transportable_snapshot_id": "",
    "power_state": "Halted",
    "resident_on": NULL,
    "scheduled_to_be_resident_on": NULL,
    "blocked_operations": {},
    "appliance": NULL,
    "protection_policy": NULL,
    "snapshot_schedule": NULL,
    "suspend_VDI": NULL,
    "suspend_SR": NULL,
    "ha_always_run": False,
    "start_delay": 0,
    "shutdown_delay": 0,
    "order": 0,
    "version": 0,
    "groups": [],
    "blobs": {},
    "domid": -1,
    "is_control_domain": False,
    "parent": NULL,
}
_NOT_COPIED: Final = frozenset(
    {"uuid", "VBDs", "VIFs", "consoles", "VGPUs", "VTPMs", "VUSBs", "crash_dumps"}
    | {"snapshots", "children", "attached_PCIs", "current_operations", "allowed_operations"}
)
_LEFT_BEHIND: Final = frozenset({"default_template", "xensource_internal"})


@call("VM.clone(vm: VM ref, new_name: string) -> VM ref", has_async=True)
async def clone(call: Call, ref: str, new_name: str) -> str:
    return await _duplicate(call, ref, new_name, "clone")


@call("VM.copy(vm: VM ref, new_name: string, sr: SR ref) -> VM ref", has_async=True)
async def copy(call: Call, ref: str, new_name: str, sr: str) -> str:
    target = call.db.find("SR", sr)
    if target is not None and target["content_type"] == "iso":
        raise ApiError("OPERATION_NOT_ALLOWED", "Cannot copy a VM's disks to an ISO SR")
    return await _duplicate(call, ref, new_name, "copy", target.ref if target else NULL)


async def _duplicate(call: Call, ref: str, new_name: str, how: str, sr: str = NULL) -> str:
    source = call.db.get("VM", ref)
    # A suspended VM is copied only where it is a snapshot, which nobody resumes.
    states = ("Halted", "Suspended") if source["is_a_snapshot"] else ("Halted",)

    def check() -> None:
        assert_may(call, source, how, *states, beside=COPYING)

    async with call.world.locks.marked(call, lambda: [Mark(source, how, check)]):
        made = await Duplicate(call, how, sr).whole(source, new_name)
        tell(call, "VM_CLONED", source, f"VM '{source['name_label']}' cloned to '{new_name}'")
        return made.ref


class Duplicate:
    """One clone, copy or snapshot: what it has made so far, so that a failure takes it back."""

    def __init__(self, call: Call, how: str, sr: str = NULL) -> None:
        self.call = call
        self.how = how
        self.sr = sr
        self.disks: dict[str, str] = {}  # VBD of the source (or its memory's VDI) -> our VDI
        self.vm: Row | None = None

    async def whole(
        self, source: Row, name: str, *, beside: Collection[str] = (), **own: Any
    ) -> Row:
        """Duplicate the VM, but for the disks `beside`; its row is made with what is its `own`."""
        try:
            return await self._whole(source, name, beside, own)
        except Exception:  # a restart of xapi is none: it leaves what was made
            await self.undo()
            raise

    async def _whole(
        self, source: Row, name: str, beside: Collection[str], own: dict[str, Any]
    ) -> Row:
        call = self.call
        vbds = [v for v in call.db.rows("VBD", list(source["VBDs"])) if v["VDI"] not in beside]
        vifs = call.db.rows("VIF", list(source["VIFs"]))
        acts = 2 + len(vbds) + len(vifs)
        await self.copy_disks(own_disks(vbds))
        await self._act("row", acts)
        making = {call.mark: call.name.rpartition(".")[2]}  # who else wants it has to wait
        values = {**_copied(call, source, name), "current_operations": making, **own}
        seed = "" if self.how == "snapshot" else values["other_config"]["mac_seed"]
        self.vm = vm = call.db.create("VM", **values)
        for vbd in vbds:
            await self._act("vbd", acts)
            self.copy_vbd(vbd, vm)
        for vif in vifs:
            await self._act("vif", acts)
            copy_vif(call, vif, vm, seed)
        for vgpu in call.db.rows("VGPU", list(source["VGPUs"])):
            copy_vgpu(call, vgpu, vm)
        for vtpm in call.db.rows("VTPM", list(source["VTPMs"])):
            call.db.create("VTPM", VM=vm.ref, is_unique=vtpm["is_unique"])
        memory = source["suspend_VDI"]
        if source["power_state"] == "Suspended" and call.db.find("VDI", memory):
            await call.phase("memory")
            await self.copy_disks({memory: memory})
            call.db.update(vm, suspend_VDI=self.disks[memory], power_state="Suspended")
        await self._act("result", acts)
        call.db.drop(vm, "current_operations", call.mark)
        return vm

    async def copy_disks(self, disks: dict[str, str]) -> None:
        """One after the other, each in a task of its own; a disk that is there twice, twice."""
        call = self.call
        for done, (what, disk) in enumerate(disks.items()):
            await call.phase("disk")
            if self.how == "copy":
                args = (disk, self.sr, NULL, NULL)
                self.disks[what] = await suboperation(call, "VDI.copy", vdi.copy, *args)
            elif self.how == "snapshot":
                self.disks[what] = await suboperation(call, "VDI.snapshot", vdi.snapshot, disk, {})
            else:
                self.disks[what] = await suboperation(call, "VDI.clone", vdi.clone, disk, {})
            call.world.tasks.progress(call.task, 0.9 * (done + 1) / len(disks))

    async def _act(self, phase: str, acts: int) -> None:
        await self.call.spend("VM.clone rows", 1 / acts)
        await self.call.phase(phase)
        if self.vm is not None:
            self.call.db.get("VM", self.vm.ref)  # it may have gone all the same

    def copy_vbd(self, vbd: Row, vm: Row) -> None:
        other_config = dict(vbd["other_config"])
        if vbd["type"] == "Disk":
            other_config["owner"] = ""
        self.call.db.create(
            "VBD",
            VM=vm.ref,
            VDI=self.disks.get(vbd.ref, vbd["VDI"]),
            other_config=other_config,
            qos_algorithm_params=dict(vbd["qos_algorithm_params"]),
            **{name: vbd[name] for name in _VBD_COPIED},
        )

    async def undo(self) -> None:
        """Take back the row, then the disks, whoever cancels; what cannot be taken back stays."""
        call = self.call
        call.world.tasks.cancelled.discard(call.mark)
        if self.vm is not None and call.db.find("VM", self.vm.ref):
            destroy_rows(call, self.vm)
        for disk in self.disks.values():
            if call.db.find("VDI", disk):
                try:
                    await suboperation(call, "VDI.destroy", vdi.destroy, disk, may_stop=False)
                except ApiError:
                    continue


_VBD_COPIED: Final = (
    "userdevice",
    "bootable",
    "mode",
    "type",
    "unpluggable",
    "empty",
    "qos_algorithm_type",
)
_VIF_COPIED: Final = (
    "device",
    "network",
    "MTU",
    "qos_algorithm_type",
    "locking_mode",
    "ipv4_configuration_mode",
    "ipv4_gateway",
    "ipv6_configuration_mode",
    "ipv6_gateway",
)


def has_own_disk(vbd: Row) -> bool:
    return vbd["type"] == "Disk" and not vbd["empty"]


def own_disks(vbds: list[Row]) -> dict[str, str]:
    """The disks that a duplicate has for itself, by their VBDs."""
    return {vbd.ref: vbd["VDI"] for vbd in vbds if has_own_disk(vbd)}


def copy_vif(call: Call, vif: Row, vm: Row, seed: str = "") -> None:
    """Give the VM such an interface: with a MAC of the seed, or without one with the same MAC."""
    sets = ("ipv4_allowed", "ipv6_allowed", "ipv4_addresses", "ipv6_addresses")
    call.db.create(
        "VIF",
        VM=vm.ref,
        MAC=mac_for(seed, int(vif["device"])) if seed else vif["MAC"],
        MAC_autogenerated=True if seed else vif["MAC_autogenerated"],
        other_config=dict(vif["other_config"]),
        qos_algorithm_params=dict(vif["qos_algorithm_params"]),
        **{name: vif[name] for name in _VIF_COPIED},
        **{name: list(vif[name]) for name in sets},
    )


def copy_vgpu(call: Call, vgpu: Row, vm: Row) -> None:
    assert_licensed(call, "GPU")
    fields = ("GPU_group", "device", "type")
    other_config = dict(vgpu["other_config"])
    values = {name: vgpu[name] for name in fields}
    call.db.create("VGPU", VM=vm.ref, other_config=other_config, **values)


def _copied(call: Call, source: Row, name: str) -> dict[str, Any]:
    """The fields of the new row."""
    values = {
        field: value.copy() if isinstance(value, (list, dict)) else value
        for field, value in source.values.items()
        if field not in _NOT_COPIED
    }
    values |= {f: v.copy() if isinstance(v, (list, dict)) else v for f, v in _OWN.items()}
    values |= {
        "name_label": name,
        "other_config": _other_config(source),
        "metrics": _copy_metrics(call, "VM_metrics", source["metrics"]),
        "guest_metrics": _copy_metrics(call, "VM_guest_metrics", source["guest_metrics"]),
        "generation_id": _fresh_generation(source["generation_id"]),
    }
    return values


def _other_config(source: Row) -> dict[str, str]:
    """The `disks` key is copied too: a client removes it before it provisions."""
    config = {k: v for k, v in source["other_config"].items() if k not in _LEFT_BEHIND}
    config["mac_seed"] = str(uuid.uuid4())
    if source["is_a_template"]:  # of the first one, where it is a clone itself
        config.setdefault("base_template_name", source["name_label"])
    return config


def _copy_metrics(call: Call, cls: str, ref: str) -> str:
    metrics = call.db.find(cls, ref)
    if metrics is None:
        return NULL
    return call.db.create(cls, **{k: v for k, v in metrics.values.items() if k != "uuid"}).ref


def _fresh_generation(old: str) -> str:
    if old in {"", "0:0"}:
        return old
    halves = (uuid.uuid4().int >> 64) & (2**63 - 1), uuid.uuid4().int & (2**63 - 1)
    return f"{halves[0]}:{halves[1]}"


_DEVICES: Final = (
    *(("VBD", "VBDs"), ("VIF", "VIFs"), ("VGPU", "VGPUs"), ("VTPM", "VTPMs")),
    ("console", "consoles"),
)


def destroy_rows(call: Call, vm: Row) -> None:
    """Remove a VM's row with its devices and metrics; its disks stay, its memory image goes."""
    db = call.db
    for cls, field in _DEVICES:
        for row in db.rows(cls, list(vm[field])):
            db.destroy(row)
    for cls, field in (("VM_metrics", "metrics"), ("VM_guest_metrics", "guest_metrics")):
        if (metrics := db.find(cls, vm[field])) is not None:
            db.destroy(metrics)
    for child in db.rows("VM", list(vm["children"])):
        db.set(child, "parent", vm["parent"])
    forget_memory(call, vm)
    db.destroy(vm)


def forget_memory(call: Call, vm: Row) -> None:
    """Remove the image of a suspended VM's memory, but no disk that a VM has attached."""
    if (image := call.db.find("VDI", vm["suspend_VDI"])) is not None:
        if not any(vbd["currently_attached"] for vbd in call.db.rows("VBD", image["VBDs"])):
            vdi.forget(call, image)
        call.db.set(vm, "suspend_VDI", NULL)
