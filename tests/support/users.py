"""What users of a pool make of our VMs by hand: it is theirs, whatever of ours they made it of."""

from collections.abc import Mapping
from typing import Any

from tests.support.stacks import Stack
from xenlaunch import names

FORGOTTEN = "l-aaaaaaaaaaaaaaaa"
"""A launch that no ledger knows."""

Thing = tuple[str, str]
"""The class and the ref of an object."""

State = Mapping[str, Mapping[str, Mapping[str, Any]]]


def users_own(stack: Stack, name: str, vm: str) -> list[Thing]:
    """A clone, a copy, a snapshot and a template that a user makes of a halted VM."""
    template = stack.call("VM.clone", vm, f"template of {name}")
    stack.call("VM.set_is_a_template", template, True)
    refs = [
        template,
        stack.call("VM.clone", vm, f"clone of {name}"),
        stack.call("VM.copy", vm, f"copy of {name}", ""),
        stack.call("VM.snapshot", vm, f"snapshot of {name}"),
    ]
    mark = stack.call("VM.get_other_config", vm).get(names.OTHER_CONFIG_MARK)
    if mark:
        # A name is no mark: this one even bears the one that the launch gave its VM.
        working = names.working_name("tests", mark.split("/")[1], 1)
        refs.append(stack.call("VM.clone", vm, working))
    return [("VM", str(ref)) for ref in refs]


def detached(stack: Stack, vm: str) -> Thing:
    """The new disk of a VM, which its owner takes off it."""
    for ref, row in stack.rows("VBD").items():
        if row["VM"] == vm and row["userdevice"] == "1":
            stack.call("VBD.destroy", ref)
            return "VDI", row["VDI"]
    raise AssertionError("the VM has no second disk")


def with_disks(stack: Stack, things: list[Thing]) -> list[Thing]:
    """These objects, and the disks of those that are VMs."""
    vms = {ref for cls, ref in things if cls == "VM"}
    drives = stack.rows("VBD").values()
    return things + [("VDI", r["VDI"]) for r in drives if r["VM"] in vms and r["type"] == "Disk"]


def lost(stack: Stack, things: list[Thing], before: State) -> list[str]:
    """The names of those of these objects that are no longer in the pool."""
    state = stack.pool.state()
    return [before[cls][ref]["name_label"] for cls, ref in things if ref not in state[cls]]
