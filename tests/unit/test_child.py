"""Children are never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import wait_until
from workers.child import Child, ChildFailed

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""
PARENT = """
import time
from pathlib import Path
from workers.child import Child
child = Child("nap", ["sleep", "60"], log_path=Path({log!r})).start()
print(child.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_child_leads_a_session_of_its_own(tmp_path: Path) -> None:
    with Child("nap", ["sleep", "60"], log_path=tmp_path / "log") as child:
        assert os.getsid(child.pid) == child.pid
    assert not child.running


def test_stopping_takes_what_the_child_started(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "sleep 60 & echo $!; wait"
    with Child("shell", ["sh", "-c", script], log_path=log, ready=lambda: log.stat().st_size > 0):
        grandchild = int(log.read_text())
    wait_until(lambda: not alive(grandchild), 5, "the grandchild is gone")


def test_a_child_that_is_deaf_to_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    child = Child("deaf", [sys.executable, "-c", DEAF], log_path=tmp_path / "log")
    child.ready = lambda: "up" in child.log()
    child.start()
    assert child.stop(grace=0.1) == -signal.SIGKILL


def test_a_child_that_ends_too_early_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    child = Child(
        "short", ["sh", "-c", "echo alas; exit 3"], log_path=tmp_path / "log", ready=lambda: False
    )
    with pytest.raises(ChildFailed, match=r"short ended with exit code 3.*\nalas"):
        child.start()


def test_a_child_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    child = Child("slow", ["sleep", "60"], log_path=tmp_path / "log", ready=lambda: False)
    with pytest.raises(ChildFailed, match="was not ready within"):
        child.start(timeout=0.1)
    assert not child.running


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    child = Child("none", ["no-such-program"], log_path=tmp_path / "log", ready=lambda: False)
    with pytest.raises(ChildFailed, match="cannot start no-such-program"):
        child.start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent's life")
def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = PARENT.format(log=str(tmp_path / "log"))
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
    wait_until(lambda: not alive(child), 5, "the child is gone too")
