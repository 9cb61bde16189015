"""What calls set out to make in a pretended pool, and what must be there once they ended."""

from __future__ import annotations

import enum
from typing import Any, Final

from simulator.db import Database, Row
from simulator.values import NULL
from tests.support.pretended import assert_complete

#: calls that make a VM under a name, and what they take beside a VM and that name
MAKERS: Final[dict[str, tuple[Any, ...]]] = {
    "VM.clone": (),
    "VM.copy": (NULL,),
    "VM.snapshot": (),
    "VM.checkpoint": (),
}
_RUNNING: Final = frozenset({"pending", "cancelling"})


class Fate(enum.Enum):
    """What became of a VM that somebody set out to make."""

    MAKING = "making"
    MADE = "made"
    FAILED = "failed"
    UNKNOWN = "unknown"  # a restart cut it: anything may be left


class Promises:
    """Names of VMs and their fates; and the disks that may be there without a VM."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.shipped = {row.ref for cls in ("VM", "VDI") for row in db.all(cls)}
        self._explained = set(self.shipped)  # disks that clients or restarts have left
        self._fates: dict[str, Fate] = {}
        self._tasks: dict[str, tuple[str, tuple[Any, ...]]] = {}
        self._meddled: set[str] = set()  # VMs that somebody changed before they were whole
        self._undestroyed = 0  # disks that a failed call tried to take back, and could not

    def __bool__(self) -> bool:
        return bool(self._fates)

    def is_new(self, disk: str) -> bool:
        return disk != NULL and disk not in self.shipped

    # -- what is begun, and how it ends

    def promise(self) -> str:
        """A name for one more VM."""
        name = f"vm-{len(self._fates)}"
        self._fates[name] = Fate.MAKING
        return name

    def follow(self, task: str, method: str, args: tuple[Any, ...]) -> None:
        self._tasks[task] = method, args

    def meddle(self, vm: Row) -> None:
        if self._fates[vm["name_label"]] is Fate.MAKING:
            self._meddled.add(vm["name_label"])

    def kept(self, method: str, args: tuple[Any, ...], made: str) -> None:
        """The call succeeded: what it made is there, whole, and may lose its disks from now on."""
        if method.startswith("VDI."):
            self._explained.add(made)
        if method not in MAKERS:
            return
        source, name, *_ = args
        vm = self.db.get("VM", made)
        assert vm["name_label"] == name
        self._fates[name] = Fate.MADE
        self._explained |= {vbd["VDI"] for vbd in self.db.rows("VBD", vm["VBDs"])}
        if source in self.shipped and name not in self._meddled:
            assert_complete(self.db, vm, self.db.get("VM", source))

    def broken(self, method: str, args: tuple[Any, ...]) -> None:
        if method in MAKERS:
            self._fates[args[1]] = Fate.FAILED

    def forget(self) -> None:
        """Xapi restarted: whatever was on its way may have left anything, and nobody knows."""
        self._explained |= {row.ref for row in self.db.all("VDI")}
        self._fates = dict.fromkeys(self._fates, Fate.UNKNOWN)
        self._tasks.clear()
        self._undestroyed = 0

    # -- what is seen on the way

    def note(self, row: Row) -> None:
        """Look at an object that changed just now."""
        if row.cls.name == "VBD":
            vm = self.db.find("VM", row["VM"])
            fate = self._fates.get(vm["name_label"]) if vm else None
            if fate not in {Fate.MAKING, Fate.FAILED}:
                self._explained.add(row["VDI"])
        elif row.cls.name == "task" and row["status"] not in _RUNNING:
            self._note_end(row)

    def _note_end(self, task: Row) -> None:
        assert task["error_info"][:1] != ["INTERNAL_ERROR"], task["error_info"]
        failed = task["status"] != "success"
        if failed and task["name_label"] == "Async.VDI.destroy" and task["subtask_of"] != NULL:
            self._undestroyed += 1
        if task.ref not in self._tasks:
            return
        method, args = self._tasks.pop(task.ref)
        made = task["result"].removeprefix("<value>").removesuffix("</value>")
        if failed:
            self.broken(method, args)
        else:
            self.kept(method, args, made)

    # -- what must be so when nothing runs any more

    def assert_kept(self) -> None:
        """Who failed left nothing; who succeeded did so once; every disk has a reason."""
        for name, fate in self._fates.items():
            found = self.db.by_name("VM", name)
            assert fate is not Fate.MAKING, f"nobody said what became of {name}"
            assert not (fate is Fate.FAILED and found), f"{name} failed, and is there"
        memories = {vm["suspend_VDI"] for vm in self.db.all("VM")}
        loose = {row.ref for row in self.db.all("VDI") if not row["VBDs"]}
        loose -= self._explained | memories
        names = [self.db.get("VDI", ref)["name_label"] for ref in loose]
        assert len(loose) <= self._undestroyed, f"disks are nobody's: {names}"
        self._explained |= loose
        self._undestroyed = 0
