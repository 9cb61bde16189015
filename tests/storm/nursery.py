"""A process that has imported all that a worker imports, and forks a worker when told to.

A worker that dies is replaced hundreds of times in a storm, and starting Python with Celery costs
two seconds of a core each time; a fork costs a tenth of one. What is forked is a worker like any
other: a process and a session of its own, which runs Celery's own command line and can be killed.

It reads one order a line, in JSON (``argv``, ``env``, ``log``), and answers with the process id.
It ends with its standard input, and Linux ends its workers with it.
"""

import ctypes
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from tests.support.paths import ROOT
from tests.support.waiting import wait_until

PR_SET_PDEATHSIG: Final = 1

OF_A_WORKER: Final = (
    "billiard.pool",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.worker",
    "celery.backends.redis",
    "celery.bin.celery",
    "celery.concurrency.thread",
    "celery.events",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "kombu.matcher",
    "kombu.pidbox",
    "kombu.transport.redis",
    "tests.storm.doomed_worker",
    "workers.celery",
    "workers.consumer",
)
"""What a worker imports, also what it imports late."""


class Worker:
    """A worker that came out of a nursery."""

    def __init__(self, name: str, pid: int, log_path: Path) -> None:
        self.name = name
        self.pid = pid
        self.log_path = log_path
        self.stopped = False
        self._end = os.pidfd_open(pid)

    @property
    def running(self) -> bool:
        try:
            signal.pidfd_send_signal(self._end, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def ready(self) -> bool:
        return " ready." in self.log()

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def signal(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._end, signum)

    def kill(self) -> None:
        """As a crash would; it is dead when this returns."""
        self.signal(signal.SIGKILL)
        wait_until(lambda: not self.running, 10, f"{self.name} is dead")

    def forget(self) -> None:
        os.close(self._end)


class Nursery:
    """Starts workers by forking; used as a context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.storm.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )

    def bear(self, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path) -> Worker:
        order = json.dumps({"argv": list(argv), "env": dict(env), "log": str(log)})
        with self._lock:
            orders, answers = self._pipes()
            orders.write(order + "\n")
            orders.flush()
            pid = int(answers.readline())
        return Worker(name, pid, log)

    def stop(self) -> None:
        """It takes its workers with it."""
        if self._process is not None:
            for pipe in self._pipes():
                pipe.close()
            self._process.wait(10)
            self._process = None

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


def main() -> None:
    _import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here asks how a worker ended
    mother = os.getpid()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(order, mother)
        print(child, flush=True)  # noqa: T201  the answer


def _import_all() -> None:
    for module in OF_A_WORKER:
        importlib.import_module(module)


def _become(order: Mapping[str, Any], mother: int) -> NoReturn:
    """Be a worker from here on: what is inherited and could be shared is made anew."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != mother:
            os._exit(1)
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _redirect(order["log"])
        os.environ.update(order["env"])
        random.seed()
        from tests.storm import doomed_worker

        code = doomed_worker.main(order["argv"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  it must not come back into the nursery's loop
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for target, source in ((0, nothing), (1, written), (2, written)):
        os.dup2(source, target)


if __name__ == "__main__":
    main()
