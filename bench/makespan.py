"""How long a batch takes against the least that the pool needs: real workers, a simulated pool.

    python -m bench.makespan --json [--vms 500] [--hosts 16] [--srs 4] [--time-scale 2]

`makespan` runs from the moment the first launch is submitted to the end of the last; `bound` is the
least that the pool's own latencies allow (`bench.bound`), so `ratio` is what xenlaunch adds. The
latencies are scaled so that they are what is measured, and not how fast this machine runs Python.
`right` says that the pool has just these VMs, each of them once and running, and no disk too many;
`refused` counts, by code, the calls that the pool has not carried out.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.bound import bound
from bench.spans import spans
from workers.localstack import LocalStack
from xenlaunch import LaunchClient, LaunchRequest, LaunchStatus

NAME = "vm-{:04}"


@dataclass(frozen=True)
class Run:
    """One batch on one pool, and what became of it."""

    vms: int
    hosts: int
    srs: int
    statuses: Sequence[LaunchStatus]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    figures: Mapping[str, float]
    calls: Sequence[Mapping[str, Any]]

    @property
    def began(self) -> float:
        return min(status.submitted for status in self.statuses).timestamp()

    @property
    def makespan(self) -> float:
        return max(s.ended for s in self.statuses if s.ended).timestamp() - self.began

    @property
    def is_right(self) -> bool:
        """Each VM that was asked for is there once and runs, and nothing else was left."""
        running = Counter(
            row["name_label"]
            for row in self.after["VM"].values()
            if row["power_state"] == "Running" and not row["is_control_domain"]
        )
        wanted = Counter(NAME.format(number) for number in range(1, self.vms + 1))
        made = {cls: len(self.after[cls]) - len(self.before[cls]) for cls in ("VM", "VDI")}
        up = all(status.state == "succeeded" for status in self.statuses)
        return up and running == wanted and made == {"VM": self.vms, "VDI": self.vms}

    @property
    def refused(self) -> Counter[str]:
        """What the pool has answered but that it did what was asked, by the error's code."""
        return Counter(call["outcome"] for call in self.calls if call["outcome"] != "ok")

    def report(self) -> dict[str, Any]:
        least = bound(self.vms, self.srs, self.hosts, self.figures)
        return {
            "vms": self.vms,
            "makespan": round(self.makespan, 2),
            "bound": round(least, 2),
            "ratio": round(self.makespan / least, 4),
            "hosts": self.hosts,
            "srs": self.srs,
            "right": self.is_right,
            "refused": dict(self.refused),
        }

    def spans(self) -> dict[str, Any]:
        """When each SR cloned and each host started VMs, in seconds from the beginning."""
        return spans(self.calls, self.after, self.began, self.figures["VM.clone rows"])


def carry_out(vms: int, hosts: int, srs: int, time_scale: float) -> Run:
    """Launch a batch on a pool of its own, and wait for its end."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "stack"
        folder.mkdir(mode=0o700)
        stack = LocalStack(folder, say=_say, time_scale=time_scale, hosts=hosts, srs=srs)
        try:
            stack.start()
            before = _ask(stack, "/state")
            statuses = _launch(stack, vms)
            figures = _ask(stack, "/latency")
            return Run(
                *(vms, hosts, srs, statuses, before, _ask(stack, "/state"), figures),
                calls=_ask(stack, "/calls?changing=1"),
            )
        finally:
            stack.stop()


def _launch(stack: LocalStack, vms: int) -> Sequence[LaunchStatus]:
    client = LaunchClient(stack.redis.url)
    request = LaunchRequest.parse({"name": "vm", "template": "debian-12", "memory": "512MiB"})
    batch = client.submit_batch(request, vms, name=NAME)
    while client.batch_status(batch.id).going_on:
        stack.look_after()
        time.sleep(0.5)
    return client.statuses(batch.id)


def _ask(stack: LocalStack, path: str) -> Any:
    with urlopen(stack.control_url + path) as answer:  # noqa: S310  the simulator's control port
        return json.load(answer)


def _say(what: str) -> None:
    print(what, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.makespan", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    parser.add_argument("--vms", type=int, default=500)
    parser.add_argument("--hosts", type=int, default=16)
    parser.add_argument("--srs", type=int, default=4)
    parser.add_argument("--time-scale", type=float, default=2.0)
    parser.add_argument("--spans", type=Path, help="write here what was busy when, for bench.plot")
    given = parser.parse_args()
    run = carry_out(given.vms, given.hosts, given.srs, given.time_scale)
    if given.spans:
        given.spans.write_text(json.dumps(run.spans()))
    print(json.dumps(run.report()))


if __name__ == "__main__":
    main()
