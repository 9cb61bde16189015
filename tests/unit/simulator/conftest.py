"""What the simulator's tests stand on: a pool in the test's own loop, or a simulator process."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from simulator import pool as ready_made
from simulator.db import Row
from simulator.dispatch import serve
from simulator.errors import ApiError
from simulator.world import Options, World
from tests.support.virtual_time import run_in_virtual_time

_ROOT = Path(__file__).resolve().parents[3]


class Pool:
    """A pool without a wire: calls go in at dispatch."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.db = world.db
        self.host = ""  # the member that is asked; none: the pool's one address
        self.session = world.sessions.open("root", "test").ref

    async def call(self, method: str, *args: Any, headers: dict[str, str] | None = None) -> Any:
        value = serve(self.world, method, [self.session, *args], headers or {}, self.host)
        return await value if inspect.isawaitable(value) else value

    async def login(self, user: str, password: str, originator: str = "test") -> Pool:
        """The same pool, as another session sees it."""
        given = [user, password, "1.0", originator]
        other = copy.copy(self)
        other.session = await self._begin("session.login_with_password", given)
        return other

    async def local_login(self, user: str, password: str) -> str:
        return await self._begin("session.slave_local_login_with_password", [user, password])

    async def _begin(self, method: str, given: list[str]) -> str:
        value = serve(self.world, method, given, {}, self.host)
        return str(await value if inspect.isawaitable(value) else value)

    async def refused(self, method: str, *args: Any) -> list[str]:
        """The error that the call ends in."""
        with pytest.raises(ApiError) as refused:
            await self.call(method, *args)
        return refused.value.description

    async def until(self, holds: Callable[[], Any], description: str) -> Any:
        for _ in range(3000):
            if found := holds():
                return found
            await asyncio.sleep(0.001)
        pytest.fail(f"never: {description}")

    async def ended(self, task: str) -> Row:
        row = self.db.get("task", task)
        await self.until(lambda: row["status"] != "pending", f"{row['name_label']} ends")
        return row

    async def done(self, method: str, *args: Any) -> str:
        """Do an Async call to its good end; gives the ref that it made."""
        row = await self.ended(await self.call(f"Async.{method}", *args))
        assert row["status"] == "success", row["error_info"]
        return str(row["result"]).removeprefix("<value>").removesuffix("</value>")

    def one(self, cls: str, name: str) -> Row:
        return self.db.by_name(cls, name)[0]

    async def vm(self, name: str = "web", template: str = "debian-12") -> Row:
        """A VM, cloned and provisioned."""
        ref = await self.done("VM.clone", self.one("VM", template).ref, name)
        await self.done("VM.provision", ref)
        return self.db.get("VM", ref)


@pytest.fixture
def pretend() -> Callable[..., None]:
    """Run a scenario, an async function of a Pool, in a ready-made pool."""

    def run(scenario: Callable[[Pool], Awaitable[None]], **options: Any) -> None:
        asyncio.run(_play(scenario, 20, {"time_scale": 0.0, **options}))

    return run


@pytest.fixture
def pretend_at_length() -> Callable[..., None]:
    """Run a scenario with latencies at their full length, in virtual time."""

    def run(scenario: Callable[[Pool], Awaitable[None]], **options: Any) -> None:
        run_in_virtual_time(_play(scenario, 48 * 3600, options))

    return run


async def _play(
    scenario: Callable[[Pool], Awaitable[None]], patience: float, options: dict[str, Any]
) -> None:
    world = World(Options(**options))
    ready_made.build(world)
    try:
        await asyncio.wait_for(scenario(Pool(world)), patience)
    finally:
        await world.stop()


class Process:
    """A simulator in a process of its own."""

    def __init__(self, *args: str) -> None:
        command = [sys.executable, "-m", "simulator", "--port", "0", "--control-port", "0", *args]
        self.process = subprocess.Popen(
            command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.url = self.process.stdout.readline().removeprefix("listening on ").strip()
        self.control_url = self.process.stderr.readline().removeprefix("control on ").strip()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def rpc(self, method: str, *params: Any, headers: Mapping[str, str] | None = None) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1})
        url = f"{self.url}/jsonrpc"
        request = urllib.request.Request(url, body.encode(), dict(headers or {}))  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - ours
            return json.load(answer)

    def login(self) -> str:
        return str(self.rpc("session.login_with_password", "root", "xenroot")["result"])

    def control(self, method: str, path: str, given: Any = None) -> Any:
        body = None if given is None else json.dumps(given).encode()
        request = urllib.request.Request(f"{self.control_url}{path}", body, method=method)  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - ours
            return json.load(answer)

    def stop(self) -> tuple[int, str]:
        """Ask it to stop; its exit code and what it said on stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=5)
        return self.process.returncode, err


@pytest.fixture
def start_simulator() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*args: str) -> Process:
        started.append(Process(*args))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.stop()
        for stream in (one.process.stdout, one.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture(scope="module")
def shared_simulator() -> Iterator[Process]:
    """One simulator for a file whose tests do not disturb each other."""
    process = Process("--time-scale", "0")
    yield process
    code, err = process.stop()
    assert (code, err) == (0, "")
