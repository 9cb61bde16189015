"""A whole stack for one test: a simulated pool, workers, and a client beside them."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.by_hand import ByHand
from tests.support.simulators import SimulatorProcess, StartSimulator
from tests.support.waiting import wait_until
from tests.support.worker_processes import StartWorker, WorkerProcess
from xenlaunch import LaunchClient, LaunchRequest, LaunchStatus
from xenlaunch.ledger import Ledger, launch_id
from xenlaunch.rulings import due_batches
from xenlaunch.slots import PoolSlots
from xenlaunch.store import Store

LASTING = (
    *("VM", "VBD", "VDI", "VIF", "VGPU", "VTPM", "VM_guest_metrics", "VM_metrics"),
    *("network", "PIF", "VLAN", "tunnel"),
)
"""The classes of which a launch makes objects, and an undo must leave none."""

SMALL: dict[str, Any] = {"memory": "256MiB", "vcpus": 1}
"""What hundreds of VMs may have at once in a pool of four hosts."""

CLOCKS = frozenset(
    {
        *("last_updated", "snapshot_time", "physical_utilisation", "VDIs", "VIFs"),
        *("VLAN_slave_of", "tunnel_transport_PIF_of"),
    }
)


class Stack:
    """One pool, its workers, and what a test does with them."""

    def __init__(
        self,
        url: str,
        pool: SimulatorProcess,
        worker: StartWorker,
        *,
        name: str = "lab",
        **top: str | float,
    ) -> None:
        self.url = url
        self.name = name
        self._top = top
        self.pool = pool
        self._worker = worker
        self.workers: list[WorkerProcess] = []
        self.client = LaunchClient(url)
        self.ledger = Ledger(Store(url))

    def start_worker(
        self, *options: str, concurrency: int = 8, env: Mapping[str, str] | None = None
    ) -> WorkerProcess:
        pools, top = {self.name: self.pool}, self._top
        process = self._worker(pools, *options, concurrency=concurrency, env=env, top=top)
        self.workers.append(process)
        wait_until(self.ledger.deployment, 10, "the worker has registered its deployment")
        return process

    def keys(self, pattern: str) -> list[str]:
        """The names of our keys that match."""
        return list(self.ledger.store.redis.scan_iter(self.ledger.store.key(pattern)))

    def submit(self, count: int = 1, **fields: Any) -> list[str]:
        """Submit launches of debian-12, named web-1, web-2 …; their ids."""
        given = {"name": "web", "template": "debian-12", **fields}
        requests = [
            LaunchRequest.parse({**given, "name": f"{given['name']}-{number}"})
            for number in range(1, count + 1)
        ]
        return [self.client.submit(one, token=uuid.uuid4().hex).id for one in requests]

    def submit_with(self, rules: Callable[[str], list[dict[str, Any]]], **fields: Any) -> str:
        """Submit one launch for which these things go wrong, by rules that are told its id."""
        token = uuid.uuid4().hex
        launch = launch_id("tests", token)
        self.pool.faults(rules(launch))
        request = {"name": f"web-{launch}", "template": "debian-12", **SMALL, **fields}
        return self.client.submit(LaunchRequest.parse(request), token=token).id

    def statuses(self, launches: Sequence[str]) -> list[LaunchStatus]:
        return self.ledger.statuses(launches)

    def ended(self, launches: Sequence[str], seconds: float = 60) -> list[LaunchStatus]:
        """How these launches ended, once they all have."""
        going_on = list(launches)

        def all_ended() -> list[LaunchStatus] | None:
            # One at a time: to ask for hundreds again and again slows down what is waited for.
            while going_on and self.statuses(going_on[:1])[0].has_ended:
                del going_on[0]
            return None if going_on else self.statuses(launches)

        try:
            return wait_until(all_ended, seconds, f"{len(launches)} launches have ended")
        except AssertionError as vain:
            vain.add_note("\n".join(map(str, self._still_going(going_on))))
            raise

    def _still_going(self, launches: Sequence[str]) -> list[tuple[str, str, str]]:
        found = (one for one in self.statuses(launches) if not one.has_ended)
        return [(one.name, one.step or one.state, one.doing) for one in found][:20]

    def launch(self, **fields: Any) -> LaunchStatus:
        """Submit one launch and wait for its end."""
        return self.ended(self.submit(**fields))[0]

    def until(self, launch: str, step: str, doing: str = "", seconds: float = 20) -> None:
        """Wait until a launch is in a step, and there waits for what is named."""

        def is_there() -> bool:
            status = self.ledger.status(launch)
            return status.step == step and doing in status.doing

        wait_until(is_there, seconds, f"{launch} is in {step} {doing}")

    # The pool

    def call(self, method: str, *params: Any) -> Any:
        """What a user of the pool does by hand."""
        return ByHand(self.pool).call(method, *params)

    def rows(self, cls: str) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.pool.state()[cls]
        return found

    def vms(self) -> dict[str, Mapping[str, Any]]:
        """The pool's ordinary VMs, by name; two of one name fail the test."""
        rows = [row for row in self.rows("VM").values() if _is_ordinary(row)]
        names = [row["name_label"] for row in rows]
        assert len(names) == len(set(names)), f"VMs of one name: {sorted(names)}"
        return {row["name_label"]: row for row in rows}

    def lasting(self) -> dict[str, dict[str, Any]]:
        """All that launches make and undos remove, as it is now."""
        state = self.pool.state()
        return {
            cls: {
                ref: {field: value for field, value in row.items() if field not in CLOCKS}
                for ref, row in state.get(cls, {}).items()
            }
            for cls in LASTING
        }

    def changing_calls(self) -> list[dict[str, Any]]:
        """The calls that changed something; not sessions, tasks, and what a pool itself bears."""
        calls: list[dict[str, Any]] = self.pool.control("GET", "/calls?changing=1")
        aside = ("session.", "task.", "pool.add_to_other_config", "pool.remove_from_other_config")
        return [call for call in calls if not call["method"].startswith(aside)]

    def assert_nothing_held(self) -> None:
        """No slot, reservation, place in a line, wait or claim outlives its launch."""
        kinds = (
            *("inflight", "ready", "parked", "waiting", "fair"),
            *("macs", "hunting", "networks"),
        )
        assert not any(map(any, PoolSlots(self.ledger, "lab").in_use().values())), "a slot is held"
        for kind in kinds:
            key = self.ledger.store.key(kind, self.name)
            assert not self.ledger.store.redis.exists(key), f"{key} is not empty"
        wait_until(lambda: not self.ledger.due(1000), 10, "what is due has been looked at")
        wait_until(lambda: not due_batches(self.ledger), 5, "every batch has been looked at")

    def assert_no_task_is_left(self) -> None:
        """XAPI keeps few tasks: who has read how a call ended takes its task away."""
        ours = (row for row in self.pool.state().get("task", {}).values() if _is_ours(row))
        assert [(row["name_label"], row["other_config"]) for row in ours] == []


def _is_ours(task: Mapping[str, Any]) -> bool:
    return "http:xenlaunch" in task["other_config"] and task["status"] != "pending"


def _is_ordinary(row: Mapping[str, Any]) -> bool:
    return not (row["is_a_template"] or row["is_control_domain"] or row["is_a_snapshot"])


def start(
    url: str, simulator: StartSimulator, worker: StartWorker, *options: str, time_scale: float
) -> Stack:
    return Stack(url, simulator(*options, time_scale=time_scale), worker)
