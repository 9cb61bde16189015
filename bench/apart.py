"""Measures what two pools feel of a third one that hangs; prints JSON.

Three simulated pools and one worker. In each run the same launches go to the first two, and it is
measured how long it takes until all of them have ended. Every other run the third hangs meanwhile
(its process is stopped: the kernel takes connections for it, and nothing is ever answered) with as
many launches of its own; in between it is well, and has nothing to do. The ratio is that of the
medians of the two pools' throughput; 1 says that they feel nothing.

    python -m bench.apart [--pairs 5] [--launches 60] [--threads 16] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.support.simulators import SimulatorProcess, hung
from tests.support.waiting import wait_until
from tests.support.worker_processes import WorkerProcess, write_pools
from workers.embedded import EmbeddedServer
from xenlaunch import LaunchClient, LaunchRequest
from xenlaunch.ledger import Ledger
from xenlaunch.store import Store

WELL = ("east", "west")
HUNG = "north"
SECONDS = 300


class Rig:
    """The pools, the worker, and the launches that go to them."""

    def __init__(self, stack: ExitStack, folder: Path, args: argparse.Namespace) -> None:
        server = stack.enter_context(EmbeddedServer(folder))
        self.launches = int(args.launches)
        self.ledger = Ledger(Store(server.url))
        self.client = stack.enter_context(LaunchClient(server.url))
        self.pools = {
            name: _simulator(stack, folder / f"{name}.log", args.time_scale)
            for name in (*WELL, HUNG)
        }
        env = {
            "XENLAUNCH_REDIS_URL": server.url,
            "XENLAUNCH_POOLS": str(write_pools(folder, self.pools)),
        }
        worker = WorkerProcess(folder / "worker.log", concurrency=args.threads, env=env)
        stack.callback(worker.stop)
        worker.child.start(timeout=60)
        wait_until(self.ledger.deployment, 30, "the worker has registered its deployment")

    def submit(self, pools: Sequence[str]) -> list[str]:
        """As many launches for each of these pools, in turns."""
        found = []
        for number in range(self.launches):
            for pool in pools:
                fields = {"name": f"vm-{number}", "template": "debian-12", "pool": pool}
                wanted = LaunchRequest.parse({**fields, "memory": "256MiB", "vcpus": 1})
                found.append(self.client.submit(wanted, token=uuid.uuid4().hex).id)
        return found

    def end(self, launches: list[str]) -> None:
        """Wait until all have come up, and have their VMs away again."""
        self.await_all(launches, "succeeded")
        for launch in launches:
            self.client.destroy(launch)
        self.await_all(launches, "destroyed")

    def await_all(self, launches: Sequence[str], state: str) -> None:
        left = list(launches)

        def all_there() -> bool:
            while left and self.ledger.record(left[-1]).state == state:
                del left[-1]
            return not left

        wait_until(all_there, SECONDS, f"{len(launches)} launches have {state}")

    def run(self, *, with_hung: bool) -> float:
        """One run: how many launches a second the pools that are well have brought up."""
        with hung(self.pools[HUNG]) if with_hung else ExitStack():
            stuck = self.submit([HUNG]) if with_hung else []
            began = time.monotonic()
            launches = self.submit(WELL)
            self.await_all(launches, "succeeded")
            took = time.monotonic() - began
        self.end(launches)
        self.end(stuck)
        return len(launches) / took


def _simulator(stack: ExitStack, log: Path, time_scale: float) -> SimulatorProcess:
    pool = SimulatorProcess(log, "--hosts", "4", "--time-scale", str(time_scale))
    stack.callback(pool.stop)
    pool.child.start(timeout=30)
    return pool


def measure(args: argparse.Namespace) -> dict[str, object]:
    alone: list[float] = []
    beside: list[float] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        rig = Rig(stack, Path(folder), args)
        rig.run(with_hung=False)  # nobody's first run counts
        for number in range(args.pairs):
            # Which of a pair comes first changes, so that what the machine does hits both.
            for with_hung in (False, True) if number % 2 else (True, False):
                (beside if with_hung else alone).append(rig.run(with_hung=with_hung))
    medians = statistics.median(alone), statistics.median(beside)
    return {
        "benchmark": "apart",
        "pairs": args.pairs,
        "launches": args.launches * len(WELL),
        "threads": args.threads,
        "alone_per_second": [round(one, 2) for one in alone],
        "beside_hung_per_second": [round(one, 2) for one in beside],
        "alone_median": round(medians[0], 2),
        "beside_hung_median": round(medians[1], 2),
        "ratio": round(medians[1] / medians[0], 3),
        "ratio_of_pairs_median": round(
            statistics.median(b / a for a, b in zip(alone, beside, strict=True)), 3
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--launches", type=int, default=60, help="so many for each pool")
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--time-scale", type=float, default=0.05)
    parser.add_argument("--json", action="store_true", help="as one line")
    args = parser.parse_args()
    json.dump(measure(args), sys.stdout, indent=None if args.json else 2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
