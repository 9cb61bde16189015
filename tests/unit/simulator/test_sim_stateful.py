"""Hypothesis drives a pool with random calls, side by side, and what must hold holds.

Latencies are at their full length, in virtual time, so that operations meet each other at every
point of their work; a sequence that breaks something is shrunk and printed by Hypothesis.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from simulator import pool as ready_made
from simulator.control import _revive
from simulator.db import Row
from simulator.dispatch import METHODS, serve
from simulator.errors import ApiError, Dropped
from simulator.faults import Rule
from simulator.sessions import ANONYMOUS_MAX, PER_ORIGINATOR_MAX
from simulator.tasks import YOUNG_TASKS_MAX
from simulator.values import NULL
from simulator.world import Options, World
from tests.support.pretended import FOLLOWED, Reader, assert_at_rest, assert_complete, assert_whole
from tests.support.virtual_time import VirtualLoop

GIB = 2**30
NUMBERS = st.integers(0, 50)
HOW = st.sampled_from(["sync", "async", "async", "cancelled"])
SIZES = st.sampled_from([GIB, 50 * GIB, 100 * GIB])
WHILE = st.sampled_from([0.0, 0.05, 0.7, 2.0, 7.0, 40.0])

#: calls on a VM that was made here, and what they take beside it
ON_VM: dict[str, tuple[Any, ...]] = {
    "VM.provision": (),
    "VM.start": (False, False),
    "VM.hard_shutdown": (),
    "VM.clean_shutdown": (),
    "VM.shutdown": (),
    "VM.pause": (),
    "VM.unpause": (),
    "VM.suspend": (),
    "VM.resume": (False, False),
    "VM.hard_reboot": (),
    "VM.clean_reboot": (),
    "VM.destroy": (),
    "VM.snapshot": ("vm-snapshot",),
    "VM.checkpoint": ("vm-checkpoint",),
    "VM.set_is_a_template": (True,),
}
ON_DEVICE = {
    "VBD.destroy": "VBD",
    "VBD.plug": "VBD",
    "VBD.unplug": "VBD",
    "VIF.destroy": "VIF",
    "VIF.plug": "VIF",
    "VIF.unplug": "VIF",
    "VDI.destroy": "VDI",
    "VDI.clone": "VDI",
    "VDI.snapshot": "VDI",
}
PHASES = [("VM.clone", phase) for phase in ("disk", "row", "vbd", "vif", "result")] + [
    ("VM.provision", "done"), ("VM.start", "placed"), ("VM.start_on", "started"),
    ("VM.destroy", "rows"),
]  # fmt: skip


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.world = World(Options(hosts=2, srs=1))
        self.db = self.world.db
        ready_made.build(self.world)
        self.shipped = {row.ref for cls in ("VM", "VDI") for row in self.db.all(cls)}
        self.explained = set(self.shipped)  # disks that may be there without a VM
        self.reader = Reader()
        self.names: dict[str, bool] = {}  # of each clone: whether it failed
        self.sources: dict[str, str] = {}  # by task
        self.wrong: list[str] = []  # what was seen to be wrong while operations ran
        self._tell = self.db.on_change
        self.db.on_change = self._note
        self.session = self.world.sessions.open("root", "hypothesis").ref

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.loop.run_until_complete(self.world.stop())
            self.loop.close()

    # -- how calls are made

    def send(self, method: str, *args: Any, how: str = "sync") -> None:
        """Begin a call, without waiting for its end. To be refused is as good as to succeed."""

        async def begin() -> None:
            self.world.run(self._send(method, args, how))

        self.loop.run_until_complete(begin())

    async def _send(self, method: str, args: tuple[Any, ...], how: str) -> None:
        with contextlib.suppress(Dropped):
            try:
                if how == "sync" or not METHODS[method].has_async:
                    made = await self.call(method, *args)
                    self.explained |= {made} if method.startswith("VDI.") else set()
                    return
                task = await self.call(f"Async.{method}", *args)
                if method == "VM.clone":
                    self.sources[task] = args[0]
                if how == "cancelled":
                    await self.call("task.cancel", task)
            except ApiError as refused:
                if refused.code == "INTERNAL_ERROR":
                    self.wrong.append(str(refused.description))
                if method == "VM.clone":
                    self.names[args[1]] = True

    async def call(self, method: str, *args: Any) -> Any:
        value = serve(self.world, method, [self.session, *args], {})
        return await value if inspect.isawaitable(value) else value

    def let_pass(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def _note(self, cls: str, ref: str) -> None:
        """Look at objects in the moment they change."""
        self._tell(cls, ref)
        row = self.db.find(cls, ref)
        if row is None:
            return
        if cls == "VBD":
            self.explained.add(row["VDI"])
        elif cls == "task" and row["status"] not in {"pending", "cancelling"}:
            try:
                self._note_end(row)
            except AssertionError as wrong:
                self.wrong.append(str(wrong))

    def _note_end(self, task: Row) -> None:
        assert task["error_info"][:1] != ["INTERNAL_ERROR"], task["error_info"]
        source = self.sources.get(task.ref)
        made = task["result"].removeprefix("<value>").removesuffix("</value>")
        if task["status"] == "success" and source in self.shipped:
            assert_complete(self.db, self.db.get("VM", made), self.db.get("VM", source))
        if task["status"] == "success" and task["name_label"].startswith("Async.VDI."):
            self.explained.add(made)

    def mine(self, number: int) -> Row | None:
        """One of the VMs made last, so that calls meet each other."""
        vms = [vm for vm in self.db.all("VM") if vm["name_label"].startswith("vm-")][-6:]
        return vms[number % len(vms)] if vms else None

    # -- what clients do

    @rule(number=NUMBERS, how=HOW, count=st.sampled_from([1, 1, 2, 8, 120]))
    def clone(self, number: int, how: str, count: int) -> None:
        sources = [vm for vm in self.db.all("VM") if not vm["is_control_domain"]]
        for _ in range(count):
            name = f"vm-{len(self.names)}"
            self.names[name] = False
            self.send("VM.clone", sources[number % len(sources)].ref, name, how=how)

    @rule(how=HOW)
    def make_one_ready(self, how: str) -> None:
        """A clone that was provisioned, so that starts have something to start."""
        self.clone(0, "sync", 1)
        self.let_pass(5)
        if vm := self.mine(-1):
            self.send("VM.provision", vm.ref)
            self.let_pass(1)
            self.send("VM.start", vm.ref, False, False, how=how)

    @rule(number=NUMBERS, how=HOW, method=st.sampled_from(sorted(ON_VM.keys() & METHODS.keys())))
    def on_vm(self, number: int, how: str, method: str) -> None:
        if vm := self.mine(number):
            self.send(method, vm.ref, *ON_VM[method], how=how)

    @rule(number=NUMBERS, host=st.integers(0, 1), how=HOW, paused=st.booleans())
    def start_on(self, number: int, host: int, how: str, paused: bool) -> None:  # noqa: FBT001 - Hypothesis draws it
        if vm := self.mine(number):
            self.send("VM.start_on", vm.ref, self.db.all("host")[host].ref, paused, True, how=how)

    @rule(size=SIZES, how=HOW)
    def start_all(self, size: int, how: str) -> None:
        """More than the hosts have room for, all at once."""
        self.clone(0, "sync", 4)
        self.let_pass(12)
        for number in range(6):
            if vm := self.mine(number):
                self.send("VM.set_memory_limits", vm.ref, 0, size, size, size)
                self.send("VM.provision", vm.ref)
                self.let_pass(0.1)
                self.send("VM.start", vm.ref, False, False, how=how)

    @rule(number=NUMBERS, size=SIZES)
    def set_memory(self, number: int, size: int) -> None:
        if vm := self.mine(number):
            self.send("VM.set_memory_limits", vm.ref, 0, size, size, size)

    @rule(number=NUMBERS, how=HOW, method=st.sampled_from(sorted(ON_DEVICE)))
    def on_device(self, number: int, how: str, method: str) -> None:
        cls = ON_DEVICE[method]
        vms = [vm for vm in self.db.all("VM") if vm["name_label"].startswith("vm-")]
        refs = [ref for vm in vms for ref in vm["VIFs" if cls == "VIF" else "VBDs"]]
        if cls == "VDI":
            refs = [self.db.get("VBD", ref)["VDI"] for ref in refs]
            refs = [ref for ref in refs if ref != NULL and ref not in self.shipped]
        if refs:
            self.send(method, refs[number % len(refs)], how=how)

    @rule(number=NUMBERS, disk=NUMBERS, mode=st.sampled_from(["RW", "RO"]))
    def share_disk(self, number: int, disk: int, mode: str) -> None:
        """Put one VM's disk into another too: both cannot write to it."""
        owner, other = self.mine(disk), self.mine(number)
        vbds = self.db.rows("VBD", owner["VBDs"]) if owner else []
        if other and vbds:
            wanted = {"VM": other.ref, "VDI": vbds[0]["VDI"], "userdevice": "autodetect",
                      "mode": mode, "type": "Disk", "bootable": False, "empty": False,
                      "other_config": {}, "qos_algorithm_type": "",
                      "qos_algorithm_params": {}}  # fmt: skip
            self.send("VBD.create", wanted)

    @rule(number=NUMBERS, method=st.sampled_from(["task.cancel", "task.destroy"]))
    def on_task(self, number: int, method: str) -> None:
        if tasks := self.db.all("task"):
            self.send(method, tasks[number % len(tasks)].ref)

    # -- what befalls a pool

    @rule(where=st.sampled_from(PHASES))
    def fail_at(self, where: tuple[str, str]) -> None:
        method, phase = where
        self.world.faults.rules = [
            Rule(method=method, phase=phase, times=1, error=["SR_BACKEND_FAILURE_46", "", "x", ""])
        ]

    @rule()
    def restart(self) -> None:
        """Xapi restarts; what the hosts were doing, they finish."""
        self.world.restart()
        self.let_pass(0)
        while any(self.world._on_hosts.values()):
            self.let_pass(30)
        self.explained |= {row.ref for row in self.db.all("VDI")}
        self.names.update(dict.fromkeys(self.names, False))
        self.sources.clear()
        self.reader = Reader()
        self.session = self.world.sessions.open("root", "hypothesis").ref

    @rule(number=st.integers(0, 1))
    def kill_host(self, number: int) -> None:
        """A host dies, its VMs are given up, and it comes back."""
        host = self.db.all("host")[number]
        self.world.kill_host(host)
        self.let_pass(1)
        _revive(self.world, host.uuid)

    @rule(logins=st.sampled_from([1, 450, 600]), originator=st.sampled_from(["", "many"]))
    def log_in(self, logins: int, originator: str) -> None:
        for _ in range(logins):
            self.world.sessions.open("root", originator)

    @rule(tasks=st.sampled_from([1, 150, 250]))
    def make_tasks(self, tasks: int) -> None:
        for _ in range(tasks):
            self.world.tasks.set_status(self.world.tasks.create("made by a client"), "success")

    @rule()
    def collect(self) -> None:
        self.world.tasks.collect(time.time())
        self.world.sessions.collect(time.time())
        done = [row for row in self.db.all("task") if row["status"] != "pending"]
        assert len(done) <= YOUNG_TASKS_MAX
        for originator, most in (("", ANONYMOUS_MAX), ("many", PER_ORIGINATOR_MAX)):
            same = [s for s in self.db.all("session") if s["originator"] == originator]
            assert len(same) <= most

    @rule(seconds=WHILE)
    def wait(self, seconds: float) -> None:
        self.let_pass(seconds)

    @rule()
    def look(self) -> None:
        answer = self.loop.run_until_complete(
            self.call("event.from", list(FOLLOWED), self.reader.token, 0.0)
        )
        self.reader.take(answer, self.db)
        if self.world.events.token() == self.reader.token:
            self.reader.assert_holds(self.db)

    # -- what must hold

    @rule()
    @precondition(lambda self: self.names)
    def settle(self) -> None:
        """Let everything end: then nothing is held, and nothing is half made."""
        self.world.faults.rules.clear()
        while self.world._running or any(self.world._on_hosts.values()):
            self.let_pass(30)
        assert_at_rest(self.world)
        for name, failed in self.names.items():
            assert not (failed and self.db.by_name("VM", name)), name
        loose = {row.ref for row in self.db.all("VDI") if not row["VBDs"]} - self.explained
        assert not loose, [self.db.get("VDI", ref)["name_label"] for ref in loose]
        self.look()
        self.reader.assert_holds(self.db)

    @invariant()
    def whole(self) -> None:
        assert not self.wrong
        assert_whole(self.db)


TestMachine: Callable[..., Any] = Machine.TestCase
Machine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    derandomize=True,  # its time and its verdict are the code's alone
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
