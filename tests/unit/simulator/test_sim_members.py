"""Each host at an address of its own: who is the master, and what the others say."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest

from simulator.doors import give_addresses
from simulator.errors import ApiError
from simulator.rbac import User


def _beside(pool: Any, name: str) -> Any:
    """The pool as who asks the host sees it, with the same session."""
    other = type(pool)(pool.world)
    other.session, other.host = pool.session, pool.one("host", name).ref
    return other


def test_a_supporter_names_the_master_to_whom_has_or_wants_a_session(
    pretend: Callable[..., None],
) -> None:
    async def scenario(pool: Any) -> None:
        give_addresses(pool.world)
        master, supporter = _beside(pool, "host-1"), _beside(pool, "host-2")
        elsewhere = ["HOST_IS_SLAVE", "127.0.0.1"]

        assert await master.call("VM.get_all")
        assert await supporter.refused("VM.get_all") == elsewhere
        with pytest.raises(ApiError) as refused:
            await supporter.login("root", "wrong, and nobody looks")
        assert refused.value.description == elsewhere
        supporter.session = "none"
        assert await supporter.refused("VM.get_all") == ["SESSION_INVALID", "none"]
        assert await supporter.refused("VM.fly") == ["MESSAGE_METHOD_UNKNOWN", "VM.fly"]

    pretend(scenario)


def test_the_master_moves_and_all_sessions_end(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        give_addresses(pool.world)
        host = pool.one("host", "host-3")
        vm = await pool.vm()
        pool.world.move_master(host)

        assert await pool.refused("VM.get_all") == ["SESSION_INVALID", pool.session]
        with pytest.raises(ApiError) as refused:
            await _beside(pool, "host-1").login("root", "xenroot")
        assert refused.value.description == ["HOST_IS_SLAVE", "127.0.0.3"]
        session = await _beside(pool, "host-3").login("root", "xenroot")
        assert await session.call("VM.get_name_label", vm.ref) == "web"
        assert pool.db.get("session", session.session)["this_host"] == host.ref

    pretend(scenario)


def test_a_local_session_is_good_for_its_host_and_emergencies(
    pretend: Callable[..., None],
) -> None:
    async def scenario(pool: Any) -> None:
        give_addresses(pool.world)
        supporter, other = _beside(pool, "host-2"), _beside(pool, "host-3")
        supporter.session = other.session = await supporter.local_login("root", "xenroot")
        host = pool.one("host", "host-2").ref

        assert await supporter.call("pool.is_slave", host) is True
        assert await supporter.call("host.is_in_emergency_mode") is False
        assert (await supporter.refused("VM.get_all"))[0] == "HOST_IS_SLAVE"
        assert await other.refused("pool.is_slave", host) == ["SESSION_INVALID", other.session]
        assert not any(row.ref == supporter.session for row in pool.db.all("session"))
        await supporter.call("session.local_logout")
        assert (await supporter.refused("pool.is_slave", host))[0] == "SESSION_INVALID"
        with pytest.raises(ApiError) as refused:
            await supporter.local_login("root", "wrong")
        assert refused.value.code == "SESSION_AUTHENTICATION_FAILED"

    pretend(scenario)


def test_while_booting_hardly_anything_is_answered(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        pool.world.restart(booting=60)

        assert await pool.refused("VM.get_all") == ["HOST_STILL_BOOTING"]
        assert await pool.refused("VM.fly") == ["HOST_STILL_BOOTING"]
        pool.session = await pool.local_login("root", "xenroot")
        assert await pool.call("host.is_in_emergency_mode") is True
        pool.world.restart()
        assert (await pool.refused("VM.get_all"))[0] == "SESSION_INVALID"

    pretend(scenario)


def test_only_eight_log_in_at_once(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        await asyncio.gather(*(pool.login("root", "xenroot") for _ in range(16)))
        loop = asyncio.get_running_loop()
        pool.world.latency.set({"session.login_with_password": 0.05})

        begun = loop.time()
        await asyncio.gather(*(pool.login("root", "xenroot") for _ in range(16)))

        assert 0.1 <= loop.time() - begun < 2

    pretend(scenario)


def test_a_directory_is_asked_by_one_at_a_time_and_refuses_slowly(
    pretend: Callable[..., None],
) -> None:
    async def scenario(pool: Any) -> None:
        loop = asyncio.get_running_loop()
        pool.world.latency.set({"session.login_with_password": 0.02, "session.refused": 0.1})

        begun = loop.time()
        await asyncio.gather(*(pool.login("reader", "secret") for _ in range(5)))
        assert loop.time() - begun >= 0.1
        begun = loop.time()
        with pytest.raises(ApiError):
            await pool.login("reader", "wrong")
        assert loop.time() - begun >= 0.12

    pretend(scenario, users=(User("reader", "secret", "read-only"),))


def test_sessions_are_capped_by_originator_and_by_user(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        sessions = pool.world.sessions
        for user, originator, opened, kept in (
            ("root", "many", 503, 500),
            ("root", "", 402, 400),
            ("reader", "a", 300, 300),
        ):
            rows = [sessions.open(user, originator) for _ in range(opened)]
            sessions.collect(max(sessions._active.values()))
            left = [row.ref for row in rows if pool.db.find("session", row.ref)]
            assert left == [row.ref for row in rows[-kept:]]
        for _ in range(201):
            sessions.open("reader", "b")
        sessions.collect(max(sessions._active.values()))
        mine = [row for row in pool.db.all("session") if row["auth_user_name"] == "reader"]
        assert len(mine) == 500

    pretend(scenario, users=(User("reader", "secret", "read-only"),))


def test_idle_sessions_end_after_a_day_unless_they_work(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        sessions = pool.world.sessions
        at = max(sessions._active.values())
        working = sessions.open("root", "works").ref
        task = pool.world.tasks.create("work")
        pool.world.tasks.session_of[task.ref] = working

        sessions.collect(at + 24 * 3600 - 1)
        assert pool.db.find("session", pool.session)
        sessions.collect(at + 24 * 3600 + 60)
        assert not pool.db.find("session", pool.session)
        assert pool.db.find("session", working)
        pool.world.tasks.succeed(task, "")
        sessions.collect(at + 24 * 3600 + 60)
        assert not pool.db.find("session", working)

    pretend(scenario)


def _ask(line: http.client.HTTPConnection, method: str, *params: Any) -> None:
    call = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
    line.request("POST", "/jsonrpc", json.dumps(call))


def _name_at(sim: Any, address: str) -> str:
    """What answers there: the master, or the code and the address by which a supporter names it."""
    line = http.client.HTTPConnection(address, sim.port, timeout=10)
    try:
        _ask(line, "session.login_with_password", "root", "xenroot")
        answer = json.load(line.getresponse())
    finally:
        line.close()
    if "result" in answer:
        return "the master"
    return " ".join((answer["error"]["message"], *answer["error"]["data"]))


def test_a_host_listens_where_it_does_whatever_its_row_says(
    start_simulator: Callable[..., Any],
) -> None:
    sim = start_simulator("--listen-all", "--time-scale", "0")
    session = sim.login()
    (master,) = sim.rpc("host.get_by_name_label", session, "host-1")["result"]
    sim.rpc("host.set_address", session, master, "10.0.0.1")

    assert _name_at(sim, "127.0.0.1") == "the master"
    assert _name_at(sim, "127.0.0.2") == "HOST_IS_SLAVE 10.0.0.1"


def test_a_pool_that_is_loaded_listens_where_the_old_one_did(
    start_simulator: Callable[..., Any],
) -> None:
    sim = start_simulator("--listen-all", "--time-scale", "0", "--hosts", "3")
    other = start_simulator("--time-scale", "0", "--hosts", "2")
    mine = sim.control("GET", "/state")

    sim.control("PUT", "/state", other.control("GET", "/state"))
    assert _name_at(sim, "127.0.0.1") == "the master"
    assert _name_at(sim, "127.0.0.2") == "HOST_IS_SLAVE 127.0.0.1"
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        _name_at(sim, "127.0.0.3")  # it has no such host

    mine["host"] = dict(reversed(mine["host"].items()))  # a file may have been sorted
    for _ in range(2):
        sim.control("PUT", "/state", mine)
        sim.control("POST", "/master/host-2")
        (pool,) = sim.control("GET", "/state")["pool"].values()
        address = sim.control("GET", "/state")["host"][pool["master"]]["address"]
        assert _name_at(sim, address) == "the master"
        there = {_name_at(sim, f"127.0.0.{number}") for number in (1, 2, 3)}
        assert there == {"the master", f"HOST_IS_SLAVE {address}"}


def test_a_master_that_is_dead_is_silent(start_simulator: Callable[..., Any]) -> None:
    sim = start_simulator("--listen-all", "--time-scale", "0")
    session = sim.login()
    token = sim.rpc("event.from", session, ["vm"], "", 0.0)["result"]["token"]
    waiting, new = (http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10) for _ in "ab")
    supporter = http.client.HTTPConnection("127.0.0.2", sim.port, timeout=10)
    _ask(waiting, "event.from", session, ["vm"], token, 60.0)
    sim.control("POST", "/hosts/host-1/kill")

    for line in (waiting, new):
        with contextlib.suppress(ConnectionError):  # it may hang up while it is still being asked
            if line is new:
                line.request("PUT", f"/import_raw_vdi?session_id={session}", b"x" * 2**20)
        with pytest.raises((ConnectionError, http.client.ResponseNotReady)):
            line.getresponse()
        line.close()
    _ask(supporter, "session.login_with_password", "root", "xenroot")
    assert json.load(supporter.getresponse())["error"]["message"] == "HOST_IS_SLAVE"
    supporter.close()  # a new master hangs up on all
    sim.control("POST", "/master/host-2")
    _ask(supporter, "VM.get_all", session)
    assert json.load(supporter.getresponse())["error"]["message"] == "SESSION_INVALID"
    supporter.close()
