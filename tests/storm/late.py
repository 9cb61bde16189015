"""A worker that stands still with requests on the wire, and goes on when another has its work."""

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.storm.checker import Expected, Findings, check, in_the_log
from tests.storm.rig import Rig
from tests.storm.wire import Wire
from tests.support.waiting import wait_until
from xenlaunch.model import LaunchRequest

HELD: Final = (b'"Async.VM.clone"', b'"VBD.create"', b'"VIF.create"', b'"Async.VM.start_on"')
"""One launch for each: the first such request is held back, that of the launch that comes first."""


@dataclass(frozen=True)
class Seen:
    """What came of it."""

    findings: Findings
    delivered: int
    late: tuple[Mapping[str, Any], ...]
    """The held calls as the pool saw them, after the worker went on."""


def stand_still(folder: Path, seconds: float, env: Mapping[str, str] | None = None) -> Seen:
    """Hold the requests of one worker back, stop it, have another take over, and let it go on."""
    with Rig(folder, time_scale=0.02, workers=1, env=env) as rig:
        before = rig.pool.state()
        with Wire(rig.pool.url, HELD) as wire:
            late = rig.start_worker(rig.write_pools("wire", [wire.url]))
            wait_until(lambda: late.ready, 30, "the worker on the wire is ready")
            wait_until(rig.ledger.deployment, 20, "it has registered its deployment")
            launches = [_submit(rig, number) for number in range(len(HELD))]
            wait_until(lambda: len(wire.holds) == len(HELD), 30, "all of them are held back")
            late.signal(signal.SIGSTOP)
            stopped = time.monotonic()
            rig.begin()
            wait_until(lambda: not rig.untold(launches), 60, "another worker has done it all")
            wait_until(
                lambda: time.monotonic() - stopped >= seconds, seconds + 1, "it stands still"
            )
            called = rig.pool.control("GET", "/calls")[-1]["seq"]
            wire.let_go()
            late.signal(signal.SIGCONT)
            wait_until(lambda: wire.delivered == len(HELD), 10, "what was held back is delivered")
            wait_until(lambda: _are_answered(rig, called), 20, "the pool has answered it")
            found = _judge(rig, before, launches)
            late.kill()
            return Seen(found, wire.delivered, tuple(_held(rig, called)))


def _submit(rig: Rig, number: int) -> str:
    request = LaunchRequest.parse(
        {
            "name": f"late-{number}",
            "template": "debian-12",
            "memory": "64MiB",
            "disks": [{"cd": "empty"}],
            "nics": [{"network": "guest"}],
        }
    )
    return rig.client.submit(request, token=f"late {number}").id


def _held(rig: Rig, since: int) -> list[dict[str, Any]]:
    """A call whose session is no more is logged, but not as one that changes something."""
    methods = [text.decode().strip('"') for text in HELD]
    calls = rig.pool.control("GET", f"/calls?since={since}")
    return [call for call in calls if call["method"] in methods]


def _are_answered(rig: Rig, since: int) -> bool:
    calls = _held(rig, since)
    return len(calls) >= len(HELD) and all(call["outcome"] != "running" for call in calls)


def _judge(rig: Rig, before: Any, launches: list[str]) -> Findings:
    expected = {launch: Expected(frozenset({"succeeded"})) for launch in launches}
    found = check(before, rig.pool.state(), rig.ledger, rig.redis.url, expected)
    return found + in_the_log(rig.pool.control("GET", "/calls?changing=1"))
