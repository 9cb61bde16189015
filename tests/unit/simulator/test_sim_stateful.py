"""Random calls, side by side, hold what must always hold; and where it did not, that is seen.

Hypothesis draws the calls; a sequence that breaks something is printed, and with Phase.shrink in
the settings a short one. The second test takes one piece out of the simulator at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from simulator import db, sessions, tasks
from simulator.behaviour import vbd, vm_config, vm_state
from simulator.behaviour.vm_clone import Duplicate
from simulator.locks import Locks
from simulator.memory import Memory
from simulator.schema.declare import FOLLOWS
from tests.support.random_clients import RandomClients
from tests.support.steady import STEADY

SETTINGS: Final = settings(
    max_examples=60,
    stateful_step_count=40,
    derandomize=True,  # its time and its verdict are the code's alone
    backend=STEADY,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
#: it reckons for half a minute where nothing else does
pytestmark = pytest.mark.timeout(400)

TestRandomClients: Callable[..., Any] = RandomClients.TestCase
RandomClients.TestCase.settings = SETTINGS


async def _undo_nothing(_self: Duplicate) -> None:
    """Leave all that was made."""


def _do_nothing(*_: Any, **__: Any) -> None:
    """Check nothing, note nothing."""


def _no_rows(*_: Any) -> list[Any]:
    return []


def _half_followed(cls: str, field: str) -> dict[tuple[str, str], tuple[str, str]]:
    return {known: other for known, other in FOLLOWS.items() if known != (cls, field)}


_follow = db.Database._follow


def _follow_in_silence(self: db.Database, *args: Any, **how: Any) -> None:
    """Write the other side of a relation, of which no event tells."""
    vars(self)["touch"] = _do_nothing
    try:
        _follow(self, *args, **how)
    finally:
        del vars(self)["touch"]


#: what is taken out of the simulator, and what the test has to say then
TAKEN_OUT: Final[dict[str, tuple[object, str, Any, str]]] = {
    "the undo of a clone": (Duplicate, "undo", _undo_nothing, "is there|are nobody's|for ever"),
    "the memory of a host": (vm_state, "_assert_memory", _do_nothing, "is oversold"),
    "the memory of a VM that grows": (vm_config, "_assert_room", _do_nothing, "is oversold"),
    "the memory of what a host builds": (Memory, "claim", _do_nothing, "is oversold"),
    "a disk's other users": (vbd, "_other_writers", _no_rows, "of which one writes"),
    "the other side of VBD.VDI":
        (db, "FOLLOWS", _half_followed("VBD", "VDI"), "do not agree"),
    "the other side of VM.resident_on":
        (db, "FOLLOWS", _half_followed("VM", "resident_on"), "do not agree"),
    "the cap of tasks": (tasks, "YOUNG_TASKS_MAX", 10**6, "too many tasks"),
    "the cap of nameless sessions": (sessions, "ANONYMOUS_MAX", 10**6, "too many sessions"),
    "the cap of an originator": (sessions, "PER_ORIGINATOR_MAX", 10**6, "too many sessions"),
    "the events of deletions": (db.Table, "note_deletion", _do_nothing, "do not replay"),
    "the events of a relation's other side":
        (db.Database, "_follow", _follow_in_silence, "do not replay"),
    "the end of a mark": (Locks, "_release", _do_nothing, "for ever|do not end"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAKEN_OUT)
def test_the_random_clients_see_that_something_is_missing(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, name, instead, said = TAKEN_OUT[what]
    monkeypatch.setattr(where, name, instead)

    with pytest.raises(AssertionError, match=said):
        run_state_machine_as_test(RandomClients, settings=SETTINGS)
