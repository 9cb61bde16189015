"""The commands of the docs say what the docs say that they say, but for figures and uuids."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.shell import Shell
from tests.support.paths import ROOT
from tests.support.simulators import StartSimulator
from workers.localstack import LocalStack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """What `make up` starts, without Flower."""
    folder = tmp_path / "stack"
    folder.mkdir(mode=0o700)
    stack = LocalStack(folder, say=lambda _: None, time_scale=0.4)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def test_the_readme_is_true(stack: LocalStack, tmp_path: Path) -> None:
    shell = Shell(tmp_path / "shell", stack.env, {})

    assert list(shell.differences(ROOT / "README.md")) == []


def test_the_simulators_page_is_true(simulator: StartSimulator, tmp_path: Path) -> None:
    pool = simulator()
    shell = Shell(tmp_path / "shell", {}, {"http://127.0.0.1:8081": pool.control_url})

    assert list(shell.differences(ROOT / "docs" / "simulator.md")) == []
