"""Every task name on the wire has a task behind it, and every task has a name."""

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from xenlaunch import names


def test_every_name_has_a_task_and_every_task_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = tmp_path / "pools.toml"
    pools.write_text(
        'deployment = "house"\n[pools.lab]\naddresses = ["https://a"]\npassword_env = "NONE"\n'
    )
    monkeypatch.setenv("XENLAUNCH_POOLS", str(pools))
    monkeypatch.setenv("XENLAUNCH_REDIS_URL", "redis://127.0.0.1:1/0")
    from workers.celery import app

    app.loader.import_default_modules()
    app.finalize()
    tasks = {name for name in app.tasks if name.startswith("xenlaunch.")}

    said = {
        value
        for key, value in vars(names).items()
        if key.startswith("TASK_") and isinstance(value, str)
    }
    assert tasks == said


def test_a_name_is_written_once() -> None:
    """Everywhere else it is the constant."""
    written = re.compile(r"[\"']xenlaunch\.(\w+)[\"']")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for room in ("xenlaunch", "scheduler", "tasks", "workers")
        for path in sorted((ROOT / room).rglob("*.py"))
        for match in written.finditer(path.read_text())
        if path.name != "names.py" and f"xenlaunch.{match[1]}" in vars(names).values()
    ]

    assert found == []
