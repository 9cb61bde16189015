"""A pool for undo: in it what is stopped stops, and what is destroyed goes, unless it refuses."""

from collections.abc import Mapping
from typing import Any

from tasks.undo import undo
from tests.unit.core.lives import FAILURE, Lives, call, made_vm
from tests.unit.core.scripted_session import ScriptedSession, error, pool_of
from xenlaunch import names, states
from xenlaunch.errors import Parked
from xenlaunch.lease import Lease, Made
from xenlaunch.model import Leftover
from xenlaunch.xapi.session import Login

VM = "OpaqueRef:vm"
ROOT, NEW, EXISTING = (f"OpaqueRef:vdi-{name}" for name in ("root", "new", "existing"))


class World(ScriptedSession):
    """A pool in which what is stopped stops and what is destroyed goes, unless it refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: dict[str, list[str]] = {}

    def send(
        self, method: str, *params: Any, as_login: Login, headers: Mapping[str, str] | None = None
    ) -> Any:
        super().send(method, *params, as_login=as_login, headers=headers)
        ref = str(params[0])
        refused = self.refuses.get(ref, [])
        if method.startswith("Async."):
            status = "failure" if refused else "success"
            task = f"OpaqueRef:task-{len(self.calls)}"
            self.add_task(task, self.marks[-1], status, error_info=refused)
        elif refused:
            raise error(*refused)
        if not refused:
            self.carry_out(method.removeprefix("Async."), *params)
        return task if method.startswith("Async.") else ""

    def carry_out(self, method: str, ref: str, *params: str) -> None:
        cls, _, verb = method.partition(".")
        if verb == "destroy":
            del self.rows[cls][ref]
        elif verb == "hard_shutdown":
            self.rows["VM"][ref]["power_state"] = "Halted"
        elif verb == "add_to_other_config":
            key, value = params
            self.rows[cls][ref]["other_config"][key] = value


def vm_row(mark: str | None, **fields: Any) -> dict[str, Any]:
    other_config = {} if mark is None else {names.OTHER_CONFIG_MARK: mark}
    row = {"uuid": "u-vm", "name_label": "web", "power_state": "Running", "is_a_snapshot": False}
    row |= {"blocked_operations": {}, "resident_on": "OpaqueRef:host"}
    return {**row, "other_config": other_config, **fields}


def vdi_row(ref: str, **fields: Any) -> dict[str, Any]:
    row = {"uuid": ref.replace("OpaqueRef:", "u-"), "SR": "OpaqueRef:sr", "is_a_snapshot": False}
    return {**row, "other_config": {}, **fields}


def fill(world: World, lease: Lease) -> None:
    """One running VM with a disk of its own, one that was made for it, one that existed, a CD."""
    mark = f"tests/{lease.launch.id}/u-vm"
    made = {names.OTHER_CONFIG_MARK: f"tests/{lease.launch.id}/vbd:0"}
    world.rows = {
        "VM": {VM: vm_row(mark)},
        "VDI": {ref: vdi_row(ref) for ref in (ROOT, NEW, EXISTING)},
        "VBD": {
            "1": {"VM": VM, "type": "Disk", "VDI": ROOT, "other_config": {"owner": ""}},
            "2": {"VM": VM, "type": "Disk", "VDI": NEW, "other_config": made},
            "3": {"VM": VM, "type": "Disk", "VDI": EXISTING, "other_config": made},
            "4": {"VM": VM, "type": "CD", "VDI": "OpaqueRef:NULL", "other_config": {}},
        },
    }


def undo_of(lives: Lives, world: World, **fields: Any) -> Lease:
    """The undo of a launch that came as far as having all its disks."""
    lease = lives.leased(names.VBDS, **fields)
    made_vm(lease, VM)
    lease.intend("vdi:0", call("Async.VDI.create"))
    lease.came_out("vdi:0", NEW, [Made("VDI", NEW)])
    fill(world, lease)
    lease.turn_to_undo(states.FAILED, FAILURE)
    return lives.lease(lease.launch.id, names.UNDO)


def carry_out(world: World, lease: Lease) -> tuple[Leftover, ...]:
    """Undo, with what it parks for over at once."""
    for _ in range(20):
        try:
            return undo(lease.launch, pool_of(world, lease))
        except Parked:
            continue
    raise AssertionError("the undo parks for ever")
