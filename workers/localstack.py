"""The whole of it on one machine: an embedded server, a simulated pool, workers, and Flower.

Everything listens on loopback, on ports that were free, and keeps its files in one folder. The
children die with the process that started them, however it ends.
"""

import fcntl
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from workers.child import Child, ChildFailed
from workers.embedded import LOOPBACK, EmbeddedServer, free_port
from workers.settings import FLOWER_PASSWORD_FILE
from xenlaunch.errors import BadSettings, NoWorker
from xenlaunch.ledger import Ledger
from xenlaunch.store import Store

ROOT: Final = Path(__file__).resolve().parents[1]
POOL: Final = "lab"
FLOWER_USER: Final = "xenlaunch"
GRACE: Final = 5.0

RESTARTS: Final = 5
"""So many restarts of one worker within a minute, and it is not worth another."""

POOLS_FILE: Final = """\
deployment = "local"

[pools.{pool}]
addresses = ["{address}"]
username = "root"
password_file = "{pool}.password"
allow_http = true
"""


@contextmanager
def folder_of_its_own(folder: Path) -> Iterator[Path]:
    """The folder, empty and readable by its owner alone, while no other stack uses it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadSettings(f"Another one is running in {folder} already.") from None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        yield folder


class LocalStack:
    """A stack in one folder; ``say`` is told what people should know."""

    def __init__(
        self,
        folder: Path,
        *,
        say: Callable[[str], None],
        time_scale: float,
        hosts: int = 4,
        srs: int = 2,
        workers: int = 2,
        flower: bool = False,
    ) -> None:
        self.folder = folder
        self.say = say
        self.pools_file = folder / "pools.toml"
        self.redis = EmbeddedServer(folder / "redis")
        self.simulator = self._simulator(time_scale, hosts, srs)
        self.workers = [self._worker(f"w{number}") for number in range(1, workers + 1)]
        self.flower_password = secrets.token_urlsafe(12)
        self.flower_port = free_port() if flower else 0
        self.flower = self._flower() if flower else None
        self._restarts: dict[str, list[float]] = {}

    # Life

    def start(self) -> None:
        """Start all of it; return when the workers have reached the pool and taken on the Redis."""
        _write_secret(self.folder / f"{POOL}.password", secrets.token_urlsafe(18))
        if self.flower:
            _write_secret(self.folder / "flower.password", self.flower_password)
        self.simulator.spawn()
        self.redis.start()
        self.simulator.wait_until_ready()
        self.pools_file.write_text(POOLS_FILE.format(pool=POOL, address=self.pool_url))
        for child in self._users():
            child.env |= self.env
            child.spawn()
        for child in self._users():
            child.wait_until_ready(timeout=60)
        self._await_registration()

    def stop(self) -> None:
        """Stop all that runs, the ones that use others first, in bounded time."""
        users = self._users()
        with ThreadPoolExecutor(len(users)) as together:
            list(together.map(lambda child: child.stop(GRACE), users))
        self.simulator.stop(GRACE)
        self.redis.stop(GRACE)

    def look_after(self) -> None:
        """Start again what has ended; raise where that cannot be: the pool is in memory."""
        if not self.simulator.running:
            raise self.simulator.failure(f"ended with exit code {self.simulator.returncode}")
        if not self.redis.running:
            self._count_restart("the embedded server", ChildFailed("the embedded server has ended"))
            self.redis.kill()
            self.redis.start()
        for child in self._users():
            if not child.running:
                self._restart(child)

    def _restart(self, child: Child) -> None:
        failure = child.failure(f"ended {RESTARTS} times within a minute")
        self._count_restart(child.name, failure, f" with exit code {child.returncode}")
        child.kill()
        child.spawn()

    def _count_restart(self, name: str, failure: ChildFailed, how: str = "") -> None:
        now = time.monotonic()
        recent = [then for then in self._restarts.get(name, []) if now - then < 60]
        if len(recent) >= RESTARTS:
            raise failure
        self._restarts[name] = [*recent, now]
        self.say(f"{name} ended{how}: it is started again")

    def _users(self) -> list[Child]:
        """The children that use the server and the pool."""
        return [*self.workers, *([self.flower] if self.flower else [])]

    # Addresses

    @property
    def pool_url(self) -> str:
        return _address(self.simulator, "listening") or ""

    @property
    def control_url(self) -> str:
        return _address(self.simulator, "control") or ""

    @property
    def flower_url(self) -> str:
        return f"http://{LOOPBACK}:{self.flower_port}"

    @property
    def env(self) -> dict[str, str]:
        """What the server side, and the command line, need to know."""
        return {
            "XENLAUNCH_REDIS_URL": self.redis.url,
            "XENLAUNCH_POOLS": str(self.pools_file.resolve()),
        }

    # Children

    def _simulator(self, time_scale: float, hosts: int, srs: int) -> Child:
        password = self.folder / f"{POOL}.password"
        size = f"--hosts {hosts} --srs {srs} --time-scale {time_scale}"
        options = f"--port 0 --control-port 0 {size}".split()
        child = Child(
            "the simulated pool",
            [sys.executable, "-m", "simulator", *options, "--password-file", password.resolve()],
            log_path=self.folder / "simulator.log",
            ready=lambda: bool(_address(child, "listening") and _address(child, "control")),
            cwd=ROOT,
        )
        return child

    def _worker(self, name: str) -> Child:
        options = ["-P", "threads", "-c", "16", "-l", "INFO", "-n", f"{name}@%h"]
        child = Child(
            f"worker {name}",
            [sys.executable, "-m", "celery", "-A", "workers", "worker", *options],
            log_path=self.folder / f"{name}.log",
            ready=lambda: " ready." in child.log(),
            cwd=ROOT,
        )
        return child

    def _flower(self) -> Child:
        options = [f"--address={LOOPBACK}", f"--port={self.flower_port}"]
        return Child(
            "Flower",
            [sys.executable, "-m", "celery", "-A", "workers", "flower", *options],
            log_path=self.folder / "flower.log",
            ready=lambda: _is_healthy(self.flower_port),
            env={
                FLOWER_PASSWORD_FILE: str((self.folder / "flower.password").resolve()),
                "FLOWER_DB": str((self.folder / "flower").resolve()),
            },
            cwd=ROOT,
        )

    def _await_registration(self, timeout: float = 30.0) -> None:
        store, deadline = Store(self.redis.url), time.monotonic() + timeout
        try:
            while Ledger(store).deployment() is None:
                self.look_after()
                if time.monotonic() > deadline:
                    raise NoWorker(f"No worker has registered after {timeout:g} s.")
                time.sleep(0.05)
        finally:
            store.close()


def _address(simulator: Child, which: str) -> str | None:
    line = re.search(rf"^{which} on (http://\S+)$", simulator.log(), re.MULTILINE)
    return line and line[1]


def _is_healthy(port: int) -> bool:
    connection = HTTPConnection(LOOPBACK, port, timeout=1)
    try:
        connection.request("GET", "/healthcheck")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _write_secret(path: Path, secret: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
