"""The command line, run in this process; Redis is real, and no worker runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.embedded import EmbeddedServer
from xenlaunch import cli
from xenlaunch.ledger import Ledger
from xenlaunch.store import Store


@pytest.fixture
def ledger(own_redis: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A Redis with which a worker has registered, and which the command line finds."""
    monkeypatch.setenv("XENLAUNCH_REDIS_URL", own_redis.url)
    store = Store(own_redis.url)
    ledger = Ledger(store)
    ledger.register("lab-east", "g1", ["lab"])
    yield ledger
    store.redis.connection_pool.disconnect()


@pytest.fixture
def web(tmp_path: Path) -> str:
    path = tmp_path / "web.yaml"
    path.write_text("name: web\ntemplate: debian-12\n")
    return str(path)


@pytest.fixture
def xenlaunch(capsys: pytest.CaptureFixture[str]) -> "Shell":
    return Shell(capsys)


class Shell:
    """Runs command lines; what was said last is in ``out`` and ``err``."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        code = cli.run(words)
        self.out, self.err = self.capsys.readouterr()
        return code

    @property
    def json(self) -> Any:
        assert self.out.count("\n") == 1, "one line"
        return json.loads(self.out)
