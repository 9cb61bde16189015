"""The hands of a sweeper: it takes its turn for a slot, and leaves nothing held behind it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from scheduler.removing import Sweep, SweepingHands
from scheduler.sweep import Trace
from xenlaunch.errors import Busy


def test_who_gives_up_its_turn_stands_in_the_line_no_more() -> None:
    """Whoever frees the slot would give it to nobody."""
    done: list[str] = []

    def borrow(what: str) -> bool:
        done.append(f"borrow {what}")
        return False

    sweep: Any = SimpleNamespace(
        reach=SimpleNamespace(session=None),
        borrow=borrow,
        held=lambda: False,
        give_back=lambda: done.append("give back"),
    )
    hands = SweepingHands(cast("Sweep", sweep), Trace("VDI", "OpaqueRef:vdi", "u-vdi", "l-1"))

    with pytest.raises(Busy, match="turn"):
        hands.run("disk", "VDI.destroy", what="it to go", seconds=1, on=["sr:1"])
    assert done == ["borrow sr:1", "give back"]
