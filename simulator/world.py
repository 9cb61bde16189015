"""The world of one simulated pool: its rows, and everything that acts on them."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal

from simulator.allowed import Allowed
from simulator.calllog import CallLog
from simulator.db import Database
from simulator.events import Events
from simulator.faults import Faults
from simulator.guests import Guests
from simulator.images import Images
from simulator.latency import Latency
from simulator.locks import Locks
from simulator.memory import Memory
from simulator.rbac import User
from simulator.sessions import ROOT, Sessions
from simulator.tasks import Tasks

if TYPE_CHECKING:
    from simulator.db import Row
    from simulator.plans import Plan

Profile = Literal["current", "8.2"]
Backend = Literal["openvswitch", "bridge"]


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line decides."""

    hosts: int = 4
    srs: int = 2
    time_scale: float = 1.0
    profile: Profile = "current"
    network_backend: Backend = "openvswitch"
    host_workers: int = 4
    seed: int = 0
    password: str = "xenroot"  # noqa: S105 - the documented default of a pretended pool
    users: tuple[User, ...] = ()  # beside root
    plan: Plan | None = None  # instead of so many hosts and SRs


class World:
    """One pool. All of it runs in one event loop, so what does not await is atomic."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.db = Database()
        self.latency = Latency(options.time_scale, options.seed)
        self.locks = Locks(self, options.host_workers)
        self.memory = Memory(self.db)
        self.tasks = Tasks(self)
        self.sessions = Sessions(self, (User(ROOT, options.password), *options.users))
        self.events = Events(self.db)
        self.allowed = Allowed(self.db)
        self.db.on_change = self._changed
        self.faults = Faults(self, options.seed)
        self.guests = Guests(self)
        self.images = Images()
        self.log = CallLog()
        self.certificates: dict[str, str] = {}  # of hosts that speak https, as PEM
        #: where members have addresses of their own, whatever their rows say: which host's each is
        self.listening: dict[str, str] = {}
        self.slowness: dict[str, float] = {}  # of SRs, by ref: how many times as long all takes
        self.restarts = 0
        self._down_until = 0.0
        self._booting_until = 0.0
        self.on_restart: Callable[[], None] = lambda: None
        self.on_death: Callable[[Row], None] = lambda _host: None
        self.on_load: Callable[[], None] = lambda: None
        self._running: set[asyncio.Task[Any]] = set()  # xapi's own: a restart ends them
        self._on_hosts: dict[str, set[asyncio.Task[Any]]] = {}  # they outlive xapi
        #: by VM: what a host does to its domain
        self.domain_jobs: dict[str, asyncio.Task[Any]] = {}
        self.domains = 0  # the last domain id given
        self.messages: dict[str, dict[str, Any]] = {}  # by ref, oldest first

    def _changed(self, cls: str, ref: str) -> None:
        self.events.changed(cls, ref)
        self.allowed.note(cls, ref)

    def master(self) -> Row:
        return self.db.get("host", self.db.only("pool")["master"])

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run work that dies with xapi."""
        return _keep(self._running, work)

    def dies_with_xapi(self) -> bool:
        """Whether what runs just now is xapi's own."""
        return asyncio.current_task() in self._running

    def run_on_host(self, work: Coroutine[Any, Any, Any], host: str = "") -> asyncio.Task[Any]:
        """Run work that a host finishes even if xapi restarts meanwhile."""
        job = _keep(self._on_hosts.setdefault(host, set()), work)
        job.add_done_callback(_note_end)
        return job

    def kill_host(self, host: Row) -> None:
        """The host is gone: what it was doing ends in CANNOT_CONTACT_HOST, its VMs stay listed."""
        self.db.set(self.db.get("host_metrics", host["metrics"]), "live", False)
        for task in list(self._on_hosts.get(host.ref, ())):
            task.cancel()
        for vm in self.db.rows("VM", list(host["resident_VMs"])):
            self.guests.stop(vm)
        self.on_death(host)

    def find_anywhere(self, ref: str) -> Row | None:
        """The row of a ref of any class."""
        for table in self.db.tables.values():
            if (row := table.rows.get(ref)) is not None:
                return row
        return None

    def busy_sessions(self) -> frozenset[str]:
        """Sessions with an operation under way: they are never collected."""
        pending = (row.ref for row in self.db.all("task") if row["status"] == "pending")
        return frozenset(
            self.tasks.session_of[ref] for ref in pending if ref in self.tasks.session_of
        )

    @property
    def is_down(self) -> bool:
        return time.monotonic() < self._down_until

    @property
    def is_booting(self) -> bool:
        """Whether xapi is up, but answers only what it answers in an emergency."""
        return time.monotonic() < self._booting_until

    def move_master(self, host: Row) -> None:
        """Make another host the master, as xapi does: it restarts everywhere."""
        self.restart()
        self.db.set(self.db.only("pool"), "master", host.ref)

    def restart(self, seconds: float = 0.0, booting: float = 0.0) -> None:
        """
        Restart xapi: connections, sessions and tasks vanish, objects stay as they are.

        For so many seconds it does not answer: connections are closed as they come. For so many
        after these it refuses nearly every call, as it is still booting.

        Operations stop between two of their acts and undo nothing, as a killed process does; what
        a host was doing (a start, a shutdown) it finishes by itself.
        """
        self.restarts += 1
        self._down_until = time.monotonic() + seconds
        self._booting_until = self._down_until + booting if booting else 0.0
        for task in list(self._running):
            task.cancel()
        self.on_restart()
        self.sessions.forget_all()
        self.tasks.forget_all()
        self.locks.forget_all()
        self.memory.forget_all()
        for table in self.db.tables.values():
            table.deletions.clear()
        self.events.forget_all()

    def stop_hosts(self) -> None:
        """What the hosts were doing ends where it is: the pool becomes another."""
        for task in itertools.chain(*self._on_hosts.values()):
            task.cancel()

    async def stop(self) -> None:
        tasks = [*self._running, *itertools.chain(*self._on_hosts.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _note_end(job: asyncio.Task[Any]) -> None:
    """After a restart nobody asks any more how a host's job ended."""
    if not job.cancelled():
        job.exception()


def _keep(where: set[asyncio.Task[Any]], work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    task = asyncio.get_running_loop().create_task(work)
    where.add(task)
    task.add_done_callback(where.discard)
    return task
