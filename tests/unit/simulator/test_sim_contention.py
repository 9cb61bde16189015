"""Hundreds of clones at once: what runs, what waits, what is refused, and how long it takes.

Latencies are at their full length, in virtual time; what a storm must take follows from the
figures of latency.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from simulator.db import Row
from simulator.latency import FIGURES, JITTER
from simulator.locks import WAITERS_MAX
from simulator.values import EPOCH

Pretend = Callable[..., None]

STORM = 500
CLONE = FIGURES["VDI.clone"].seconds
ROWS = FIGURES["VM.clone rows"].seconds


class Watch:
    """When disks appeared and tasks ended, and the most that one SR did at once."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.disks: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.all_ended = asyncio.Event()
        self.most_at_once = 0
        self._before = {row.ref for row in pool.db.all("VDI")}
        self._tell = pool.db.on_change
        pool.db.on_change = self._note

    def _note(self, cls: str, ref: str) -> None:
        self._tell(cls, ref)
        row, now = self.pool.db.find(cls, ref), asyncio.get_running_loop().time()
        if cls == "VDI" and row and ref not in self._before:
            self.disks.setdefault(ref, now)
        elif cls == "SR" and row:
            self.most_at_once = max(self.most_at_once, len(row["current_operations"]))
        elif cls == "task" and row and row["finished"] != EPOCH:
            self._note_end(row, now)

    def _note_end(self, task: Row, now: float) -> None:
        if task["name_label"] == "Async.VM.clone" and task["status"] != "pending":
            self.ended.setdefault(task.ref, now)
            if len(self.ended) == STORM:
                self.all_ended.set()

    def disks_of(self, sr: Row) -> list[float]:
        rows = self.pool.db.rows("VDI", list(self.disks))
        return sorted(self.disks[row.ref] for row in rows if row["SR"] == sr.ref)


async def submit(pool: Any, count: int) -> list[str]:
    templates = pool.db.by_name("VM", "debian-12")
    return [
        await pool.call("Async.VM.clone", templates[n % len(templates)].ref, f"vm-{n}")
        for n in range(count)
    ]


def predicted(disks: int) -> float:
    """One SR makes its disks one after the other; the last one's rows follow them."""
    return disks * CLONE + ROWS


def test_500_clones_at_once_are_served_one_by_one_or_refused(pretend_at_length: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        watch, before = Watch(pool), len(pool.db.all("VM"))
        rows = pool.db.rows("task", await submit(pool, STORM))
        await watch.all_ended.wait()
        makespan = max(watch.ended.values())

        # One holds the SR, so many may wait for it, and there is no room for the next.
        served = 1 + WAITERS_MAX
        ends = Counter((row["status"], *row["error_info"]) for row in rows)
        assert ends == {
            ("success",): served,
            ("failure", "TOO_MANY_PENDING_TASKS"): STORM - served,
        }
        assert watch.most_at_once == 1
        made = watch.disks_of(pool.db.by_name("SR", "sr-1")[0])
        gaps = [after - before for before, after in pairwise(made)]
        assert len(made) == served
        assert min(gaps) >= CLONE * (1 - JITTER) - 1e-6
        assert makespan == pytest.approx(predicted(served), rel=0.05)
        # The refused left nothing behind, and were told at once.
        assert len(pool.db.all("VM")) == before + served
        assert sorted(watch.ended.values())[STORM - served - 1] < 1

    pretend_at_length(scenario, hosts=4, srs=1)


@pytest.mark.parametrize("srs", [1, 2, 4])
def test_a_client_that_queues_gets_all_500_at_the_pace_of_the_srs(
    pretend_at_length: Pretend, srs: int
) -> None:
    async def scenario(pool: Any) -> None:
        watch = Watch(pool)
        templates = pool.db.by_name("VM", "debian-12")

        async def clone(template: Row, places: asyncio.Semaphore, name: str) -> None:
            async with places:
                await pool.call("VM.clone", template.ref, name)

        work = []
        for template in templates:
            queue = asyncio.Semaphore(2)
            work += [clone(template, queue, f"vm-{n}") for n in range(STORM // srs)]
        await asyncio.gather(*work)

        makespan = asyncio.get_running_loop().time()
        assert watch.most_at_once == 1
        assert len(watch.disks) == STORM
        assert makespan == pytest.approx(predicted(STORM // srs), rel=0.05)

    pretend_at_length(scenario, hosts=4, srs=srs)


def test_starts_wait_for_the_workers_of_their_host(pretend_at_length: Pretend) -> None:
    """So many starts run on a host at once; the rest queue, and nobody is refused."""
    vms, workers = 40, 4

    async def scenario(pool: Any) -> None:
        host = pool.db.by_name("host", "host-1")[0]
        [template] = pool.db.by_name("VM", "debian-12")
        made = [await pool.call("VM.clone", template.ref, f"vm-{n}") for n in range(vms)]
        for vm in made:
            await pool.call("VM.provision", vm)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(pool.call("VM.start_on", vm, host.ref, False, False) for vm in made))

        took = asyncio.get_running_loop().time() - began
        assert took == pytest.approx(vms / workers * FIGURES["VM.start"].seconds, rel=0.05)

    pretend_at_length(scenario, hosts=1, srs=1, host_workers=workers)


def test_on_a_slow_sr_everything_takes_so_many_times_as_long(pretend_at_length: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        took = []
        for times in (1, 10):
            (sr,) = pool.db.by_name("SR", "sr-1")
            pool.world.slowness[sr.ref] = times
            began = asyncio.get_running_loop().time()
            (template,) = pool.db.by_name("VM", "debian-12")
            await pool.call("VM.clone", template.ref, f"vm-{times}")
            took.append(asyncio.get_running_loop().time() - began)

        assert took[0] == pytest.approx(CLONE + ROWS, rel=JITTER)
        assert took[1] == pytest.approx(10 * CLONE + ROWS, rel=JITTER)

    pretend_at_length(scenario, hosts=1, srs=1)
