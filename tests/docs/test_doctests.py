"""The examples in docstrings are true."""

import doctest
from importlib import import_module

import pytest
from _pytest.mark import ParameterSet

from tests.support.paths import ROOT

ROOMS = ("xenlaunch", "tasks", "scheduler", "workers", "simulator", "tools")
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
    if ">>>" in path.read_text()
]
FALSE_YET = {"xenlaunch.ledger": "the id in launch_id's example is not the one that it makes"}


def case(name: str) -> ParameterSet:
    reason = FALSE_YET.get(name)
    marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", [case(name) for name in WITH_EXAMPLES])
def test_examples_are_true(name: str) -> None:
    module = import_module(name)
    ran = doctest.testmod(module, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)

    assert ran.failed == 0
    assert ran.attempted > 0
