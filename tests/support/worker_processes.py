"""Celery workers as processes of their own, which can be killed as real ones are."""

import itertools
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.support.paths import ROOT
from tests.support.simulators import SimulatorProcess
from workers.child import Child

_numbers = itertools.count(1)


class StartWorker(Protocol):
    """Start a worker that serves these pools, by name; it is ready when this returns."""

    def __call__(
        self,
        pools: Mapping[str, SimulatorProcess],
        *options: str,
        concurrency: int = 8,
        env: Mapping[str, str] | None = None,
        top: Mapping[str, str | float] | None = None,
    ) -> "WorkerProcess": ...


class WorkerProcess:
    """One `celery -A workers worker`."""

    def __init__(
        self,
        log_path: Path,
        *options: str,
        concurrency: int,
        env: Mapping[str, str],
    ) -> None:
        self.name = f"w{next(_numbers)}"
        # Mingle asks other workers for what we do not use, and waits a second for their answers.
        program = "tests.storm.doomed_worker" if "STORM_POINTS" in env else "celery"
        worker = ["-m", program, "-A", "workers", "worker", "-P", "threads", "-l", "INFO"]
        worker += ["--without-mingle", "--without-gossip"]
        self.child = Child(
            f"worker {self.name}",
            [sys.executable, *worker, "-c", str(concurrency), "-n", f"{self.name}@%h", *options],
            log_path=log_path,
            ready=lambda: " ready." in self.child.log(),
            env=env,
            cwd=ROOT,
        )

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def running(self) -> bool:
        return self.child.running

    def has_died(self) -> bool:
        return not self.running

    def log(self) -> str:
        return self.child.log()

    def stop(self) -> None:
        """Warm: what it runs comes to its end."""
        self.child.stop(grace=20)

    def kill(self) -> None:
        """As a crash would."""
        self.child.kill()


def write_pools(
    folder: Path,
    pools: Mapping[str, SimulatorProcess],
    top: Mapping[str, str | float] | None = None,
) -> Path:
    """Write a pools file, with its password files, and return its path."""
    said = {"deployment": "tests", **(top or {})}
    lines = [f"{name} = {json.dumps(value)}" for name, value in said.items()]
    for name, simulator in pools.items():
        (folder / f"{name}.password").write_text(simulator.password)
        lines += [
            f"[pools.{name}]",
            f"addresses = {json.dumps(simulator.addresses)}",
            f'username = "{simulator.username}"',
            f'password_file = "{name}.password"',
            "allow_http = true",
            *(f"{name} = {value}" for name, value in simulator.settings.items()),
        ]
    path = folder / (f"pools-{said['deployment']}.toml" if top else "pools.toml")
    path.write_text("\n".join(lines) + "\n")
    return path
