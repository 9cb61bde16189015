"""Measures what a pass over a pool's line costs in a big pool; prints JSON.

The pool is rows alone: so many hosts and VMs, as the cache of a process holds them. The ledger is a
server of its own, with launches in flight and launches that wait. A pass is measured that finds the
pool full, one after which a slot is free, one in which nobody fits, and one that begins a hundred.

    python -m bench.dispatching [--vms 10000] [--flight 1000] [--waiting 1000]
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from scheduler.dispatch import dispatch
from scheduler.inventory import Inventory
from scheduler.taken import Taken
from workers.embedded import EmbeddedServer
from xenlaunch.ledger import Ledger
from xenlaunch.model import LaunchRequest, TemplateDisk
from xenlaunch.store import Store
from xenlaunch.xapi.reach import Reach
from xenlaunch.xapi.records import Event

GIB = 1 << 30
HOSTS = 64
ROUNDS = 9
POOL = "lab"
SR = {"content_type": "user", "shared": True, "physical_size": "9", "physical_utilisation": "0"}


class Rows:
    """The records of a pool that a process holds, without the pool."""

    def __init__(self, vms: int) -> None:
        hosts = [f"OpaqueRef:h{number}" for number in range(HOSTS)]
        self.tables: dict[str, dict[str, Any]] = {
            "host": {ref: _host(ref) for ref in hosts},
            "host_metrics": {
                f"m-{ref}": {"memory_total": str(1024 * GIB), "live": True} for ref in hosts
            },
            "sr": {"sr": {"name_label": "shared", **SR}},
            "pbd": {
                f"p-{ref}": {"host": ref, "SR": "sr", "currently_attached": True} for ref in hosts
            },
            "vbd": {"vbd": {"type": "Disk", "VDI": "vdi", "userdevice": "0", "empty": False}},
            "vm": {f"vm{number}": _vm(number, hosts[number % HOSTS]) for number in range(vms)},
        }
        self.tables["vm"]["template"] = _vm(0, "", name_label="debian-12", is_a_template=True)
        self._told: list[Callable[[Event], None]] = []

    def all(self, cls: str) -> dict[str, Any]:
        return dict(self.tables.get(cls, {}))

    def get(self, cls: str, ref: str) -> Any:
        return self.tables.get(cls, {}).get(ref)

    def subscribe(self, callback: Callable[[Event], None]) -> None:
        self._told.append(callback)

    def barrier(self) -> None:
        """All that is so can be seen."""


def _host(ref: str) -> dict[str, Any]:
    return {
        "uuid": f"u-{ref}",
        "name_label": ref,
        "metrics": f"m-{ref}",
        "memory_overhead": "0",
        "enabled": True,
        "cpu_info": {"cpu_count": "64"},
    }


def _vm(number: int, host: str, **fields: Any) -> dict[str, Any]:
    return {
        "uuid": f"00000000-0000-0000-0000-{number:012}",
        "name_label": f"vm-{number}",
        "is_a_template": False,
        "is_a_snapshot": False,
        "is_control_domain": False,
        "resident_on": host,
        "scheduled_to_be_resident_on": "OpaqueRef:NULL",
        "memory_static_max": str(GIB),
        "memory_dynamic_min": str(GIB),
        "memory_overhead": "0",
        "VCPUs_max": "1",
        "HVM_boot_policy": "BIOS order",
        "domain_type": "hvm",
        "VBDs": ["vbd"],
        "VIFs": [],
        "other_config": {"xenlaunch": f"tests/l-{number}/u-{number}"},
        **fields,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("vms", 10_000), ("flight", 1_000), ("waiting", 1_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
        figures = Passes(Ledger(Store(server.url)), Rows(asked.vms)).measured(asked)
    print(json.dumps({"bench": "dispatching", **vars(asked), **figures}))


class Passes:
    """One pool, and passes over its line."""

    def __init__(self, ledger: Ledger, rows: Rows) -> None:
        self.ledger = ledger
        disk = TemplateDisk(sr="sr", name="root", size=GIB)
        reach = SimpleNamespace(
            records=rows, template_disk=lambda _: disk, traffic={}, session=None, rows=rows
        )
        self.inventory = inventory_of(cast("Reach", reach))

    def measured(self, asked: argparse.Namespace) -> dict[str, Any]:
        """Milliseconds of a pass, and how many were begun."""
        self.join("in-flight", asked.flight)
        while self.once(asked.flight):
            pass
        self.join("big", asked.waiting, memory=1000 * GIB)
        full = [self.timed(asked.flight)[0] for _ in range(ROUNDS)]
        unfit = [self.timed(10 * asked.flight)[0] for _ in range(ROUNDS)]
        self.join("next", 100 * ROUNDS, priority=1)
        ran = [self.timed(asked.flight + 100 * turn) for turn in range(1, ROUNDS + 1)]
        return {
            "full_ms": round(statistics.median(full), 1),
            "nobody_fits_ms": round(statistics.median(unfit), 1),
            "begins_100_ms": round(statistics.median(taken for taken, _ in ran), 1),
            "begun": [gone for _, gone in ran],
        }

    def join(self, name: str, count: int, **fields: Any) -> None:
        fields = {"template": "debian-12", "memory": GIB, **fields}
        wanted = [LaunchRequest.parse({"name": name, **fields}) for _ in range(count)]
        tokens = [f"{name}-{number}" for number in range(count)]
        for launch in self.ledger.submit_all("tests", zip(wanted, tokens, strict=True)):
            self.ledger.join(launch, POOL, [])

    def timed(self, most: int) -> tuple[float, int]:
        began = time.perf_counter()
        gone = self.once(most)
        return (time.perf_counter() - began) * 1000, gone

    def once(self, most: int) -> int:
        return dispatch(self.ledger, POOL, self.inventory(), lambda *_: None, most)


def inventory_of(reach: Reach) -> Callable[[], Inventory]:
    taken = Taken(reach.records, "tests")
    return lambda: Inventory(reach, taken)


if __name__ == "__main__":
    main()
