"""The declarations are those that were held against XAPI's datamodel."""

from __future__ import annotations

import pytest

from simulator.missing import MISSING
from simulator.schema.declare import CLASSES
from tests.support.frozen import declared, frozen


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_as_it_was_compared(name: str) -> None:
    assert declared()["classes"][name] == frozen()["classes"][name]


def test_the_classes_enums_and_relations_are_as_they_were_compared() -> None:
    now, then = declared(), frozen()

    assert list(now["classes"]) == list(then["classes"])
    assert (now["enums"], now["relations"]) == (then["enums"], then["relations"])


def test_a_custom_call_is_as_it_was_compared() -> None:
    """One that came since is compared by make conformance, and frozen after it."""
    now, then = declared()["custom"], frozen()["custom"]

    assert {name: digest for name, digest in now.items() if then.get(name, digest) != digest} == {}
    assert not MISSING & now.keys()
    assert then.keys() <= now.keys()
