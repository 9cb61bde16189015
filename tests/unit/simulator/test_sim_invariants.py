"""Random calls, side by side, hold what must always hold."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from simulator.errors import ApiError
from tests.support.pretended import assert_whole

Pretend = Callable[..., None]


async def act(pool: Any, chance: random.Random) -> None:
    """One random operation on a random VM; to be refused is as good as to succeed."""
    vms = [vm for vm in pool.db.all("VM") if not vm["is_control_domain"]]
    vm = chance.choice(vms)
    hosts = pool.db.all("host")
    size = chance.choice([2**30, 50 * 2**30, 100 * 2**30])
    method, args = chance.choice(
        [
            ("VM.clone", (vm.ref, f"vm-{chance.randrange(99)}")),
            ("VM.provision", (vm.ref,)),
            ("VM.set_memory_limits", (vm.ref, 0, size, size, size)),
            ("VM.start_on", (vm.ref, chance.choice(hosts).ref, False, True)),
            ("VM.start", (vm.ref, False, True)),
            ("VM.hard_shutdown", (vm.ref,)),
            ("VM.destroy", (vm.ref,)),
            *[("VBD.destroy", (ref,)) for ref in vm["VBDs"][:1]],
            *[("VDI.destroy", (v["VDI"],)) for v in pool.db.rows("VBD", vm["VBDs"][:1])],
        ]
    )
    if not vm["name_label"].startswith("vm-"):  # what the pool came with is only cloned
        method, args = "VM.clone", (vm.ref, f"vm-{chance.randrange(99)}")
    with contextlib.suppress(ApiError):  # a bug would be on stderr
        if chance.random() < 0.5:
            await pool.call(method, *args)
        else:
            task = await pool.call(f"Async.{method}", *args)
            if chance.random() < 0.2:
                await pool.call("task.cancel", task)


@pytest.mark.parametrize("seed", range(4))
def test_random_calls_keep_the_pool_whole(
    pretend: Pretend, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(pool: Any) -> None:
        chance = random.Random(seed)

        async def client() -> None:
            for _ in range(60):
                await act(pool, chance)
                assert_whole(pool.db)

        await asyncio.gather(*(client() for _ in range(5)))
        await pool.until(
            lambda: all(t["status"] != "pending" for t in pool.db.all("task")), "all is done"
        )
        assert_whole(pool.db)
        for cls in ("VM", "VBD", "VIF", "VDI", "SR", "host"):
            assert all(row["current_operations"] == {} for row in pool.db.all(cls))

    pretend(scenario, time_scale=0.0005)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("seed", range(3))
def test_following_events_gives_the_state(pretend: Pretend, seed: int) -> None:
    """Whoever replays the stream holds, in the end, what the pool holds."""
    classes = ("VM", "VBD", "VIF", "VDI", "SR")

    async def scenario(pool: Any) -> None:
        chance, mine, token = random.Random(seed), dict[str, dict[str, Any]](), ""

        async def look() -> None:
            nonlocal token
            answer = await pool.call("event.from", list(classes), token, 0.0)
            token = answer["token"]
            for event in answer["events"]:
                if event["operation"] == "del":
                    mine.pop(event["ref"], None)
                else:
                    mine[event["ref"]] = dict(event["snapshot"].row.record())

        for _ in range(8):
            for _ in range(20):
                await act(pool, chance)
            await look()
        await pool.until(
            lambda: all(t["status"] != "pending" for t in pool.db.all("task")), "all is done"
        )
        await look()
        assert mine == {row.ref: row.record() for cls in classes for row in pool.db.all(cls)}

    pretend(scenario)


async def restart_in_a_storm(pool: Any, chance: random.Random) -> None:
    """Restart xapi again and again while clients are at work, then stop what runs."""
    world = pool.world
    world.latency.set({"VM.start": 0.003, "VDI.clone": 0.002})
    for _ in range(15):
        calls = [asyncio.ensure_future(act(pool, chance)) for _ in range(8)]
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        world.restart()
        await asyncio.gather(*calls, return_exceptions=True)
        assert pool.db.all("task") == pool.db.all("session") == []
        pool.session = world.sessions.open("root", "test").ref
    await pool.until(lambda: not any(world._on_hosts.values()), "the hosts are done")
    for vm in pool.db.all("VM"):
        if vm["name_label"].startswith("vm-") and vm["power_state"] == "Running":
            await pool.done("VM.hard_shutdown", vm.ref)


@pytest.mark.parametrize("seed", range(4))
def test_restarts_at_any_moment_leave_a_pool_that_works(
    pretend: Pretend, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(pool: Any) -> None:
        await restart_in_a_storm(pool, random.Random(seed))
        vm = await pool.vm("after")
        await pool.done("VM.start", vm.ref, False, True)
        for cls in ("VM", "VBD", "VIF", "VDI", "SR", "host"):
            assert all(row["current_operations"] == {} for row in pool.db.all(cls))

    pretend(scenario)
    assert capsys.readouterr().err == ""
