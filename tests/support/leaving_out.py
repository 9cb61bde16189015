"""What a run leaves out, and why: a pytest plugin.

A test marked ``full("redis-server")`` needs a program that no Python wheel brings. It is left out
unless FULL=1; then nothing may be left out, and what is missing is an error. So is one that is
marked ``long``, which takes a minute or more. The folder ``tests/peers`` is no part of the suite:
it has a target and an environment of its own.
"""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

FULL = os.environ.get("FULL", "") not in {"", "0"}
NO_REFERENCE = "XENLAUNCH_REFERENCE"
"""In the reason of a test that reads XAPI's published data, which nobody can install: those are
`make conformance`, and run with the suite where the data lies beside the checkout."""

OWN_TARGETS = {"peers": "PEERS"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the folders with a target of their own to it."""
    asked_by = OWN_TARGETS.get(collection_path.name)
    if asked_by and collection_path.parent == config.rootpath / "tests":
        return not os.environ.get(asked_by)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("long") and not FULL:
            item.add_marker(pytest.mark.skip("takes minutes: make test FULL=1"))
        needs = [need for mark in item.iter_markers("full") for need in mark.args]
        missing = [need for need in needs if shutil.which(need) is None]
        if needs and not FULL:
            item.add_marker(pytest.mark.skip(f"needs {' and '.join(needs)}: make test FULL=1"))
        elif missing:
            # An error, not a skip: with FULL=1 nothing is left out.
            item.add_marker(pytest.mark.usefixtures("missing_program"))


@pytest.fixture
def missing_program(request: pytest.FixtureRequest) -> None:
    needs = [need for mark in request.node.iter_markers("full") for need in mark.args]
    pytest.fail(f"FULL=1 leaves nothing out, but one of these is not installed: {needs}")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was left out."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    said = "; ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items()))
    terminalreporter.write_line(f"left out: {said or 'nothing'}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With FULL=1, a run that left out what could be installed did not pass."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if FULL and [report for report in skipped if NO_REFERENCE not in str(report.longrepr)]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
