"""Clients who do anything at any time: a pool, the calls that Hypothesis draws, and what must hold.

Latencies are at their full length, in virtual time, so that operations meet each other at every
point of their work.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from simulator import pool as ready_made
from simulator.control import _revive
from simulator.db import Row
from simulator.dispatch import METHODS, serve
from simulator.errors import ApiError, Dropped
from simulator.faults import Rule
from simulator.world import Options, World
from tests.support.pretended import FOLLOWED, Reader, assert_at_rest, assert_whole
from tests.support.promises import MAKERS, Promises
from tests.support.virtual_time import VirtualLoop

GIB: Final = 2**30
NUMBERS = st.integers(0, 50)
HOW = st.sampled_from(["sync", "async", "async", "cancelled"])
SIZES = st.sampled_from([GIB, 50 * GIB, 100 * GIB])
WHILE = st.sampled_from([0.0, 0.05, 0.7, 2.0, 7.0, 40.0])

#: what XAPI keeps at most of each
TASKS_MAX: Final = 200
SESSIONS_MAX: Final = {"": 400, "many": 500}
#: no operation waits longer than two hours for another, and none is made of more than a few
PATIENCE_SECONDS: Final = 24 * 3600

#: calls on a VM that was made here, and what they take beside it
ON_VM: Final[dict[str, tuple[Any, ...]]] = {
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
    "VM.set_is_a_template": (True,),
    "VM.set_memory_dynamic_range": (GIB, 100 * GIB),
    "VM.set_memory_dynamic_min": (100 * GIB,),
}
ON_DEVICE: Final = {
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
MAKING: Final = [
    (method, phase)
    for method in ("VM.clone", "VM.copy", "VM.snapshot")
    for phase in ("disk", "row", "vbd", "vif", "result")
]
PHASES: Final = [
    ("VM.provision", "done"), ("VM.start", "placed"), ("VM.start_on", "started"),
    ("VM.destroy", "rows"), ("VM.checkpoint", "asleep"), ("VM.suspend", "image"),
]  # fmt: skip


class RandomClients(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.world = World(Options(hosts=2, srs=1))
        self.db = self.world.db
        ready_made.build(self.world)
        self.promises = Promises(self.db)
        self.reader = Reader()
        self.wrong: list[str] = []  # what was seen to be wrong while operations ran
        self._tell = self.db.on_change
        self.db.on_change = self._note
        self._log_in()

    def _log_in(self) -> None:
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
                    self.promises.kept(method, args, await self.call(method, *args))
                    return
                task = await self.call(f"Async.{method}", *args)
            except ApiError as refused:
                if refused.code == "INTERNAL_ERROR":
                    self.wrong.append(str(refused.description))
                self.promises.broken(method, args)
                return
            self.promises.follow(task, method, args)
            if how == "cancelled":
                with contextlib.suppress(ApiError):  # it has ended, and is gone
                    await self.call("task.cancel", task)

    async def call(self, method: str, *args: Any) -> Any:
        value = serve(self.world, method, [self.session, *args], {})
        return await value if inspect.isawaitable(value) else value

    def make(self, method: str, source: Row, how: str) -> None:
        """Begin to make a VM, under a name that no other has."""
        name = self.promises.promise()
        self.send(method, source.ref, name, *MAKERS[method], how=how)

    def let_pass(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def _note(self, cls: str, ref: str) -> None:
        """Look at objects in the moment they change."""
        self._tell(cls, ref)
        if (row := self.db.find(cls, ref)) is not None:
            try:
                self.promises.note(row)
            except AssertionError as wrong:
                self.wrong.append(str(wrong))

    def mine(self, number: int) -> Row | None:
        """One of the VMs made last, so that calls meet each other."""
        vms = [vm for vm in self.db.all("VM") if vm["name_label"].startswith("vm-")][-6:]
        return vms[number % len(vms)] if vms else None

    # -- what clients do

    @rule(number=NUMBERS, how=HOW, count=st.sampled_from([1, 1, 2, 8, 120]))
    def clone(self, number: int, how: str, count: int) -> None:
        sources = [vm for vm in self.db.all("VM") if not vm["is_control_domain"]]
        for _ in range(count):
            self.make("VM.clone", sources[number % len(sources)], how)

    @rule(number=NUMBERS, how=HOW, method=st.sampled_from(sorted(MAKERS)))
    def duplicate(self, number: int, how: str, method: str) -> None:
        if vm := self.mine(number):
            self.make(method, vm, how)

    @rule(how=HOW)
    def make_one_ready(self, how: str) -> None:
        """A clone that was provisioned, so that starts have something to start."""
        self.clone(0, "sync", 1)
        self.let_pass(5)
        if vm := self.mine(-1):
            self.send("VM.provision", vm.ref)
            self.let_pass(1)
            self.send("VM.start", vm.ref, False, False, how=how)

    @rule(number=NUMBERS, how=HOW, method=st.sampled_from(sorted(ON_VM)))
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

    @rule(size=SIZES, pause=WHILE)
    def start_small_and_grow(self, size: int, pause: float) -> None:
        """What fits as long as it is small, and wants more while it starts, runs or moves."""
        self.clone(0, "sync", 4)
        self.let_pass(12)
        for number in range(6):
            if vm := self.mine(number):
                self.send("VM.set_memory_limits", vm.ref, 0, 100 * GIB, GIB, GIB)
                self.send("VM.provision", vm.ref)
                self.let_pass(0.1)
                self.send("VM.start", vm.ref, False, False)
        self.let_pass(pause)
        for number in range(6):
            if vm := self.mine(number):
                self.send("VM.set_memory_dynamic_range", vm.ref, size, size)

    @rule(number=NUMBERS, host=st.integers(0, 1), how=HOW)
    def migrate(self, number: int, host: int, how: str) -> None:
        if vm := self.mine(number):
            self.send("VM.pool_migrate", vm.ref, self.db.all("host")[host].ref, {}, how=how)

    @rule(number=NUMBERS, how=HOW, method=st.sampled_from(sorted(ON_DEVICE)))
    def on_device(self, number: int, how: str, method: str) -> None:
        cls = ON_DEVICE[method]
        vms = [vm for vm in self.db.all("VM") if vm["name_label"].startswith("vm-")]
        refs = [(vm, ref) for vm in vms for ref in vm["VIFs" if cls == "VIF" else "VBDs"]]
        if cls == "VDI":
            disks = [(vm, self.db.get("VBD", ref)["VDI"]) for vm, ref in refs]
            refs = [(vm, ref) for vm, ref in disks if self.promises.is_new(ref)]
        if refs:
            vm, ref = refs[number % len(refs)]
            self.promises.meddle(vm)
            self.send(method, ref, how=how)

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
            self.promises.meddle(other)
            self.send("VBD.create", wanted)

    @rule(mode=st.sampled_from(["RW", "RW", "RO"]), pause=WHILE, how=HOW)
    def start_two_with_one_disk(self, mode: str, pause: float, how: str) -> None:
        self.clone(0, "sync", 2)
        self.let_pass(12)
        self.share_disk(-2, -1, mode)
        for number in (-2, -1):
            if vm := self.mine(number):
                self.send("VM.provision", vm.ref)
                self.let_pass(pause)
                self.send("VM.start", vm.ref, False, False, how=how)

    @rule(number=NUMBERS, method=st.sampled_from(["task.cancel", "task.destroy"]))
    def on_task(self, number: int, method: str) -> None:
        if tasks := self.db.all("task"):
            self.send(method, tasks[number % len(tasks)].ref)

    # -- what befalls a pool

    @rule(where=st.sampled_from(MAKING), number=NUMBERS, how=HOW)
    def fail_to_make(self, where: tuple[str, str], number: int, how: str) -> None:
        """The next VM that is made so is not: whatever there was of it has to go."""
        method, phase = where
        self._fail_at(method, phase)
        source = self.mine(number) or self.db.by_name("VM", "debian-12")[0]
        self.make(method, source, how)

    @rule(where=st.sampled_from(PHASES))
    def fail_at(self, where: tuple[str, str]) -> None:
        self._fail_at(*where)

    def _fail_at(self, method: str, phase: str) -> None:
        error = ["SR_BACKEND_FAILURE_46", "", "x", ""]
        self.world.faults.rules = [Rule(method=method, phase=phase, times=1, error=error)]

    @rule()
    def restart(self) -> None:
        """Xapi restarts; what the hosts were doing, they finish."""
        self.world.restart()
        self.let_pass(0)
        self.promises.forget()
        self.reader = Reader()
        self._log_in()

    @rule(size=SIZES, how=HOW)
    def restart_amid_starts(self, size: int, how: str) -> None:
        """What the hosts have begun to start, others shall not have the room of."""
        self.start_all(size, how)
        self.restart()
        for number in range(6):
            if vm := self.mine(number):
                self.send("VM.start", vm.ref, False, False, how=how)

    @rule(number=st.integers(0, 1))
    def kill_host(self, number: int) -> None:
        """A host dies, its VMs are given up, and it comes back."""
        host = self.db.all("host")[number]
        self.world.kill_host(host)
        self.let_pass(1)
        _revive(self.world, host.uuid)

    @rule(logins=st.sampled_from([450, 600]), originator=st.sampled_from(sorted(SESSIONS_MAX)))
    def log_in(self, logins: int, originator: str) -> None:
        for _ in range(logins):
            self.world.sessions.open("root", originator)
        self.collect()

    @rule(tasks=st.sampled_from([150, 250]))
    def make_tasks(self, tasks: int) -> None:
        for _ in range(tasks):
            self.world.tasks.set_status(self.world.tasks.create("made by a client"), "success")
        self.collect()

    @rule()
    def collect(self) -> None:
        self.world.tasks.collect(time.time())
        self.world.sessions.collect(time.time())
        done = [row for row in self.db.all("task") if row["status"] != "pending"]
        assert len(done) <= TASKS_MAX, "too many tasks are kept"
        for originator, most in SESSIONS_MAX.items():
            same = [s for s in self.db.all("session") if s["originator"] == originator]
            assert len(same) <= most, "too many sessions are kept"

    @rule(seconds=WHILE)
    def wait(self, seconds: float) -> None:
        self.let_pass(seconds)

    @rule()
    def look(self) -> None:
        async def take() -> None:  # before anything else changes
            answer = await self.call("event.from", list(FOLLOWED), self.reader.token, 0.0)
            self.reader.take(answer, self.db)

        self.loop.run_until_complete(take())
        if self.world.events.token() == self.reader.token:
            self.reader.assert_holds(self.db)

    # -- what must hold

    def _wait_for_hosts(self) -> None:
        deadline = self.loop.time() + PATIENCE_SECONDS
        while any(self.world._on_hosts.values()):
            assert self.loop.time() < deadline, "a host's work does not end"
            self.let_pass(30)

    def _wait_for_all(self) -> None:
        deadline = self.loop.time() + PATIENCE_SECONDS
        while self.world._running:
            assert self.loop.time() < deadline, f"{len(self.world._running)} calls do not end"
            self.let_pass(30)
        self._wait_for_hosts()

    @rule()
    @precondition(lambda self: self.promises)
    def settle(self) -> None:
        """Let everything end: then nothing is held, and nothing is half made."""
        self.world.faults.rules.clear()
        self._wait_for_all()
        assert_at_rest(self.world)
        self.promises.assert_kept()
        self.look()
        self.reader.assert_holds(self.db)

    @invariant()
    def whole(self) -> None:
        assert not self.wrong
        assert_whole(self.db)
