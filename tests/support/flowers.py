"""Flower, as a process of its own, and what a browser or a program would ask of it."""

import json
import secrets
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from tests.support.paths import ROOT
from tests.support.waiting import wait_until
from workers.child import Child
from workers.embedded import LOOPBACK, free_port
from workers.flowerpage.options import USER

API: Final = "/launches/api"
Answer = tuple[int, str, Mapping[str, str]]


class FlowerProcess:
    """One `celery -A workers flower`, with a password of its own."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.password = secrets.token_hex(12)
        password_file = folder / "flower.password"
        password_file.write_text(self.password)
        self.port = free_port()
        settings = {
            "XENLAUNCH_FLOWER_PASSWORD_FILE": str(password_file),
            "FLOWER_DB": str(folder / "tasks"),
        }
        self.child = Child(
            "Flower",
            [sys.executable, "-m", "celery", "-A", "workers", "flower", f"--port={self.port}"],
            log_path=folder / "flower.log",
            ready=self._is_healthy,
            env={**settings, **env},
            cwd=ROOT,
        )

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def ask(
        self,
        path: str,
        method: str = "GET",
        password: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Status, body and headers of an answer; the password is Flower's own, or this, or none."""
        connection = HTTPConnection(LOOPBACK, self.port, timeout=10)
        known = {} if password is None else {"Authorization": self.basic(password)}
        try:
            connection.request(method, path, headers={**known, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()

    def basic(self, password: str = "") -> str:
        """What the header says of who asks."""
        token = b64encode(f"{USER}:{password or self.password}".encode()).decode()
        return f"Basic {token}"

    def read(self, path: str) -> Any:
        """What an address answers in JSON; another answer fails the test."""
        status, body, _ = self.ask(path)
        assert status == 200, f"{path}: {status} {body}"
        return json.loads(body)

    def ask_everything(self, launches: Sequence[str], tasks: Sequence[str]) -> dict[str, Answer]:
        """What every page and every address that is read answers, of these launches and tasks."""
        (worker,) = wait_until(
            lambda: self.read("/api/workers?refresh=1"), 20, "Flower has asked the worker"
        )
        paths = [
            "/", "/workers", f"/worker/{worker}", "/tasks", "/broker", "/metrics", "/healthcheck",
            "/launches", "/launches/static/page.js", f"{API}/overview", "/api/workers?refresh=1",
            "/api/tasks?limit=1000", "/api/task/types", "/api/queues/length",
            *(f"/launches/{launch}" for launch in launches),
            *(f"{API}/launch/{launch}" for launch in launches),
            *(f"/task/{task}" for task in tasks),
            *(f"/api/task/{what}/{task}" for task in tasks for what in ("info", "result")),
        ]  # fmt: skip
        return {path: self.ask(path) for path in paths}

    def await_events(self) -> None:
        """Wait until it hears a worker: what is told before that, it never knows."""
        wait_until(lambda: self.read("/workers?json=1")["data"], 20, "Flower hears the worker")

    def stop(self) -> None:
        self.child.stop(grace=10)

    def _is_healthy(self) -> bool:
        try:
            return self.ask("/healthcheck", password=None)[0] == 200
        except (OSError, HTTPException):
            return False


@contextmanager
def run_flower(url: str, folder: Path) -> Iterator[FlowerProcess]:
    """Flower on a test's Redis, with the pools file that its workers have."""
    env = {"XENLAUNCH_POOLS": str(folder / "pools.toml"), "XENLAUNCH_REDIS_URL": url}
    process = FlowerProcess(folder, env)
    process.child.start(timeout=60)
    try:
        yield process
    finally:
        process.stop()


def holding(secrets: Mapping[str, str], texts: Mapping[str, object]) -> list[tuple[str, str]]:
    """Which of these texts and answers hold which of these secrets."""
    return [
        (place, whose)
        for place, text in texts.items()
        for whose, secret in secrets.items()
        if secret in str(text)
    ]
