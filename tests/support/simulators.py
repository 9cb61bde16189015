"""A simulated pool, as a process of its own: seen only as an operator sees it."""

import json
import os
import re
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.support.paths import ROOT
from workers.child import Child


class StartSimulator(Protocol):
    """Start a simulator; what is not said is the simulator's default."""

    def __call__(
        self, *options: str, time_scale: float = 0.0, hosts: int = 4, srs: int = 2
    ) -> "SimulatorProcess": ...


class SimulatorProcess:
    """One running simulator, and its control port."""

    username = "root"

    def __init__(self, log_path: Path, *options: str) -> None:
        # One of its own, so that a test can look for it anywhere.
        self.password = secrets.token_hex(12)
        self.settings: dict[str, int | str] = {}  # what the pools file says of it besides
        password_file = log_path.with_suffix(".password")
        password_file.write_text(self.password)
        options = ("--password-file", str(password_file), *options)
        self.child = Child(
            "the simulator",
            [sys.executable, "-m", "simulator", "--port", "0", "--control-port", "0", *options],
            log_path=log_path,
            ready=lambda: bool(self._address("listening") and self._address("control")),
            cwd=ROOT,
        )

    @property
    def url(self) -> str:
        """The address of the pool's master."""
        return self._known_address("listening")

    @property
    def addresses(self) -> list[str]:
        """The addresses of all members, where each listens at one of its own."""
        members: list[str] = re.findall(
            r"^host-\d+ on (http://\S+)$", self.child.log(), re.MULTILINE
        )
        return members or [self.url]

    @property
    def control_url(self) -> str:
        return self._known_address("control")

    def calls(self) -> list[dict[str, Any]]:
        """Every call that reached the pool, in order."""
        answer: list[dict[str, Any]] = self.control("GET", "/calls")
        return answer

    def faults(self, faults: object) -> Any:
        """Script what goes wrong from now on."""
        return self.control("POST", "/faults", faults)

    def state(self) -> dict[str, Any]:
        """The whole pool, object by object."""
        answer: dict[str, Any] = self.control("GET", "/state")
        return answer

    def put_state(self, state: object) -> Any:
        return self.control("PUT", "/state", state)

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask the control port; an answer that is no success is an error with its text."""
        connection = HTTPConnection(urlsplit(self.control_url).netloc, timeout=10)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read().decode()
        finally:
            connection.close()
        if response.status >= 300:
            raise AssertionError(f"{method} {path}: {response.status} {answer}")
        return json.loads(answer) if answer else None

    def stop(self) -> None:
        self.child.stop()

    def kill(self) -> None:
        self.child.kill()

    def _known_address(self, which: str) -> str:
        address = self._address(which)
        if address is None:
            raise self.child.failure(f"did not say where it is {which}")
        return address

    def _address(self, which: str) -> str | None:
        line = re.search(rf"^{which} on (http://\S+)$", self.child.log(), re.MULTILINE)
        return line and line[1]


@contextmanager
def hung(pool: SimulatorProcess) -> Iterator[None]:
    """The pool takes connections, for the kernel does, and answers nothing."""
    os.kill(pool.child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pool.child.pid, signal.SIGCONT)
