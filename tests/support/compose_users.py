"""Redis with the users that `compose/` ships, each with a password of its own."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import redis

from tests.support.paths import ROOT
from workers.child import Child
from workers.embedded import LOOPBACK, free_port

TESTER: Final = "user tester on >tester allkeys allchannels +@all\n"


class GuardedServer:
    """One server with `compose/users.acl`, and a user more: the test's own, who may do anything."""

    def __init__(self, folder: Path, binary: Path) -> None:
        self.secrets = folder / "secrets"
        for name in ("redis", "worker", "client", "flower", "simulator"):
            (self.secrets / name).mkdir(parents=True)
        make = [sys.executable, str(ROOT / "compose" / "make_secrets.py"), str(self.secrets)]
        subprocess.run(make, check=True)
        users = self.secrets / "redis" / "users.acl"
        users.write_text(users.read_text() + TESTER)
        self.port = free_port()
        words = ["--bind", LOOPBACK, "--port", str(self.port), "--dir", str(folder), "--save", ""]
        self.child = Child(
            "the guarded server",
            [binary, *words, "--aclfile", str(users)],
            log_path=folder / "guarded.log",
            ready=self._answers,
        )

    def env(self, role: str) -> dict[str, str]:
        """Where Redis is, for a process of this role: as `compose.yaml` says it."""
        return {
            "XENLAUNCH_REDIS_URL": f"redis://{role}@{LOOPBACK}:{self.port}/0",
            "XENLAUNCH_REDIS_PASSWORD_FILE": str(self.password_file(role)),
        }

    def password_file(self, role: str) -> Path:
        return self.secrets / role / "redis.password"

    def passwords(self) -> dict[str, str]:
        """Redis' passwords by user."""
        return {
            role: self.password_file(role).read_text() for role in ("worker", "client", "flower")
        }

    def connect(self, user: str | None) -> Any:
        """A connection as this user; None: nobody."""
        secret = None
        if user is not None:
            secret = "tester" if user == "tester" else self.password_file(user).read_text()
        return redis.Redis(
            LOOPBACK, self.port, username=user, password=secret, decode_responses=True
        )

    def denied(self) -> list[str]:
        """What anybody was refused since the start, in words."""
        with self.connect("tester") as client:
            return [
                f"{entry['username']}: {entry['context']} {entry['reason']} {entry['object']}"
                for entry in client.acl_log(count=100)
            ]

    def _answers(self) -> bool:
        """As the health check of `compose.yaml` asks."""
        try:
            with socket.create_connection((LOOPBACK, self.port), 1) as line:
                line.sendall(b"AUTH health any\r\nPING\r\n")
                return line.recv(64).startswith(b"+OK\r\n+PONG")
        except OSError:
            return False
