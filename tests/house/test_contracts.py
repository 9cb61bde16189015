"""Each contract and each ban finds what is planted against it."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT, tracked

CONTRACTS = configparser.ConfigParser()
CONTRACTS.read(ROOT / ".importlinter")
ROOMS = CONTRACTS["importlinter"]["root_packages"].split()

NOT_ROOMS = {"tests", "bench", "docs", "compose", "tools"}
"""Top-level folders that may hold Python and that nothing imports."""

PLANTED = [
    ("stair", "tasks", "import scheduler"),
    ("stair", "xenlaunch", "import tasks"),
    ("stair", "scheduler", "import workers"),
    ("simulator-alone", "simulator", "import xenlaunch.names"),
    ("simulator-unknown", "workers", "import simulator"),
    ("celery-doors", "tasks", "import celery"),
    ("celery-doors", "scheduler", "from kombu import Queue"),
    ("celery-doors", "xenlaunch", "import celery"),
    ("pool-doors", "workers", "import xenlaunch.xapi"),
    ("pool-doors", "xenlaunch", "import xenlaunch.xapi"),
]

BANNED = [
    ("scheduler/planted.py", "import os\n\nHOME = os.environ"),
    ("workers/planted.py", 'import os\n\nHOME = os.getenv("HOME")'),
    ("workers/planted.py", 'from os import environ\n\nHOME = environ["HOME"]'),
    ("xenlaunch/planted.py", "import urllib3\n\nHTTP = urllib3.PoolManager()"),
    ("xenlaunch/xapi/planted.py", "from urllib3 import PoolManager\n\nHTTP = PoolManager()"),
    ("tests/test_planted.py", "import time\n\ntime.sleep(1)"),
    ("tests/test_planted.py", "from time import sleep\n\nsleep(1)"),
]

DOORS = [
    ("workers/settings.py", "import os\n\nHOME = os.environ"),
    ("xenlaunch/shell.py", "import os\n\nHOME = os.environ"),
    ("xenlaunch/xapi/transport.py", "import urllib3\n\nHTTP = urllib3.PoolManager()"),
    ("tests/test_planted.py", "import os\n\nHOME = os.environ"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The checkout's Python and its rules, to be broken."""
    for path in tracked("*.py", "*.toml", ".importlinter"):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return tmp_path


def plant(copy: Path, name: str, code: str) -> None:
    path = copy / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code + "\n")


def lint_imports(copy: Path) -> str:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=copy,
        env={"PYTHONPATH": str(copy), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def banned(copy: Path, name: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", name],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


@pytest.mark.parametrize(("contract", "room", "code"), PLANTED)
def test_a_contract_finds_what_breaks_it(copy: Path, contract: str, room: str, code: str) -> None:
    plant(copy, f"{room}/planted.py", code)

    said = lint_imports(copy)

    name = CONTRACTS[f"importlinter:contract:{contract}"]["name"]
    assert f"{name} BROKEN" in said
    assert f"{room}.planted" in said


def test_every_contract_has_a_violation_that_is_planted() -> None:
    contracts = {name.rpartition(":")[2] for name in CONTRACTS.sections() if ":contract:" in name}

    assert {contract for contract, _, _ in PLANTED} == contracts


@pytest.mark.parametrize(("name", "code"), BANNED)
def test_a_ban_finds_what_breaks_it(copy: Path, name: str, code: str) -> None:
    plant(copy, name, code)

    assert "TID251" in banned(copy, name)


@pytest.mark.parametrize(("name", "code"), DOORS)
def test_a_door_of_a_ban_is_open(copy: Path, name: str, code: str) -> None:
    plant(copy, name, code)

    assert "All checks passed!" in banned(copy, name)


def test_every_room_is_under_contract() -> None:
    """What `exhaustive` says inside a package, said of the rooms themselves."""
    python = {path.relative_to(ROOT).parts for path in tracked("*.py")}
    folders = {parts[0] for parts in python if len(parts) > 1}

    assert folders - NOT_ROOMS == set(ROOMS)
    stair = CONTRACTS["importlinter:contract:stair"]["layers"].split()
    assert {*stair, "simulator"} == set(ROOMS)
