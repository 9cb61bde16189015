"""Says at the end of ``make conformance`` how much was compared."""

import os

import pytest

from tests.support.frozen import counts


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("XENLAUNCH_REFERENCE"):
        terminalreporter.write_line(f"compared: {counts()}")
