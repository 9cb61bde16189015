"""How long the acts of the pool take: all of it is in this file.

Each figure is a mean in seconds before `--time-scale`, and says what it rests on: `fact` (read in
XAPI's sources) or `assumed` (no table is published; chosen within the ranges people report).
Jitter comes from a seed. A latency that is set from outside is meant as it is, neither scaled nor
jittered, and so is the life of a task.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

JITTER: Final = 0.25
#: the event loop cannot wait for less with any sense
_SHORTEST: Final = 0.001


class Figure(NamedTuple):
    """Mean seconds, and what they rest on."""

    seconds: float
    basis: Literal["fact", "assumed"]
    scaled: bool = True


FIGURES: Final[Mapping[str, Figure]] = {
    "session.login_with_password": Figure(0.05, "assumed"),
    "session.refused": Figure(5.0, "fact"),  # by a directory; root is refused at once
    "call.get": Figure(0.002, "assumed"),
    "call.set": Figure(0.007, "assumed"),
    "placement": Figure(0.02, "assumed"),  # held under the one lock of the master
    "VDI.create": Figure(1.0, "assumed"),
    "VDI.clone": Figure(1.2, "assumed"),
    "VDI.copy per GiB": Figure(8.0, "assumed"),
    "VDI.snapshot": Figure(1.2, "assumed"),
    "VDI.resize": Figure(0.8, "assumed"),
    "VDI.destroy": Figure(1.0, "assumed"),
    "SR.create": Figure(5.0, "assumed"),  # its destruction too
    "SR.scan": Figure(1.0, "assumed"),
    "PBD.plug": Figure(0.5, "assumed"),
    "VM.clone rows": Figure(0.2, "assumed"),  # what a clone takes beside its disks
    "VM.provision": Figure(0.05, "assumed"),
    "VM.create": Figure(0.02, "assumed"),
    "VM.destroy": Figure(0.05, "assumed"),
    "VM.start": Figure(5.0, "assumed"),  # start and start_on, on the host
    "VM.start per disk": Figure(1.0, "assumed"),  # beyond the first
    "VM.suspend": Figure(8.0, "assumed"),
    "VM.resume": Figure(8.0, "assumed"),
    "VM.pool_migrate": Figure(15.0, "assumed"),
    "VM.pause": Figure(0.3, "assumed"),
    "VM.hard_shutdown": Figure(3.0, "assumed"),
    "VM.clean_shutdown": Figure(12.0, "assumed"),
    "VM.reboot": Figure(5.0, "assumed"),
    "VBD.create": Figure(0.015, "assumed"),
    "VBD.plug": Figure(1.0, "assumed"),
    "VIF.create": Figure(0.015, "assumed"),
    "VIF.plug": Figure(1.0, "assumed"),
    "network.create": Figure(0.2, "assumed"),
    "network.attach": Figure(0.3, "assumed"),
    "PIF.plug": Figure(0.3, "assumed"),
    "VLAN.create": Figure(0.5, "assumed"),  # on each host; its destruction too
    "tunnel.create": Figure(0.5, "assumed"),
    "Bond.create": Figure(1.0, "assumed"),
    "guest.boot": Figure(15.0, "assumed"),  # from VM.start's end to the guest's first word
    "guest.address": Figure(4.0, "assumed"),  # from there to its first address
    # how long an ended sub-task stays until xapi has read and destroyed it: two looks at the events
    "subtask.read": Figure(0.1, "assumed", scaled=False),
    "retry.least": Figure(1.0, "fact"),  # waits of a call that met another operation
    "retry.most": Figure(20.0, "fact"),
    "retry.quick": Figure(2.0, "fact"),  # the same, for the devices of a VM that starts
}


class Latency:
    """The figures, scaled, with jitter from a seed; any of them can be set."""

    def __init__(self, scale: float = 1.0, seed: int = 0) -> None:
        self.scale = scale
        self._chance = random.Random(seed)
        self._set: dict[str, float] = {}

    def of(self, name: str) -> float:
        """Seconds that the act takes this time."""
        if name in self._set:
            return self._set[name]
        figure = FIGURES[name]
        if not figure.scaled:
            return figure.seconds
        if not self.scale:
            return 0.0
        return figure.seconds * self.scale * self._chance.uniform(1 - JITTER, 1 + JITTER)

    def of_call(self, verb: str, *, changes: bool) -> float:
        """Seconds of the call itself, for the small ones; what is too short to wait is nothing."""
        if verb.startswith(("get_", "set_", "add_", "remove_")):
            seconds = self.of("call.set" if changes else "call.get")
            return seconds if seconds >= _SHORTEST else 0.0
        return 0.0

    def uniform(self, least: str, most: str) -> float:
        return self._chance.uniform(self.of(least), self.of(most))

    def set(self, figures: Mapping[str, Any]) -> None:
        """Set figures to seconds as they are; None gives a figure back to the table."""
        for name, seconds in read(figures).items():
            if seconds is None:
                self._set.pop(name, None)
            else:
                self._set[name] = seconds

    def current(self) -> dict[str, float]:
        return {
            name: self._set.get(name, figure.seconds * (self.scale if figure.scaled else 1))
            for name, figure in FIGURES.items()
        }


def is_seconds(given: Any) -> bool:
    """Whether it is a number from 0 that has an end."""
    right = isinstance(given, (int, float)) and not isinstance(given, bool)
    return right and math.isfinite(given) and given >= 0


def read(given: Any) -> dict[str, float | None]:
    """Check figures as somebody sets them: all of them, before any is set."""
    if not isinstance(given, Mapping):
        raise TypeError("latencies are an object: name, then seconds")
    for name, seconds in given.items():
        if name not in FIGURES:
            raise ValueError(f"no latency is called {name!r}; there are: {', '.join(FIGURES)}")
        if seconds is not None and not is_seconds(seconds):
            raise ValueError(f"latency {name!r} must be seconds from 0, not {seconds!r}")
    return {name: seconds if seconds is None else float(seconds) for name, seconds in given.items()}
