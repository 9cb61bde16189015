"""A child process that is never left behind.

It leads a session of its own, so that Ctrl-C reaches the one who started it and nobody else; it
dies with its parent (``lifeline.py``); stopping it takes all that it started, in bounded time.

Linux ties a child's life to the *thread* that started it: start children from a thread that
lives as long as they shall.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from xenlaunch.errors import XenlaunchError

LIFELINE = Path(__file__).with_name("lifeline.py")
LOOK_EVERY = 0.02
LOG_TAIL = 12


class ChildFailed(XenlaunchError):
    """A child process ended, or was not ready in time."""


class Child:
    """One program under supervision; what it prints goes to its log.

    ``env`` is added to the environment that is there.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log_path: Path,
        ready: Callable[[], bool] = lambda: True,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.argv = [str(word) for word in argv]
        self.log_path = log_path
        self.ready = ready
        self.env = dict(env or {})
        self.cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """The program's own process id: the lifeline becomes it, and does not stay above it."""
        if self._process is None:
            raise ChildFailed(f"{self.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def start(self, timeout: float = 20.0) -> Self:
        """Start it and return when it is ready."""
        self.spawn()
        try:
            self.wait_until_ready(timeout)
        except BaseException:  # Ctrl-C too: nobody else knows of it yet
            self.kill()
            raise
        return self

    def spawn(self) -> None:
        """Start it and return at once, for a caller who starts many and then waits for all."""
        if self.running:
            raise ChildFailed(f"{self.name} is running already")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LIFELINE), str(os.getpid()), *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env={**os.environ, **self.env},  # noqa: TID251  passed on, not read
                start_new_session=True,
            )

    def stop(self, grace: float = 10.0) -> int | None:
        """Ask it to end, end it after the grace, and return its exit code."""
        if self._process is None:
            return None
        if self.running:
            self._signal_group(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        return self.kill()

    def kill(self) -> int | None:
        """End it and all that it started, without asking."""
        if self._process is None:
            return None
        self._signal_group(signal.SIGKILL)
        return self._process.wait()

    def log(self) -> str:
        """What it has printed since it was last started."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(self._log_start)
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def failure(self, what: str) -> ChildFailed:
        """An error that says what happened and shows the end of the log."""
        tail = "\n".join(self.log().splitlines()[-LOG_TAIL:]) or "(it printed nothing)"
        return ChildFailed(f"{self.name} {what}:\n{tail}")

    def wait_until_ready(self, timeout: float = 20.0) -> None:
        """Return when it is ready; raise, with the end of its log, when it is not in time."""
        deadline = time.monotonic() + timeout
        while True:
            # Dead first: another program may answer in its place.
            if not self.running:
                raise self.failure(f"ended with exit code {self.returncode} before it was ready")
            if self.ready():
                return
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {timeout:g} s")
            time.sleep(LOOK_EVERY)

    def _signal_group(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signum)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
