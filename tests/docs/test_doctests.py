"""The examples in docstrings are true."""

import doctest
from importlib import import_module

import pytest

from tests.support.paths import ROOT

ROOMS = ("xenlaunch", "tasks", "scheduler", "workers", "simulator", "tools", "bench", "tests/storm")
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
    if ">>>" in path.read_text()
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name: str) -> None:
    module = import_module(name)
    ran = doctest.testmod(module, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)

    assert ran.failed == 0
    assert ran.attempted > 0
