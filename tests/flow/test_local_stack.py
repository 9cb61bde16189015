"""The local stack as its users have it: the demo from its first line to its last, and `up`."""

import json
import os
import re
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery.result import AsyncResult

from tests.support.paths import ROOT
from tests.support.waiting import wait_until
from xenlaunch import LaunchClient, LaunchRequest
from xenlaunch.errors import LaunchCancelled, LaunchFailed

LINUX = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")


def start(command: str, folder: Path, *options: str) -> subprocess.Popen[str]:
    output = (folder.parent / f"{command}.out").open("w")
    words = [sys.executable, "-m", "workers.local", command, "--folder", str(folder), *options]
    with output:
        return subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, text=True, cwd=ROOT)


def output(command: str, folder: Path) -> str:
    return (folder.parent / f"{command}.out").read_text()


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that know this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            known = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            zombie = ") Z " in (process / "stat").read_text()
        except OSError:
            continue
        if str(folder).encode() in known and not zombie and int(process.name) != os.getpid():
            found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def wait_until_nothing_is_left(folder: Path) -> None:
    wait_until(lambda: not processes_of(folder), 10, f"no process of {folder} is left")


# The demo


@LINUX
def test_the_demo_brings_every_vm_up_and_leaves_nothing_running(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    demo = start("demo", folder, "--count", "12", "--time-scale", "0.02")
    code = demo.wait(timeout=100)

    said = output("demo", folder)
    assert code == 0, said
    assert re.fullmatch(r"12 of 12 running in \d+ s", said.splitlines()[-1])
    assert said.replace("\n", "").isprintable(), "no control codes where there is no terminal"
    rows = re.findall(r"^demo-\d\d +[0-9a-f-]{36} host-\d +(?:\w\w:){5}\w\w +10\.\S+", said, re.M)
    assert len(rows) == 12
    assert [line.split()[0] for line in said.splitlines() if " s  " in line][-1] == "poll"
    assert processes_of(folder) == []
    assert {path.name for path in folder.iterdir()} == {"demo", "demo.lock"}


@LINUX
@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_demo_that_is_stopped_in_the_middle_leaves_nothing_running(
    tmp_path: Path, signum: signal.Signals, code: int
) -> None:
    folder = tmp_path / "state"
    demo = start("demo", folder)
    wait_until(lambda: "of 50 running" in output("demo", folder), 60, "the batch is on its way")
    demo.send_signal(signum)

    assert demo.wait(timeout=30) == code
    wait_until_nothing_is_left(folder)
    assert "Traceback" not in output("demo", folder)


@LINUX
def test_a_demo_whose_worker_is_killed_brings_every_vm_up(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    demo = start("demo", folder, "--count", "20", "--timeout", "100")
    wait_until(lambda: "of 20 running" in output("demo", folder), 60, "the batch is on its way")
    (worker,) = (
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if _is_worker(process, "w1", folder)
    )
    os.kill(worker, signal.SIGKILL)
    code = demo.wait(timeout=110)

    said = output("demo", folder)
    assert code == 0, said
    assert "worker w1 ended with exit code -9: it is started again" in said
    assert said.splitlines()[-1].startswith("20 of 20 running")


def _is_worker(process: Path, name: str, folder: Path) -> bool:
    try:
        words = (process / "cmdline").read_text().split("\0")
        return f"{name}@%h" in words and str(folder) in (process / "environ").read_text()
    except OSError:
        return False


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    demo = start("demo", folder)
    try:
        wait_until(lambda: "starting" in output("demo", folder), 30, "the first one has begun")
        words = [sys.executable, "-m", "workers.local", "demo", "--folder", str(folder)]
        second = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    finally:
        demo.terminate()
        demo.wait(timeout=30)

    assert second.returncode == 1
    assert "Another one is running in" in second.stderr
    assert "Traceback" not in second.stderr


# Up


class Up:
    """A stack that was brought up, and the command line beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = output("up", folder)
        lines = (folder / "env").read_text().splitlines()
        self.env = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        self.url = self.env["XENLAUNCH_REDIS_URL"]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "xenlaunch.cli", *words],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            timeout=60,
        )

    def flower(self, path: str, password: str | None) -> tuple[int, str]:
        address = re.search(r"^Flower +http://(\S+)", self.said, re.M)
        assert address
        connection = HTTPConnection(urlsplit(f"http://{address[1]}").netloc, timeout=10)
        token = b64encode(f"xenlaunch:{password}".encode()).decode()
        try:
            connection.request("GET", path, headers={"Authorization": f"Basic {token}"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up") / "state"
    process = start("up", folder, "--time-scale", "0.02")
    try:
        wait_until(
            lambda: "Ctrl-C stops it all" in output("up", folder) or process.poll() is not None,
            90,
            "the stack is up",
        )
        assert process.poll() is None, output("up", folder)
        yield Up(folder)
    finally:
        process.terminate()
        code = process.wait(timeout=30)
    assert code == 0, output("up", folder)
    wait_until_nothing_is_left(folder)


@pytest.fixture
def web(tmp_path: Path) -> str:
    path = tmp_path / "web.yaml"
    path.write_text("name: web\ntemplate: debian-12\nwait_for: address\n")
    return str(path)


@LINUX
def test_a_batch_is_launched_and_looked_at(up: Up, web: str) -> None:
    launched = up("launch", web, "--count", "20", "--name", "web-{:02}", "--wait", "--json")
    accepted = json.loads(launched.stdout)

    assert launched.returncode == 0, launched.stderr
    assert re.fullmatch(r"20 of 20 running in \d+ s", launched.stderr.splitlines()[-1])
    listed = json.loads(up("list", "--batch", accepted["batch"]).stdout)
    assert {launch["id"] for launch in listed} == set(accepted["launches"])
    assert {launch["state"] for launch in listed} == {"succeeded"}
    assert all(launch["vm_uuid"] and launch["host"] and launch["addresses"] for launch in listed)
    assert len({launch["vm_uuid"] for launch in listed}) == 20
    status = up("status", accepted["launches"][0])
    assert status.stdout.startswith(f"web-01 ({accepted['launches'][0]})\n  state      succeeded\n")
    assert up("status", accepted["batch"]).stdout == f"{accepted['batch']}: 20 succeeded of 20\n"
    assert up("watch", accepted["batch"]).returncode == 0
    assert up("cancel", accepted["batch"]).returncode == 1


@LINUX
def test_a_launch_that_fails_says_why(up: Up) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "xenlaunch.cli", "launch", "-", "--wait", "--json"],
        input="{name: web, template: no-such-template}",
        env={**os.environ, **up.env},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert refused.returncode == 1
    assert len(json.loads(refused.stdout)["launches"]) == 1
    assert "'no-such-template'" in refused.stderr


@LINUX
def test_plan_and_pools_are_answered(up: Up, web: str) -> None:
    plan = up("plan", web, "--json")
    pools = up("pools", "--json")

    assert plan.returncode == pools.returncode == 0, plan.stderr + pools.stderr
    planned, (pool,) = json.loads(plan.stdout), json.loads(pools.stdout)
    assert set(planned) == {
        "pool", "template", "memory", "vcpus", "placement", "group",
        "hosts", "drives", "networks", "calls", "error",
    }  # fmt: skip
    assert planned["template"]["name"] == "debian-12"
    assert (pool["name"], pool["reachable"], pool["hosts"]) == ("lab", True, 4)
    assert "host-1 fits" in up("plan", web).stdout
    assert "sr-1" in up("pools").stdout


@LINUX
def test_upstream_reads_every_ending_from_the_result_backend(up: Up) -> None:
    with LaunchClient(up.url) as client:

        def ending(launch: str) -> Any:
            return AsyncResult(f"{launch}.poll", app=client.celery_app).get(timeout=30)

        request = LaunchRequest(name="web", template="debian-12")
        good = client.submit(request).id
        refused = client.submit(request.but(memory=900 << 30)).id
        failed = client.submit(request.but(template="no-such-template")).id
        cancelled = client.submit(request.but(wait_for="address", wait_seconds=60)).id
        next(status for status in client.watch(cancelled, 30) if status.state == "running")
        client.cancel(cancelled)

        assert ending(good)["vm_uuid"] == client.result(good).vm_uuid
        for launch in (refused, failed):
            with pytest.raises(LaunchFailed) as failure:
                ending(launch)
            with pytest.raises(LaunchFailed) as again:
                client.result(launch)
            assert failure.value.args == again.value.args
        with pytest.raises(LaunchCancelled):
            ending(cancelled)


@LINUX
def test_flower_shows_the_steps_and_asks_for_its_password(up: Up) -> None:
    password = (up.folder / "up" / "flower.password").read_text()
    with LaunchClient(up.url) as client:
        launch = client.submit(LaunchRequest(name="flowery", template="debian-12")).id
        client.result(launch, timeout=30)

    def rows() -> Mapping[str, Any]:
        status, body = up.flower("/api/tasks?limit=1000", password)
        assert status == 200
        return {task: row for task, row in json.loads(body).items() if task.startswith(launch)}

    assert up.flower("/api/tasks", "wrong")[0] == 401
    assert up.flower("/", None)[0] == 401
    wait_until(lambda: len(rows()) == 7, 20, "seven rows in Flower")
    assert "flowery" in rows()[f"{launch}.clone"]["args"]


@LINUX
def test_no_password_is_in_a_process_list_or_a_log(up: Up) -> None:
    secrets = [path.read_text() for path in (up.folder / "up").glob("*.password")]

    assert len(secrets) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in (up.folder / "up").glob("*.password"))
    shown = " ".join(processes_of(up.folder))
    logs = "".join(path.read_text() for path in (up.folder / "up").rglob("*.log"))
    assert not [secret for secret in secrets if secret in shown or secret in logs]


@LINUX
def test_a_worker_that_dies_is_started_again(up: Up, web: str) -> None:
    def workers() -> set[int]:
        processes = list(Path("/proc").glob("[0-9]*"))
        return {int(p.name) for p in processes if _is_worker(p, "w2", up.folder)}

    (dead,) = workers()
    os.kill(dead, signal.SIGKILL)

    wait_until(lambda: len(workers() - {dead}) == 1, 20, "another w2 runs")
    assert up("launch", web, "--wait").returncode == 0
