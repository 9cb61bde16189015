"""event.from: tokens, filters, snapshots, deletions, and who wakes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

Pretend = Callable[..., None]


async def follow(pool: Any, classes: list[str], token: str = "", seconds: float = 0.0) -> Any:
    return await pool.call("event.from", classes, token, seconds)


def short(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(event["operation"], event["class"]) for event in answer["events"]]


def test_an_empty_token_brings_everything_as_additions(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        answer = await follow(pool, ["Host", "sr"])

        assert sorted(short(answer)) == [("add", "host")] * 4 + [("add", "sr")] * 3
        assert answer["valid_ref_counts"] == {"host": 4, "sr": 3}
        first, second = answer["token"].split(",")
        assert (len(first), len(second)) == (20, 20)
        assert (await follow(pool, ["host", "sr"], answer["token"]))["events"] == []

    pretend(scenario)


def test_changes_coalesce_and_deletions_bear_no_snapshot(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        token = (await follow(pool, ["vm"]))["token"]
        await pool.call("VM.set_name_description", vm.ref, "one")
        await pool.call("VM.set_name_description", vm.ref, "two")
        changed = await follow(pool, ["vm"], token)
        (event,) = changed["events"]
        assert (event["operation"], event["ref"], event["timestamp"]) == ("mod", vm.ref, "0.0")
        assert event["snapshot"].row["name_description"] == "two"

        await pool.call("VM.destroy", vm.ref)
        (gone,) = (await follow(pool, ["vm"], changed["token"]))["events"]
        assert set(gone) == {"id", "timestamp", "class", "operation", "ref"}
        assert gone["operation"] == "del"

    pretend(scenario)


def test_a_write_of_the_same_value_is_no_event(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        token = (await follow(pool, ["vm"]))["token"]
        await pool.call("VM.set_name_label", vm.ref, "web")
        assert (await follow(pool, ["vm"], token))["events"] == []

    pretend(scenario)


def test_a_relation_changes_both_of_its_sides(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        token = (await follow(pool, ["*"]))["token"]
        (vbd,) = vm["VBDs"]
        await pool.call("VBD.destroy", vbd)
        answer = await follow(pool, ["vm", "vbd", "vdi"], token)
        assert sorted(short(answer)) == [("del", "vbd"), ("mod", "vdi"), ("mod", "vm")]

    pretend(scenario)


def test_a_single_object_is_followed_and_waited_for(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        pool.world.latency.set({"VDI.clone": 0.05})
        template = pool.one("VM", "debian-12").ref
        task = await pool.call("Async.VM.clone", template, "one")
        other = await pool.call("Async.VM.clone", template, "two")
        token, status = "", "pending"
        while status == "pending":
            answer = await follow(pool, [f"task/{task}"], token, 10)
            token = answer["token"]
            assert {event["ref"] for event in answer["events"]} == {task}
            status = answer["events"][-1]["snapshot"].row["status"]
        assert status == "success"
        await pool.ended(other)

    pretend(scenario)


def test_a_timeout_gives_no_events_and_a_token(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        token = (await follow(pool, ["vm"]))["token"]
        answer = await follow(pool, ["vm"], token, 0.08)
        assert (answer["events"], answer["token"]) == ([], token)

    pretend(scenario)


def test_logging_out_wakes_who_waits_in_the_session(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        token = (await follow(pool, ["vm"]))["token"]
        waiting = asyncio.ensure_future(pool.refused("event.from", ["vm"], token, 60.0))
        await pool.until(lambda: pool.world.events._by_session, "event.from waits")

        pool.world.sessions.close(pool.session)

        assert await waiting == ["SESSION_INVALID", pool.session]

    pretend(scenario)


def test_bad_tokens_and_subscriptions(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        for token in ("x", f"{'1' * 5000},0", f"0,{'1' * 5000}", f"{2**63},0", "\u0664,0", "-1,0"):
            refused = await pool.refused("event.from", ["vm"], token, 0.0)
            assert refused == ["EVENT_FROM_TOKEN_PARSE_FAILURE", token]
        assert await pool.refused("event.from", ["vm/"], "", 0.0) == [
            "EVENT_SUBSCRIPTION_PARSE_FAILURE",
            "vm/",
        ]
        assert (await follow(pool, ["session", "secret"]))["events"] == []

    pretend(scenario)


def test_inject_is_a_barrier(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        before = (await follow(pool, ["pool"]))["token"]
        ref = pool.db.only("pool").ref
        token = await pool.call("event.inject", "pool", ref)
        assert token > before
        assert short(await follow(pool, ["pool"], before)) == [("mod", "pool")]
        assert (await follow(pool, ["pool"], token))["events"] == []

    pretend(scenario)


def test_the_history_of_deletions_is_trimmed(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        tasks = pool.world.tasks
        rows = [tasks.create(f"t{n}") for n in range(600)]
        token = pool.world.events.token()
        for row in rows:
            tasks.remove(row)
        answer = await follow(pool, ["task"], token)
        # 513 deletions leave 256; the 87 that follow are kept: what is lost shows in the counts.
        assert len(answer["events"]) == 256 + 600 - 513
        assert answer["valid_ref_counts"] == {"task": 0}

    pretend(scenario)


def test_register_and_next(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        assert (await pool.refused("event.next"))[0] == "SESSION_NOT_REGISTERED"
        vm = await pool.vm()
        await pool.call("event.register", ["vm"])
        await pool.call("VM.set_user_version", vm.ref, 9)
        (event,) = await pool.call("event.next")
        assert (event["operation"], event["ref"]) == ("mod", vm.ref)

    pretend(scenario)


def test_next_waits_longer_for_a_burst_to_end(pretend_at_length: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        loop = asyncio.get_running_loop()
        vm = pool.one("VM", "debian-12").ref
        pool.world.tasks.create("work")
        for method, args, expected in (
            ("event.next", (), 0.2),
            ("event.from", (["vm"], "", 30.0), 0.05),
            ("event.from", (["task"], "", 30.0), 0.0),
        ):
            await pool.call("event.register", ["vm"])
            pool.db.touch(pool.db.get("VM", vm))
            begun = loop.time()
            await pool.call(method, *args)
            assert loop.time() - begun == pytest.approx(expected, abs=0.01), method

    pretend_at_length(scenario, time_scale=0.0)


def test_too_much_that_nobody_asked_for_is_lost(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = pool.one("VM", "debian-12").ref
        await pool.call("event.register", ["vm"])
        await pool.call("VM.add_to_other_config", vm, "large", "x" * (10 * 2**20))

        assert await pool.refused("event.next") == ["EVENTS_LOST"]

        await pool.call("VM.remove_from_other_config", vm, "large")
        (event,) = await pool.call("event.next")
        assert event["ref"] == vm

    pretend(scenario)
