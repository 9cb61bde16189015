"""A batch without an end: as launches end, others are submitted, so that so many are in flight."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any, Final

from tests.storm.checker import Expected
from tests.storm.lives import BY_NAME, RICH, SMALL, Life
from tests.storm.policies import Batches, ends_of
from tests.storm.rig import DEPLOYMENT, Rig
from xenlaunch import LaunchClient
from xenlaunch.errors import StoreUnreachable, SubmitUnknown
from xenlaunch.ledger import launch_id
from xenlaunch.model import LaunchRequest
from xenlaunch.rulings import CANCELLED_BY_OWNER

APART: Final = {"group": {"name": "db", "keep": "apart"}, "start_within": 20}
"""There are few hosts: where each has one, the next waits, and not for ever."""
TOGETHER: Final = {"group": {"name": "web", "keep": "together", "best_effort": True}}

SHARES: Final[tuple[tuple[Life, int], ...]] = (
    (Life("plain", {"nics": [{"network": "guest"}]}), 38),
    (Life("with a disk", SMALL), 12),
    (Life("with everything", RICH), 10),
    (BY_NAME["rich"], 5),
    (BY_NAME["boots paravirtualised"], 3),
    (BY_NAME["fails at its start"], 8),
    (BY_NAME["is kept"], 3),
    (Life("apart from others", APART, frozenset({"succeeded", "failed"})), 4),
    (Life("together with others", TOGETHER), 4),
    (Life("of somebody, and first", {"owner": "team-a", "priority": 3}), 4),
    (BY_NAME["goes elsewhere"], 6),
    (BY_NAME["finds the pool busy"], 5),
    (BY_NAME["asks for what there is not"], 3),
    (BY_NAME["asks for a pool that there is not"], 1),
)
"""How often what is asked for, of a hundred or so."""

CANCELLED: Final = 0.12
"""So many are cancelled, each at a moment of its own."""
CANCEL_WITHIN: Final = 12.0
TWICE: Final = 0.04
"""So many are submitted by two clients at the same moment, with the same token."""
BATCHED: Final = 0.08
BATCH: Final = 4


class Demand:
    """Submits, cancels, and remembers what was asked for."""

    def __init__(self, rig: Rig, chance: Random, existing: str, label: str, most: int) -> None:
        self.rig = rig
        self.expected: dict[str, Expected] = {}
        self.in_flight: set[str] = set()
        self._chance = chance
        self._existing = existing
        self._label = label
        self._most = most
        self._count = 0
        self._cancels: list[tuple[float, str]] = []
        self.batches = Batches(rig, chance)
        self._unsent: list[Callable[[], object]] = []
        self._second = LaunchClient(rig.redis.url)
        self._together = ThreadPoolExecutor(2)

    def close(self) -> None:
        self._together.shutdown()
        self._second.close()

    def look(self, *, more: bool) -> None:
        """See what has ended, and ask for more where that is wanted. Raises `StoreUnreachable`."""
        while self._unsent:
            self._try(self._unsent.pop())
        self._cancel()
        self.in_flight |= self.batches.ended_now()
        self.in_flight = self.rig.untold(list(self.in_flight))
        while more and len(self.in_flight) < self._most:
            self._submit()

    def _cancel(self) -> None:
        now = time.monotonic()
        due = [entry for entry in self._cancels if entry[0] <= now]
        for entry in due:
            self.rig.ledger.cancel(entry[1], CANCELLED_BY_OWNER)
            self._cancels.remove(entry)

    def _submit(self) -> None:
        life = self._chance.choices(*zip(*SHARES, strict=True))[0]
        luck = self._chance.random()
        self._count += 1
        token = f"{self._label}/{self._count}"
        if luck < BATCHED:
            self._submit_batch(life, token)
            return
        launch = launch_id(DEPLOYMENT, token)
        request = self._prepare(life, launch)
        sends: list[Callable[[], object]] = [lambda: self.rig.client.submit(request, token=token)]
        if luck > 1 - TWICE:
            sends.append(lambda: self._second.submit(request, token=token))
        self._send(sends)

    def _submit_batch(self, life: Life, token: str) -> None:
        tokens = [f"{token}/{index}" for index in range(1, BATCH + 1)]
        launches = [launch_id(DEPLOYMENT, one) for one in tokens]
        policy = self.batches.choose(launches)
        requests = [self._prepare(life, launch, ends_of(policy)) for launch in launches]
        self._send([lambda: self.batches.submit(requests, token, policy)])

    def _prepare(
        self, life: Life, launch: str, also: frozenset[str] = frozenset()
    ) -> LaunchRequest:
        """Remember what comes of it, and set what befalls it, before it is there."""
        ends = life.ends | also
        if self._chance.random() < CANCELLED:
            when = time.monotonic() + self._chance.uniform(0, CANCEL_WITHIN)
            self._cancels.append((when, launch))
            ends |= {"cancelled"}
        self.expected[launch] = Expected(ends, life.leaves)
        self.in_flight.add(launch)
        rules: list[dict[str, Any]] = life.befalls(launch)
        if rules:
            self.rig.pool.faults(rules)
        return life.request(f"vm-{launch[2:10]}", self._existing)

    def _send(self, sends: list[Callable[[], object]]) -> None:
        list(self._together.map(self._try, sends))

    def _try(self, send: Callable[[], object]) -> None:
        """Send it now; where nobody knows whether it arrived, again later, with the same token."""
        try:
            send()
        except (SubmitUnknown, StoreUnreachable):
            self._unsent.append(send)
