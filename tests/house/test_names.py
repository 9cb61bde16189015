"""Every task name on the wire has a task behind it, and every task has a name."""

import re

from tests.support.paths import ROOT
from xenlaunch import names


def test_every_name_has_a_task_and_every_task_a_name() -> None:
    from workers.celery import app

    app.loader.import_default_modules()
    app.finalize()
    tasks = {name for name in app.tasks if name.startswith("xenlaunch.")}

    said = {
        value for key, value in vars(names).items() if key.startswith("TASK_") and key.isupper()
    }
    said = {value for value in said if isinstance(value, str)}
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
