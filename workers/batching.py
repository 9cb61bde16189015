"""The role that decides about batches, by their policies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scheduler.batches import look_at_batches
from workers.duties import Duties
from xenlaunch.rulings import NUDGE

BATCHES_EVERY: Final = 1.0


@dataclass
class Batching:
    """The role of looking at batches that have news."""

    duties: Duties
    name: str = "batches"

    def let_go(self) -> None:
        """Nothing is remembered."""

    def turn(self, held: Callable[[], bool]) -> None:
        self.duties.ledger.await_nudge(NUDGE, BATCHES_EVERY)
        if held():
            look_at_batches(self.duties.ledger)
