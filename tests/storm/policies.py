"""Batches of which so many must come up, or may fail: how their launches may end, and whether they
kept to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.storm.rig import Rig
from xenlaunch import BatchPolicy, states
from xenlaunch.batches import ANYHOW
from xenlaunch.model import LaunchRequest
from xenlaunch.record import Record

POLICIES: Final = (ANYHOW, BatchPolicy(all_or_nothing=True), BatchPolicy(tolerate=0))


@dataclass
class Batches:
    """What batches were asked for, and which of them something is still to happen to."""

    rig: Rig
    chance: Random
    asked: dict[tuple[str, ...], BatchPolicy] = field(default_factory=dict)
    going_on: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def choose(self, launches: Sequence[str]) -> BatchPolicy:
        """Decide how much of these must come up, and remember it."""
        policy = self.chance.choice(POLICIES)
        self.asked[tuple(launches)] = policy
        return policy

    def submit(self, requests: Sequence[LaunchRequest], token: str, policy: BatchPolicy) -> None:
        batch = self.rig.client.submit_batch(requests, token=token, policy=policy)
        self.going_on[batch.id] = batch.launches

    def ended_now(self) -> set[str]:
        """The launches of the batches to which nothing more will happen by itself."""
        over = [one for one in self.going_on if self.rig.client.batch_status(one).has_ended]
        return {launch for one in over for launch in self.going_on.pop(one)}

    def wrong(self, records: Mapping[str, Record]) -> Iterator[str]:
        """Batches that are neither whole nor gone, and had to be one of both."""
        for launches, policy in self.asked.items():
            known = [one for one in launches if one in records]
            up = [one for one in known if records[one].state == states.SUCCEEDED]
            if up and len(up) < policy.least(len(launches)):
                yield f"of {', '.join(launches)}, of which all must come up, only {up} are"


def ends_of(policy: BatchPolicy) -> frozenset[str]:
    """How a launch may end for its batch's sake."""
    if policy.all_or_nothing:
        return frozenset({states.CANCELLED, states.DESTROYED})
    return frozenset({states.CANCELLED} if policy.tolerate is not None else ())
