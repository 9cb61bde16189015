"""The order in which a call is refused, and the calls that follow from the schema."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from simulator.dispatch import METHODS, serve
from simulator.errors import ApiError


def test_the_name_comes_before_the_count_the_types_and_the_session(
    pretend: Callable[..., None],
) -> None:
    async def scenario(pool: Any) -> None:
        def refusal(method: str, *params: Any) -> list[str]:
            with pytest.raises(ApiError) as refused:
                serve(pool.world, method, params, {})
            return refused.value.description

        assert refusal("VM.fly", 1, 2, 3) == ["MESSAGE_METHOD_UNKNOWN", "VM.fly"]
        count = ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_power_state", "1", "0"]
        assert refusal("VM.get_power_state", 1) == count
        assert refusal("VM.get_power_state", "no session", 5) == [
            "INTERNAL_ERROR",
            "Failure(\"Expected string, got 'I(5)'\")",
        ]
        assert refusal("VM.get_power_state", "no session", "no VM") == [
            "SESSION_INVALID",
            "no session",
        ]
        assert refusal("VM.get_power_state", pool.session, "no VM") == [
            "HANDLE_INVALID",
            "VM",
            "no VM",
        ]
        assert refusal("VM.get_by_uuid", pool.session, "x") == ["UUID_INVALID", "VM", "x"]

    pretend(scenario)


def test_more_parameters_pass_only_where_one_is_optional(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        world = pool.world
        session = await serve(
            world, "session.login_with_password", ["root", "xenroot", "1", "me", "more"], {}
        )
        assert pool.db.get("session", session)["originator"] == "me"
        with pytest.raises(ApiError) as refused:
            serve(world, "VM.get_all", [pool.session, "more"], {})
        assert refused.value.description == [
            "MESSAGE_PARAMETER_COUNT_MISMATCH",
            "VM.get_all",
            "0",
            "1",
        ]

    pretend(scenario)


def test_async_is_there_with_dots_and_only_for_some(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        template = pool.one("VM", "debian-12").ref

        assert await pool.refused("Async.VM.get_record", template) == [
            "Fault",
            "No async mode for this operation (rpc: VM.get_record)",
        ]
        assert await pool.refused("Async_VM_clone", template, "x") == [
            "MESSAGE_METHOD_UNKNOWN",
            "Async_VM_clone",
        ]
        assert await pool.call("VM_get_name_label", template) == "debian-12"

    pretend(scenario)


def test_maps_and_sets_are_changed_by_key(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        vm = pool.one("VM", "debian-12").ref
        await pool.call("VM.add_to_other_config", vm, "owner", "team-a")

        assert await pool.refused("VM.add_to_other_config", vm, "owner", "b") == [
            "MAP_DUPLICATE_KEY",
            "VM",
            "other_config",
            vm,
            "owner",
        ]
        await pool.call("VM.remove_from_other_config", vm, "owner")
        await pool.call("VM.remove_from_other_config", vm, "owner")
        assert "owner" not in await pool.call("VM.get_other_config", vm)
        for _ in range(2):
            await pool.call("VM.add_tags", vm, "web")
        assert await pool.call("VM.get_tags", vm) == ["web"]

    pretend(scenario)


_DOM0S = {f"Control domain on host: host-{n}" for n in range(1, 5)}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('field "name__label"="debian-12"', {"debian-12"}),
        ('true or true and field "name__label"="debian-12"', {"debian-12"}),
        ('not field "name__label"="x" or field "name__label"="y" and true and false', None),
        (
            '(field "is_a_template"="true") and not field "is_default_template"="true"',
            {"debian-12", "windows-2022", "centos-6-pv"},
        ),
        (
            'field "PV__bootloader"="pygrub"and true or\tfield "name__label"="windows-2022"',
            {"centos-6-pv", "windows-2022"},
        ),
        ('false or (true and field "power_state"="Running")', _DOM0S),
    ],
)
def test_filters(pretend: Callable[..., None], expression: str, names: set[str] | None) -> None:
    async def scenario(pool: Any) -> None:
        found = await pool.call("VM.get_all_records_where", expression)
        labels = {snapshot.row["name_label"] for snapshot in found.values()}
        refs = await pool.call("VM.get_all_where", expression)
        assert set(refs) == set(found)
        assert labels == (names or {vm["name_label"] for vm in pool.db.all("VM")})

    pretend(scenario)


_BAD = [
    'field "no"="x"', 'field "name_label"="debian-12"', 'field "uuid"=', '"a"="b" ?', "", "(", ")",
    "true)", "not", "(true", "true and", "true true", "and true", "not (",
    pytest.param("(" * 50_000, id="brackets"),
]  # fmt: skip


@pytest.mark.parametrize("expression", _BAD)
def test_a_bad_filter_is_an_invalid_value(pretend: Callable[..., None], expression: str) -> None:
    async def scenario(pool: Any) -> None:
        assert (await pool.refused("VM.get_all_where", expression))[:2] == [
            "INVALID_VALUE",
            expression,
        ]

    pretend(scenario)


@pytest.mark.parametrize(
    ("deep", "count"),
    [
        ("true or " * 20_000 + "true", 4),
        ("true and " * 20_000 + "true", 4),
        ("not " * 20_001 + "true", 0),
        ("(" * 50_000 + "true" + ")" * 50_000, 4),
        ("(false or " * 20_000 + "true" + ")" * 20_000, 4),
    ],
    ids=["or", "and", "not", "brackets", "both"],
)
def test_a_filter_may_be_as_deep_as_a_request_is_long(
    pretend: Callable[..., None], deep: str, count: int
) -> None:
    async def scenario(pool: Any) -> None:
        assert len(await pool.call("host.get_all_where", deep)) == count

    pretend(scenario)


def test_a_field_is_told_by_its_namespace(pretend: Callable[..., None]) -> None:
    """The fields of the pool's name are plain ones, unlike those of all other names."""

    async def scenario(pool: Any) -> None:
        for cls, field in (
            ("pool", "name_label"),
            ("host", "API_version__major"),
            ("VM_guest_metrics", "PV_drivers_detected"),
            ("VBD", "qos__algorithm_type"),
            ("VBD_metrics", "io__read_kbs"),
            ("VM", "actions__after_crash"),
            ("VM", "power_state"),
        ):
            await pool.call(f"{cls}.get_all_where", f'field "{field}"="x"')

    pretend(scenario)


def test_no_type_of_parameter_ends_in_a_bug(
    pretend: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every call, with every wrong kind of value for all its parameters, ends as XAPI would."""
    oddities: list[Any] = [None, 7, -1.5, True, "x", "", [], ["x"], {}, {"x": "y"}, [[{}]], 2**70]

    async def scenario(pool: Any) -> None:
        for method in METHODS.values():
            if method.cls == "event" or method.name == "session.logout":
                continue
            for odd in oddities:
                params = [pool.session] * method.needs_session + [odd] * len(method.params)
                with contextlib.suppress(ApiError):
                    value = serve(pool.world, method.name, params, {})
                    if inspect.isawaitable(value):
                        await value

    pretend(scenario)
    assert capsys.readouterr().err == ""


def test_a_bug_of_ours_is_an_internal_error_and_no_traceback(
    pretend: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(pool: Any) -> None:
        def broken(*_: Any) -> None:
            raise ZeroDivisionError("oops")

        monkeypatch.setattr(pool.world.memory, "free", broken)
        error = await pool.refused("host.compute_free_memory", pool.one("host", "host-1").ref)
        assert error == ["INTERNAL_ERROR", "ZeroDivisionError('oops')"]

    pretend(scenario)
    assert "met a bug" in capsys.readouterr().err
