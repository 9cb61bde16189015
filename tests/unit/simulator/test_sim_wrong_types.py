"""Every call, with every parameter of every wrong type, and with values that make no sense.

What is tried follows from the declarations. The answer is an error of XAPI's; a bug would be said
on stderr.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from simulator import wire_json, wire_xml
from simulator.calls import Method, Param
from simulator.db import fresh
from simulator.dispatch import METHODS, serve
from simulator.errors import ApiError
from simulator.schema.declare import CLASSES, ENUM_VALUES
from simulator.snapshot import Snapshot
from simulator.values import NULL, reader, zero

Pretend = Callable[..., None]

STRINGS = [1, True, 1.5, [], {}, None]
WRONG: dict[str, list[Any]] = {
    "int": [True, 1.5, "one", [], {}, None, 2**64, "9" * 400],
    "float": [True, "one", [], {}, None],
    "bool": [1, 0, "true", 1.5, [], {}, None],
    "set": ["x", 1, True, {}, None, [[]], [{}], [None]],
    "map": ["x", 1, True, [], None, {"k": []}, {"k": None}],
    "record": ["x", 1, True, [], None, {}, {"VM": 1}, {"VM": {"VM": []}}],
}
STRANGE: dict[str, list[Any]] = {
    "int": [-1, 0, 2**63 - 1, -(2**63), "007"],
    "float": [-1.0, 0.0, 1e308, float("nan"), float("-inf")],
    "string": ["", "\x00", "\N{PILE OF POO}", "OpaqueRef:NULL", "a" * 70_000, "<&>%s{0}\\"],
    "ref": ["", NULL, "OpaqueRef:x", "\N{PILE OF POO}"],
}
#: these may wait for what never comes
WAIT = frozenset({"event.next", "event.from"})


def kind_of(text: str) -> str:
    for kind in ("record", "set", "map", "ref"):
        if text.endswith(f" {kind}"):
            return kind
    return text if text in {"int", "float", "bool"} else "string"


def right(pool: Any, param: Param) -> Any:
    """A value of the right type; a ref of something that is there, where there is any."""
    if param.type.endswith(" ref"):
        table = pool.db.tables.get(param.type[:-4])
        return next(iter(table.rows), NULL) if table else NULL
    if param.type.endswith(" record"):
        return constructor(pool, param.type[:-7])
    if param.type.startswith("enum "):
        return ENUM_VALUES[param.type[5:]][0]
    return zero(param.type)


def constructor(pool: Any, cls: str) -> dict[str, Any]:
    """A record that a constructor takes."""
    if cls not in CLASSES:
        return {}
    values = {}
    for field in CLASSES[cls].fields.values():
        if field.in_constructor:
            asked = Param(field.name, field.type, reader(field.type))
            given = right(pool, asked)
            values[field.name] = fresh(field.default, field.type) if field.has_default else given
    return values


async def answer(pool: Any, method: Method, args: list[Any]) -> str:
    """Do the call; gives the code of the error that it ended in, or nothing."""
    if pool.db.find("session", pool.session) is None:
        pool.session = pool.world.sessions.open("root", "test").ref
    session = [pool.session] if method.needs_session else []
    try:
        value = serve(pool.world, method.name, [*session, *args], {})
        if inspect.isawaitable(value):
            await asyncio.wait_for(value, 9 * 3600)
    except ApiError as refused:
        return refused.code
    except TimeoutError:
        assert method.name in WAIT
    return ""


def each_parameter(pool: Any) -> Iterator[tuple[Method, int, list[Any]]]:
    for method in METHODS.values():
        args = [right(pool, param) for param in method.params]
        for place in range(len(args)):
            yield method, place, args


def test_a_parameter_of_a_wrong_type_is_refused(
    pretend_at_length: Pretend, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(pool: Any) -> None:
        tried = 0
        for method, place, args in each_parameter(pool):
            kind = kind_of(method.params[place].type)
            for wrong in WRONG.get(kind, STRINGS):
                code = await answer(pool, method, [*args[:place], wrong, *args[place + 1 :]])
                assert code or kind == "record", (method.name, place, wrong)
                tried += 1
        assert tried > 5000

    pretend_at_length(scenario)
    assert capsys.readouterr().err == ""


def test_a_record_with_a_member_of_a_wrong_type_is_refused(
    pretend_at_length: Pretend, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(pool: Any) -> None:
        for method, place, args in each_parameter(pool):
            cls = method.params[place].type.removesuffix(" record")
            if cls not in CLASSES or kind_of(method.params[place].type) != "record":
                continue
            for name, field in CLASSES[cls].fields.items():
                for wrong in WRONG.get(kind_of(field.type), STRINGS):
                    record = {**args[place], name: wrong}
                    code = await answer(pool, method, [*args[:place], record, *args[place + 1 :]])
                    assert code or not field.in_constructor, (method.name, name, wrong)

    pretend_at_length(scenario)
    assert capsys.readouterr().err == ""


def _strange(type_: str, right: Any) -> Iterator[Any]:
    """Values of the type that make no sense; of a record, one member of it does not."""
    yield from STRANGE.get(kind_of(type_), [])
    if kind_of(type_) == "record" and type_[:-7] in CLASSES:
        for name, field in CLASSES[type_[:-7]].fields.items():
            if field.in_constructor:
                for value in STRANGE.get(kind_of(field.type), []):
                    yield {**right, name: value}


def _assert_can_be_told(pool: Any) -> None:
    """Nothing came into the pool that one of the formats has no words for."""
    asked = wire_json.Request("", [], 1, is_second=True)
    for table in pool.db.tables.values():
        records = {row.ref: Snapshot(row) for row in table.rows.values()}
        assert wire_json.success(asked, records)
        assert wire_xml.success(records)


def test_numbers_that_are_too_large_together_are_as_large_as_can_be_said(
    pretend: Pretend,
) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.call("VM.set_HVM_shadow_multiplier", vm.ref, 1e308)
        await pool.call("VM.set_VCPUs_max", vm.ref, 2**63 - 1)
        await pool.call("VM.set_memory", vm.ref, 2**62)
        assert vm["memory_overhead"] == 2**63 - 1
        assert (await pool.refused("VM.start", vm.ref, False, False))[0] == "NO_HOSTS_AVAILABLE"
        _assert_can_be_told(pool)

    pretend(scenario)


def test_values_without_sense_end_in_an_error_or_in_nothing_bad(
    pretend_at_length: Pretend, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(pool: Any) -> None:
        for method, place, args in each_parameter(pool):
            for strange in _strange(method.params[place].type, args[place]):
                await answer(pool, method, [*args[:place], strange, *args[place + 1 :]])
        _assert_can_be_told(pool)

    pretend_at_length(scenario)
    assert capsys.readouterr().err == ""
