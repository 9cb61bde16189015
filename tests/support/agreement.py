"""What the pool must look like after launches have ended, however: exactly what they say."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.support.stacks import CLOCKS, Stack
from xenlaunch import LaunchStatus

Rows = Mapping[str, Mapping[str, Mapping[str, Any]]]

MADE: Final = ("VM", "VDI", "VBD", "VIF", "network")
PASSING: Final = CLOCKS | {"VBDs", "bridge", "current_operations", "allowed_operations"}
"""What of an object changes when others come to use it, and is no change of it."""


class Agreement:
    """The pool before and after, and how the launches ended in between."""

    def __init__(self, stack: Stack, before: Rows, ended: Sequence[LaunchStatus]) -> None:
        self._stack = stack
        self._before = before
        self._after: Rows = stack.pool.state()
        self._named = {left.uuid for status in ended for left in status.leftovers}
        self._up = {status.vm_uuid: status for status in ended if status.state == "succeeded"}

    def assert_holds(self, drives: Sequence[str] = ("Disk",)) -> None:
        """Each VM that came up is whole, with these drives; nothing else is new or changed."""
        self._assert_vms(sorted(drives))
        self._assert_parts()
        self._assert_rest()
        self._stack.assert_nothing_held()
        self._stack.assert_no_task_is_left()

    def _new(self, cls: str) -> list[Mapping[str, Any]]:
        return [row for ref, row in self._after[cls].items() if ref not in self._before[cls]]

    def _assert_vms(self, drives: list[str]) -> None:
        up = [row for row in self._new("VM") if row["uuid"] not in self._named]
        assert sorted(row["uuid"] for row in up) == sorted(map(str, self._up))
        for vm in up:
            said = self._up[vm["uuid"]]
            assert (vm["name_label"], vm["power_state"]) == (said.name, "Running")
            assert self._after["host"][vm["resident_on"]]["name_label"] == said.host
            found = [self._after["VBD"][ref] for ref in vm["VBDs"]]
            assert sorted(drive["type"] for drive in found) == drives, said.name
            assert all(drive["VDI"] in self._after["VDI"] for drive in found), said.name
            macs = [self._after["VIF"][ref]["MAC"] for ref in vm["VIFs"]]
            assert sorted(macs) == sorted(said.macs), said.name

    def _assert_parts(self) -> None:
        """Disks and interfaces are those of VMs that are up, or of what is named as left."""
        whose = {ref: row["uuid"] for ref, row in self._after["VM"].items()}
        known = self._up.keys() | self._named
        for row in (*self._new("VBD"), *self._new("VIF")):
            assert whose[row["VM"]] in known
        for row in self._new("VDI"):
            holders = {whose[self._after["VBD"][ref]["VM"]] for ref in row["VBDs"]}
            assert row["uuid"] in self._named or holders & self._up.keys(), row["name_label"]
        assert self._new("network") == []
        assert self._named <= {row["uuid"] for cls in MADE for row in self._new(cls)}

    def _assert_rest(self) -> None:
        for cls, rows in self._before.items():
            for ref, row in rows.items():
                assert _lasting(row) == _lasting(self._after[cls][ref]), (cls, ref)


def _lasting(row: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in row.items() if field not in PASSING}
