"""How long things take in the model: the pool's part by the simulator's figures, and ours."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

JITTER = 0.25
"""As the simulator's: a time is anything within so much of its mean."""


@dataclass(frozen=True)
class Times:
    """Mean seconds."""

    disk: float
    """VDI.clone: the SR works on nothing else meanwhile."""
    rows: float
    """What a clone takes after its disks."""
    calls: float
    """The calls between a clone and its VM's start, which keep nothing busy."""
    placement: float
    start: float
    more_disk: float
    """What a start takes for each disk but the first."""
    hear: float
    """Ours: from the end of a call in the pool to the script that frees its slot."""
    send: float
    """Ours: from that script to the next call's arrival in the pool."""
    wait: float = 0.0
    """How long a launch stays after its start, for its guest's address."""

    @classmethod
    def of(cls, figures: Mapping[str, float], hop: float, *, address: bool = False) -> "Times":
        """From the simulator's figures; ``hop`` is what we take between two calls of a launch."""
        records = 2 * figures["VBD.create"] + figures["VIF.create"] + 6 * figures["call.set"]
        guest = figures["guest.boot"] + figures["guest.address"]
        return cls(
            disk=figures["VDI.clone"],
            rows=figures["VM.clone rows"],
            calls=records,
            placement=figures["placement"],
            start=figures["VM.start"],
            more_disk=figures["VM.start per disk"],
            hear=hop / 2,
            send=hop / 2,
            wait=guest if address else 0.0,
        )


def exact(seconds: float) -> float:
    return seconds


def jittered(seed: int) -> Callable[[float], float]:
    """Times that vary about their means, the same each time that it is run."""
    uniform = random.Random(seed).uniform
    return lambda seconds: seconds * uniform(1 - JITTER, 1 + JITTER)
