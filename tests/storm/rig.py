"""What a storm rages over: an embedded server, a simulated pool, and workers that are replaced."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self, TypeVar

from tests.storm.nursery import Nursery, Worker
from tests.support.simulators import SimulatorProcess
from tests.support.waiting import wait_until
from workers.embedded import EmbeddedServer
from xenlaunch import LaunchClient
from xenlaunch.errors import StoreUnreachable
from xenlaunch.ledger import Ledger
from xenlaunch.record import Record
from xenlaunch.store import Store

T = TypeVar("T")

DEPLOYMENT: Final = "storm"
POOL: Final = "lab"
PLAN: Final = Path(__file__).with_name("pool.json")
WORKER: Final = ("-A", "workers", "worker", "-P", "threads", "-l", "INFO")
QUIETLY: Final = ("--without-mingle", "--without-gossip")


class Rig:
    """One server, one pool and its workers; a context. ``env`` is what each worker is told."""

    def __init__(
        self,
        folder: Path,
        *,
        time_scale: float,
        workers: int = 3,
        concurrency: int = 16,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        settings: Mapping[str, float] | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.redis = EmbeddedServer(folder / "redis")
        pool = ["--pool", str(PLAN), "--time-scale", str(time_scale), *options]
        self.pool = SimulatorProcess(folder / "simulator.log", *pool)
        self.nursery = Nursery()
        self.wanted = workers
        self.concurrency = concurrency
        self.env = dict(env or {})
        self.settings = dict(settings or {})
        self.workers: list[Worker] = []
        self.born = 0
        self._names = itertools.count(1)
        self._stack = ExitStack()

    # Life

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.nursery.stop)
            self.nursery.start()
            stack.callback(self.pool.stop)
            self.pool.child.spawn()
            stack.callback(self.redis.stop)
            self.redis.start()
            self.pool.child.wait_until_ready()
            self.pools_file = self.write_pools("pools", self.addresses())
            self.client = LaunchClient(self.redis.url)
            self.ledger = Ledger(Store(self.redis.url))
            stack.callback(self.client.close)
            stack.callback(self.ledger.store.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def addresses(self) -> list[str]:
        """The pool's members, as far as they listen."""
        members = re.findall(r"^host-\d+ on (http://\S+)$", self.pool.child.log(), re.MULTILINE)
        return list(dict.fromkeys([self.pool.url, *members]))

    def write_pools(self, name: str, addresses: Sequence[str]) -> Path:
        (self.folder / "lab.password").write_text(self.pool.password)
        listed = ", ".join(f'"{address}"' for address in addresses)
        path = self.folder / f"{name}.toml"
        said = "".join(f"{setting} = {value}\n" for setting, value in self.settings.items())
        path.write_text(
            f'deployment = "{DEPLOYMENT}"\n{said}[pools.{POOL}]\naddresses = [{listed}]\n'
            f'username = "{self.pool.username}"\npassword_file = "lab.password"\n'
            "allow_http = true\n"
        )
        return path

    # Workers

    def start_worker(self, pools_file: Path | None = None, **env: str) -> Worker:
        """Start one; it is not waited for."""
        name = f"w{next(self._names)}"
        argv = [*WORKER, *QUIETLY, "-c", str(self.concurrency), "-n", f"{name}@storm"]
        settings = {
            "XENLAUNCH_REDIS_URL": self.redis.url,
            "XENLAUNCH_POOLS": str(pools_file or self.pools_file),
            **self.env,
            **env,
        }
        worker = self.nursery.bear(name, argv, settings, self.folder / f"{name}.log")
        self.born += 1
        return worker

    def tend(self) -> list[Worker]:
        """Replace the workers that have died, and return these."""
        dead = [worker for worker in self.workers if not worker.running]
        for worker in dead:
            worker.forget()
        self.workers = [worker for worker in self.workers if worker not in dead]
        while len(self.workers) < self.wanted:
            self.workers.append(self.start_worker())
        return dead

    def begin(self) -> None:
        """Start the workers, and return when the deployment is known and all of them are ready."""
        self.tend()

        def ready() -> bool:
            self.tend()
            return all(worker.ready for worker in self.workers)

        wait_until(ready, 60, "the workers are ready")
        wait_until(self.ledger.deployment, 20, "a worker has registered its deployment")

    # Looking

    def patiently(self, ask: Callable[[], T], seconds: float = 60) -> T:
        """The answer of a Redis that may be away for a while."""
        found: list[T] = []

        def asked() -> bool:
            try:
                found.append(ask())
            except StoreUnreachable:
                return False
            return True

        wait_until(asked, seconds, "Redis answers")
        return found[0]

    def records(self, launches: Sequence[str]) -> list[Record]:
        return self.patiently(lambda: self.ledger.records(launches))

    def untold(self, launches: Sequence[str]) -> set[str]:
        """Those that have not ended, or whose end has not been told yet."""

        def ask() -> set[str]:
            ended = {record.id for record in self.ledger.records(launches) if record.ended}
            key = self.ledger.store.key("due")
            due = set(self.ledger.store.redis.zrange(key, 0, -1))
            return {launch for launch in launches if launch not in ended or launch in due}

        return self.patiently(lambda: _reachable(ask))


def _reachable(ask: Callable[[], T]) -> T:
    from xenlaunch.store import reachable

    with reachable():
        return ask()


def pid_in(worker: str) -> int:
    """The process id in the name that a worker writes into a lease."""
    return int(worker.split("/")[1])
