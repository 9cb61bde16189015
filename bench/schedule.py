"""The schedule simulated: many launches over many pools, in a model of time alone; prints JSON.

    python -m bench.schedule --json [--launches 100000] [--pools 100] [--hosts 16] [--srs 4]

Placement, turns and slots are the scheduler's own code; there is no Celery, no Redis and no pool.
`makespan` is what the slowest pool took, in the model's seconds; `bound` what it takes at least;
`utilisation` is of all SRs and hosts until then. Of each owner it says when its last VM was up and
when it should have been by its share, in the pool where that differs most (`off`, a fraction).
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.bound import bound
from bench.model import report
from bench.model.clock import Clock
from bench.model.pool import Launch, Pool, Shape
from bench.model.times import Times, exact, jittered
from bench.plot import draw
from simulator.latency import FIGURES

PICTURE: Final = Path(__file__).resolve().parents[1] / "docs" / "img" / "schedule.svg"

MEANS: Mapping[str, float] = {name: figure.seconds for name, figure in FIGURES.items()}

HOP = 0.15
"""What we take between two calls of a launch, in seconds: `bench.scale` has measured it."""


@dataclass(frozen=True)
class Owner:
    """Who wants a part of the launches."""

    name: str
    part: float
    weight: float = 1
    priority: int = 5


OWNERS = (Owner("most", 0.7), Owner("double", 0.197, weight=2), Owner("some", 0.1))
"""The rest, three of a thousand, is one more's."""


@dataclass
class Run:
    """One run of the model."""

    launches: int = 1000
    pools: int = 1
    shape: Shape = field(default_factory=Shape)
    hop: float = HOP
    address: bool = False
    seed: int | None = 0
    owners: Sequence[Owner] = OWNERS
    remembers: bool = False

    def __post_init__(self) -> None:
        self.clock = Clock()
        times = Times.of(MEANS, self.hop, address=self.address)
        vary = exact if self.seed is None else jittered(self.seed)
        self.served = [
            Pool(f"pool-{number}", self.clock, self.shape, times, vary, remembers=self.remembers)
            for number in range(self.pools)
        ]
        self.by_pool: dict[str, list[Launch]] = {}
        self.happened = 0

    def go(self) -> "Run":
        """Submit all at once, and let it come to its end."""
        for number, pool in enumerate(self.served):
            count = self.launches // self.pools + (number < self.launches % self.pools)
            self.by_pool[pool.name] = self._wanted(pool.name, count)
            for launch in self.by_pool[pool.name]:
                pool.submit(launch)
        self.happened = self.clock.run()
        return self

    def _wanted(self, pool: str, count: int) -> list[Launch]:
        """One owner after the other, the smallest last: who has many came first."""
        wanted: list[Launch] = []
        for owner in self.owners:
            wanted += launches(f"{pool}.{owner.name}", round(owner.part * count), owner)
        rest = count - len(wanted)
        return wanted + launches(f"{pool}.few", rest, Owner("few", 0.0))

    def found(self) -> dict[str, Any]:
        """What is printed."""
        every = [launch for own in self.by_pool.values() for launch in own]
        span = report.makespan(every)
        most = max(map(len, self.by_pool.values()))
        least = bound(most, self.shape.srs, self.shape.hosts, MEANS)
        srs = [station for pool in self.served for station in pool.srs.values()]
        hosts = [station for pool in self.served for station in pool.hosts.values()]
        return {
            "launches": self.launches,
            "pools": self.pools,
            "srs": self.shape.srs,
            "hosts": self.shape.hosts,
            "on_deck": self.shape.on_deck,
            "in_flight": self.shape.in_flight,
            "up": sum(launch.up >= 0 for launch in every),
            "most_in_flight": max(pool.most_in_flight for pool in self.served),
            "makespan": round(span, 2),
            "bound": round(least, 2),
            "ratio": round(span / least, 4),
            "utilisation": {
                "srs": round(report.utilisation(srs, span), 4),
                "hosts": round(report.utilisation(hosts, span), 4),
            },
            "fairness": self.fairness(),
        }

    def fairness(self) -> dict[str, Any]:
        owned = {name: report.by_owner(own) for name, own in self.by_pool.items()}
        found: dict[str, dict[str, Any]] = {}
        for pool in self.served:
            owners = owned[pool.name]
            for owner in owners:
                one = report.of_owner(owner, owners, pool, MEANS)
                if owner not in found or abs(one["off"]) > abs(found[owner]["off"]):
                    found[owner] = one
        worst = max(abs(one["off"]) for one in found.values())
        least = min(report.jain(owners) for owners in owned.values())
        return {"worst_off": worst, "least_jain": round(least, 4), "owners": found}


def launches(prefix: str, count: int, owner: Owner) -> list[Launch]:
    return [
        Launch(f"{prefix}-{number}", owner.name, owner.weight, owner.priority)
        for number in range(count)
    ]


def picture() -> str:
    """500 launches on 4 SRs and 16 hosts, as the docs show them."""
    run = Run(500, owners=(Owner("one", 1.0),), remembers=True).go()
    return draw(report.spans(run.served[0]), "500 launches on 4 SRs and 16 hosts, in the model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one line; else it is spread out")
    parser.add_argument("--launches", type=int, default=100_000)
    parser.add_argument("--pools", type=int, default=100)
    parser.add_argument("--hosts", type=int, default=Shape.hosts)
    parser.add_argument("--srs", type=int, default=Shape.srs)
    parser.add_argument("--on-deck", type=int, default=Shape.on_deck)
    parser.add_argument("--in-flight", type=int, default=Shape.in_flight)
    parser.add_argument("--hop", type=float, default=HOP)
    parser.add_argument("--address", action="store_true", help="wait for each guest's address")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--spans", type=Path, help="write when the first pool worked: JSON")
    args = parser.parse_args()
    shape = Shape(args.hosts, args.srs, in_flight=args.in_flight, on_deck=args.on_deck)
    began, at_work = time.perf_counter(), time.process_time()
    run = Run(
        args.launches,
        args.pools,
        shape,
        args.hop,
        address=args.address,
        seed=args.seed,
        remembers=args.spans is not None,
    ).go()
    figures = {
        "benchmark": "schedule",
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - at_work, 2),
        "events": run.happened,
    }
    print(json.dumps({**figures, **run.found()}, indent=None if args.json else 2))
    if args.spans:
        args.spans.write_text(json.dumps(report.spans(run.served[0])), encoding="utf-8")


if __name__ == "__main__":
    main()
