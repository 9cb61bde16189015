"""A record that is read when the answer is written, and encoded once a generation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.db import Row


class Snapshot:
    """Stands for a row's record in an answer."""

    __slots__ = ("row",)

    def __init__(self, row: Row) -> None:
        self.row = row
