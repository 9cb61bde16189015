"""Ten thousand launches in flight at once: what they cost, and how soon each goes on; prints JSON.

    python -m bench.scale [--launches 10000] [--against 100] [--pools 10] [--workers 2] [--rate 8]
        [--held 120]

All launches are in flight at once, over simulated pools that clone so slowly that they bring up
``--rate`` VMs a second in all; until all are in flight they take ``--held`` seconds for a clone.
They are launched as one batch a pool. `wake_ms` is from the end of a pool task in the simulator's
own log to the next call about that VM, of all clones and starts: the watcher's poll, the script,
the message, the claim. `worker_cpu_ms` is what both workers took for a launch, without what they
take when there is nothing to do, which is measured before. The same is done with ``--against``
launches first; `cpu_ratio` is how much more a launch costs among many.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.running import Running, wait_for
from xenlaunch import LaunchRequest, names, states
from xenlaunch.reading import counts

SRS = 4
REQUEST = {"template": "debian-12", "memory": "256MiB", "vcpus": 1}
IDLE_SECONDS = 10.0
TICKS = os.sysconf("SC_CLK_TCK")
ENDED = (states.SUCCEEDED, states.FAILED, states.CANCELLED)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@dataclass
class Highest:
    """The most that has been seen of each."""

    resident: list[float] = field(default_factory=list)
    redis: float = 0.0
    in_flight: int = 0

    def look(self, running: Running) -> None:
        now = [resident_mib(child.pid) for child in running.workers]
        self.resident = list(map(max, zip(now, self.resident or now, strict=True)))
        self.redis = max(self.redis, running.redis_mib())
        self.in_flight = max(self.in_flight, running.in_flight_now())


def worker_cpu(running: Running) -> float:
    return sum(cpu_seconds(child.pid) for child in running.workers)


def idle_cpu(running: Running) -> float:
    """What the workers take while there is nothing to do, in CPU seconds a second."""
    time.sleep(IDLE_SECONDS / 2)  # what they do once, when they begin
    before = worker_cpu(running)
    time.sleep(IDLE_SECONDS)
    return (worker_cpu(running) - before) / IDLE_SECONDS


def clones_take(running: Running, seconds: float) -> None:
    for pool in running.pools:
        pool.control("PUT", "/latency", {"VDI.clone": seconds})


def launch_all(running: Running, launches: int, held: float, each: float) -> tuple[float, Highest]:
    """Launch so many, and wait until all have ended; how long it took, and what was seen.

    ``held``, ``each``: how many seconds a clone takes until all are in flight, and from then on.
    """
    began, highest = time.monotonic(), Highest()
    seconds = 300 + held + 3 * launches * each / (SRS * len(running.pools))
    clones_take(running, held)
    for number, pool in enumerate(running.pools):
        count = launches // len(running.pools) + (number < launches % len(running.pools))
        if count:
            request = LaunchRequest.parse({**REQUEST, "name": pool.name, "pool": pool.name})
            running.client.submit_batch(request, count)

    def ended() -> int:
        highest.look(running)
        found = counts(running.ledger)
        return sum(found[state] for state in ENDED)

    wait_for(
        lambda: ended() + running.in_flight_now() >= launches, seconds, f"{launches} are in flight"
    )
    clones_take(running, each)
    wait_for(lambda: ended() == launches, seconds, f"{launches} launches have ended")
    return time.monotonic() - began, highest


def wakes(calls: Sequence[Mapping[str, Any]], vms: Mapping[str, Mapping[str, Any]]) -> list[float]:
    """Of each clone and start, seconds from its end to the next call about its VM."""
    launched = {launch_of(row): ref for ref, row in vms.items()}
    begun: dict[str, list[float]] = {}
    for call in calls:
        begun.setdefault(call["object"], []).append(call["started"])
    found = []
    for call in calls:
        if call["outcome"] != "ok" or not call["asynchronous"]:
            continue
        vm = call["object"]
        if call["method"] == "Async.VM.clone":
            vm = launched.get(call["args"][1].split(":")[2], "")
        later = [at for at in begun.get(vm, ()) if at > call["ended"]]
        if later:
            found.append(min(later) - call["ended"])
    return sorted(found)


def launch_of(row: Mapping[str, Any]) -> str:
    """The launch in a VM's mark, or ''."""
    return (
        str(row["other_config"].get(names.OTHER_CONFIG_MARK, ""))
        .partition("/")[2]
        .partition("/")[0]
    )


def measure(launches: int, args: argparse.Namespace) -> dict[str, Any]:
    """One running, and so many launches at once on it."""
    each = args.pools * SRS / args.rate
    options = ["--hosts", "16", "--srs", str(SRS), "--time-scale", "0.2"]
    with (
        tempfile.TemporaryDirectory() as folder,
        Running(
            Path(folder),
            pools=args.pools,
            workers=args.workers,
            in_flight=max(1, -(-launches // args.pools)),
            simulator=options,
        ) as running,
    ):
        idle, before = idle_cpu(running), worker_cpu(running)
        empty, asked = running.redis_mib(), running.redis_commands()
        took, highest = launch_all(running, launches, args.held, each)
        used = worker_cpu(running) - before
        commands = running.redis_commands() - asked
        logs = [(pool.control("GET", "/calls"), pool.vms()) for pool in running.pools]
        up = counts(running.ledger)[states.SUCCEEDED]
    found = sorted(wake for log in logs for wake in wakes(*log))
    return {
        "launches": launches,
        "up": up,
        "most_in_flight": highest.in_flight,
        "seconds": round(took, 1),
        "worker_rss_mib": [round(one) for one in highest.resident],
        "redis_mib": round(highest.redis, 1),
        "redis_kib_a_launch": round((highest.redis - empty) * 1024 / launches, 1),
        "redis_commands": round(commands / launches),
        "wakes": len(found),
        "wake_ms": {
            "median": round(statistics.median(found) * 1000),
            "p99": round(found[int(len(found) * 0.99)] * 1000),
            "most": round(found[-1] * 1000),
        },
        "worker_cpu_ms": round((used - idle * took) * 1000 / launches, 1),
        "worker_cpu_ms_with_idle": round(used * 1000 / launches, 1),
        "idle_cpu_ms_a_second": round(idle * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launches", type=int, default=10_000)
    parser.add_argument("--against", type=int, default=100)
    parser.add_argument("--pools", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=8.0, help="VMs a second, of all pools")
    parser.add_argument("--held", type=float, default=120.0, help="seconds for a clone at first")
    args = parser.parse_args()
    few = measure(args.against, args)
    many = measure(args.launches, args)
    ratio = round(many["worker_cpu_ms"] / few["worker_cpu_ms"], 3)
    print(json.dumps({"benchmark": "scale", **many, "against": few, "cpu_ratio": ratio}))


if __name__ == "__main__":
    main()
