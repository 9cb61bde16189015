"""What a request says of the VMs that it belongs together with."""

from typing import Final, Literal

from pydantic import StrictBool

from xenlaunch.fields import Label
from xenlaunch.frozen import Frozen

APART: Final = "apart"
TOGETHER: Final = "together"


class Group(Frozen):
    """VMs of one pool that are kept on one host, or each on another; ``mark`` names them all."""

    name: Label
    keep: Literal["together", "apart"]
    best_effort: StrictBool = False

    @property
    def mark(self) -> str:
        """The group as one word: what it keeps belongs to it."""
        return f"{self.keep} {self.name}"
