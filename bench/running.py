"""What a measurement runs: simulated pools, a Redis-compatible server and workers, as processes."""

import json
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from workers.child import Child
from workers.embedded import EmbeddedServer
from xenlaunch import LaunchClient
from xenlaunch.ledger import Ledger
from xenlaunch.store import Store

ROOT = Path(__file__).resolve().parents[1]
LOOK_EVERY = 0.5

T = TypeVar("T")


def wait_for(look: Callable[[], T], seconds: float, what: str) -> T:
    """Look until there is something; a measurement that waits in vain is none."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(LOOK_EVERY)
    return found


class PretendedPool:
    """One simulator process."""

    def __init__(self, name: str, folder: Path, options: Sequence[str]) -> None:
        self.name = name
        password = folder / f"{name}.password"
        password.write_text(secrets.token_hex(12))
        listen = ["--port", "0", "--control-port", "0", "--password-file", str(password)]
        self.child = Child(
            f"the pool {name}",
            [sys.executable, "-m", "simulator", *listen, *options],
            log_path=folder / f"{name}.log",
            ready=lambda: bool(self.address("listening") and self.address("control")),
            cwd=ROOT,
        )

    def address(self, which: str) -> str:
        lines = (line.partition(f"{which} on ") for line in self.child.log().splitlines())
        return next((url for start, _, url in lines if url and not start), "")

    def settings(self, in_flight: int) -> str:
        return (
            f'[pools.{self.name}]\naddresses = ["{self.address("listening")}"]\nallow_http = true\n'
            f'password_file = "{self.name}.password"\nin_flight = {in_flight}\n'
        )

    def control(self, method: str, path: str, body: object = None) -> Any:
        connection = HTTPConnection(urlsplit(self.address("control")).netloc, timeout=120)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def vms(self) -> dict[str, Any]:
        found: dict[str, Any] = self.control("GET", "/state")["VM"]
        return found


class Running:
    """So many pools and workers, in one folder; ready when it is entered, gone when it is left."""

    def __init__(
        self,
        folder: Path,
        *,
        pools: int,
        workers: int,
        in_flight: int,
        threads: int = 32,
        simulator: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.in_flight = in_flight
        self.redis = EmbeddedServer(folder / "redis")
        self.pools = [
            PretendedPool(f"pool-{number}", folder, simulator) for number in range(1, pools + 1)
        ]
        self.workers = [self._worker(f"w{number}", threads) for number in range(1, workers + 1)]

    def _worker(self, name: str, threads: int) -> Child:
        options = ["-P", "threads", "-c", str(threads), "-l", "INFO", "-n", f"{name}@%h"]
        child = Child(
            f"worker {name}",
            [sys.executable, "-m", "celery", "-A", "workers", "worker", *options],
            log_path=self.folder / f"{name}.log",
            ready=lambda: " ready." in child.log(),
            cwd=ROOT,
        )
        return child

    def __enter__(self) -> Self:
        self.redis.start()
        for pool in self.pools:
            pool.child.spawn()
        for pool in self.pools:
            pool.child.wait_until_ready()
        settings = self.folder / "pools.toml"
        text = "".join(pool.settings(self.in_flight) for pool in self.pools)
        settings.write_text(f'deployment = "bench"\n{text}')
        for child in self.workers:
            child.env |= {"XENLAUNCH_REDIS_URL": self.redis.url, "XENLAUNCH_POOLS": str(settings)}
            child.spawn()
        for child in self.workers:
            child.wait_until_ready(timeout=60)
        self.client = LaunchClient(self.redis.url)
        self.ledger = Ledger(Store(self.redis.url))
        wait_for(self.ledger.deployment, 30, "a worker has registered")
        return self

    def __exit__(self, *_: object) -> None:
        for child in (*self.workers, *(pool.child for pool in self.pools)):
            child.stop(20)
        self.redis.stop()

    def redis_mib(self) -> float:
        info: Any = self.ledger.store.redis.info("memory")
        return float(info["used_memory"]) / (1 << 20)

    def redis_commands(self) -> int:
        """How many it has carried out, those of scripts among them."""
        info: Any = self.ledger.store.redis.info("commandstats")
        return sum(int(one["calls"]) for one in info.values())

    def in_flight_now(self) -> int:
        store = self.ledger.store
        return sum(int(store.redis.hlen(store.key("inflight", pool.name))) for pool in self.pools)
