"""Users beside root, and what their roles allow."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator.__main__ import main
from simulator.errors import ApiError
from simulator.rbac import User, permissions, read_users, role_ref
from simulator.schema.roles import ROLES, roles_for

USERS = tuple(User(role, "secret", role) for role in ROLES)


@pytest.mark.parametrize(
    ("call", "least"),
    [
        ("VM.get_record", "read-only"),
        ("task.cancel", "read-only"),
        ("VM.start", "vm-operator"),
        ("VM.clone", "vm-admin"),
        ("VBD.create", "vm-admin"),
        ("VM.start_on", "vm-power-admin"),
        ("VM.set_memory_limits", "vm-power-admin"),
        ("SR.scan", "vm-power-admin"),
        ("VLAN.create", "pool-operator"),
        ("network.attach", "pool-operator"),
        ("VM.power_state_reset", "pool-operator"),
        ("host.call_plugin", "pool-admin"),
    ],
)
def test_the_least_role_of_a_call(call: str, least: str) -> None:
    plain = [role for role in roles_for(call) if role != "client-cert"]

    assert plain == [role for role in ROLES if role != "client-cert"][: len(plain)]
    assert plain[-1] == least


def test_a_certificate_may_start_and_shut_down_but_not_clone() -> None:
    assert "client-cert" in roles_for("VM.start_on")
    assert "client-cert" in roles_for("VM.shutdown")
    assert "client-cert" not in roles_for("VM.clone")


def test_a_read_only_user_is_refused_before_anything_happens(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        session = await pool.login("read-only", "secret")
        template = pool.one("VM", "debian-12").ref
        roles = "pool-admin, pool-operator, vm-power-admin, vm-admin"
        expected = [
            "RBAC_PERMISSION_DENIED",
            "vm.clone",
            f"No permission in user session. (Roles with this permission: {roles})",
        ]

        assert await session.refused("VM.clone", template, "x") == expected
        assert await session.refused("Async.VM.clone", template, "x") == expected
        assert await session.refused("VM.clone", "no VM", "x") == expected
        assert not pool.db.all("task")
        assert await session.call("VM.get_name_label", template) == "debian-12"

    pretend(scenario, users=USERS)


def test_the_session_is_checked_before_the_role(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        session = await pool.login("read-only", "secret")
        await session.call("session.logout")

        refused = await session.refused("VM.clone", "no VM", "x")

        assert refused == ["SESSION_INVALID", session.session]

    pretend(scenario, users=USERS)


def test_a_vm_admin_clones_and_only_a_power_admin_starts_on_a_host(
    pretend: Callable[..., None],
) -> None:
    async def scenario(pool: Any) -> None:
        admin, power = (
            await pool.login("vm-admin", "secret"),
            await pool.login("vm-power-admin", "secret"),
        )
        vm = await admin.call("VM.clone", pool.one("VM", "debian-12").ref, "a")
        await admin.call("VM.provision", vm)
        on_host = [vm, pool.one("host", "host-1").ref, False, False]

        assert (await admin.refused("VM.start_on", *on_host))[1] == "vm.start_on"
        assert await power.call("VM.start_on", *on_host) == ""

    pretend(scenario, users=USERS)


def test_a_session_tells_whose_it_is(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        row = pool.db.get("session", (await pool.login("vm-operator", "secret")).session)
        subject = pool.db.get("subject", row["subject"])
        role = pool.db.get("role", subject["roles"][0])

        assert row["auth_user_name"] == "vm-operator"
        assert row["auth_user_sid"] == subject["subject_identifier"]
        assert role["name_label"] == "vm-operator"
        assert not row["is_local_superuser"]
        assert "vm.start" in row["rbac_permissions"]
        assert "vm.clone" not in row["rbac_permissions"]
        root = pool.db.get("session", pool.session)
        assert root["is_local_superuser"]
        assert root["rbac_permissions"] == []

    pretend(scenario, users=USERS)


def test_an_operator_logs_a_user_out_everywhere(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        operator = await pool.login("pool-operator", "secret")
        first, second = [await pool.login("read-only", "secret") for _ in range(2)]
        sid = pool.db.get("session", first.session)["auth_user_sid"]

        assert sid in await operator.call("session.get_all_subject_identifiers")
        await operator.call("session.logout_subject_identifier", sid)
        for gone in (first, second):
            assert await gone.refused("VM.get_all") == ["SESSION_INVALID", gone.session]
        assert await operator.call("VM.get_all")

    pretend(scenario, users=USERS)


def test_the_roles_of_a_subject_count_from_the_next_login(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        reader = await pool.login("read-only", "secret")
        subject = pool.db.get("session", reader.session)["subject"]
        await pool.call("subject.add_to_roles", subject, role_ref("vm-admin"))

        template = pool.one("VM", "debian-12").ref
        assert (await reader.refused("VM.clone", template, "a"))[0] == "RBAC_PERMISSION_DENIED"
        assert await (await pool.login("read-only", "secret")).call("VM.clone", template, "a")
        for role in ("vm-admin", "read-only"):
            await pool.call("subject.remove_from_roles", subject, role_ref(role))
        with pytest.raises(ApiError) as refused:
            await pool.login("read-only", "secret")
        assert refused.value.description[:2] == ["SESSION_AUTHORIZATION_FAILED", "read-only"]
        await pool.call("subject.destroy", subject)
        with pytest.raises(ApiError) as refused:
            await pool.login("read-only", "secret")
        assert refused.value.code == "SESSION_AUTHORIZATION_FAILED"

    pretend(scenario, users=USERS)


def test_a_task_is_cancelled_by_its_owner_or_an_operator(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        first, second = (
            await pool.login("vm-admin", "secret"),
            await pool.login("read-only", "secret"),
        )
        task = await first.call("task.create", "work", "")

        refused = await second.refused("task.cancel", task)
        assert refused[:2] == ["RBAC_PERMISSION_DENIED", "task.cancel/any"]
        refused = await second.refused("task.destroy", task)
        assert refused[:2] == ["RBAC_PERMISSION_DENIED", "task.destroy/any"]
        operator = await pool.login("pool-operator", "secret")
        await operator.call("task.cancel", task)
        await first.call("task.set_status", task, "success")
        await first.call("task.destroy", task)
        assert await first.refused("task.destroy", task) == ["HANDLE_INVALID", "task", task]

    pretend(scenario, users=USERS)


def test_wrong_passwords_and_strangers_are_refused_alike(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        for user, password in (("vm-admin", "xenroot"), ("stranger", "secret"), ("root", "")):
            with pytest.raises(ApiError) as refused:
                await pool.login(user, password)
            assert refused.value.description == [
                "SESSION_AUTHENTICATION_FAILED",
                user,
                "Authentication failure",
            ]

    pretend(scenario, users=USERS)


def test_a_higher_role_may_do_what_a_lower_one_may() -> None:
    ordered = [role for role in ROLES if role != "client-cert"]

    for higher, lower in itertools.pairwise(ordered):
        assert set(permissions(lower)) < set(permissions(higher))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "a list"),
        ([{"name": "a"}], "a user is"),
        ([{"name": "a", "password": "", "role": "read-only"}], "not empty"),
        ([{"name": "a", "password": "b", "role": "king"}], "no role is called 'king'"),
        ([{"name": "a", "password": "b", "role": "read-only"}] * 2, "two users"),
    ],
)
def test_what_is_wrong_with_a_list_of_users_is_said(given: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        read_users(given)


def test_the_command_line_says_what_is_wrong_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    users = tmp_path / "users.json"
    users.write_text(json.dumps([{"name": "a", "password": "b", "role": "king"}]))

    with pytest.raises(SystemExit):
        main(["--users", str(users)])

    assert "no role is called 'king'" in capsys.readouterr().err
