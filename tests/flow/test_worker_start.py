"""What a worker serves, and what it refuses at its start with a sentence and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flow.conftest import MakeStack
from tests.support.paths import ROOT
from tests.support.waiting import wait_until
from xenlaunch import names

POOLS = """
deployment = "{deployment}"
[pools.lab]
addresses = ["https://127.0.0.1:1"]
password_env = "NO_SUCH_PASSWORD"
"""


def refused(env: dict[str, str], *options: str) -> str:
    """What a worker says that ends at once."""
    ran = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "workers", "worker", *options],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode != 0
    assert "Traceback" not in said
    return said


@pytest.fixture
def env(redis_url: str, tmp_path: Path) -> dict[str, str]:
    pools = tmp_path / "pools.toml"
    pools.write_text(POOLS.format(deployment="tests"))
    return {"XENLAUNCH_REDIS_URL": redis_url, "XENLAUNCH_POOLS": str(pools)}


@pytest.mark.parametrize("pool", [(), ("-P", "prefork"), ("-P", "processes")])
def test_another_pool_than_threads_is_refused(env: dict[str, str], pool: tuple[str, ...]) -> None:
    assert "start it with -P threads" in refused(env, *pool)


@pytest.mark.parametrize("missing", ["XENLAUNCH_REDIS_URL", "XENLAUNCH_POOLS"])
def test_a_setting_that_is_missing_is_named(env: dict[str, str], missing: str) -> None:
    assert f"Set {missing}" in refused(env | {missing: ""}, "-P", "threads")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('addresses = ["http://127.0.0.1:1"]', "is not encrypted. Use https, or say allow_http"),
        ('addresses = ["ftp://pool.example"]', "is no address of a pool"),
        ('addresses = ["https://a"]\npins = ["sha256:12"]', "is no pin"),
        ('addresses = ["https://a"]\nca_file = "missing.pem"', "cannot be read as certificates"),
        ('addresses = "https://a"', "lab.addresses"),
        ('addresses = ["https://a"]\ncolour = 1', "lab.colour"),
    ],
)
def test_a_pool_that_could_never_be_reached_is_refused(
    env: dict[str, str], written: str, said: str
) -> None:
    head = 'deployment = "tests"\n[pools.lab]\npassword_env = "NO_SUCH_PASSWORD"\n'
    Path(env["XENLAUNCH_POOLS"]).write_text(head + written)

    assert said in refused(env, "-P", "threads")


def test_a_redis_of_another_deployment_is_refused(
    make_stack: MakeStack, env: dict[str, str]
) -> None:
    make_stack().ledger.register("elsewhere", "generation", ["attic"])

    assert "launches of deployment 'elsewhere'" in refused(env, "-P", "threads")


@pytest.mark.parametrize(
    ("queue", "roles"),
    [
        (names.CONTROL_QUEUE, {"recover", "batches"}),
        (
            names.pool_queue("lab"),
            {f"{role}:lab" for role in ("dispatch", "begin", "watch", "guests", "sweep", "probe")},
        ),
    ],
)
def test_a_worker_of_some_queues_takes_their_roles_alone(
    make_stack: MakeStack, queue: str, roles: set[str]
) -> None:
    worker = make_stack().start_worker("-Q", queue)

    def taken() -> set[str]:
        lines = [line for line in worker.log().splitlines() if "Took the role" in line]
        return {line.rsplit(" ", 1)[1] for line in lines}

    assert wait_until(lambda: taken() if taken() >= roles else None, 10, "roles") == roles


def test_a_solo_worker_launches_too(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.start_worker("-P", "solo")

    assert stack.launch().state == "succeeded"
