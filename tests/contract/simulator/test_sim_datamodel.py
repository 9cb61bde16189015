"""Holds the simulator's declarations against the published datamodel, where that is at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from simulator.dispatch import METHODS
from simulator.members import EMERGENCY
from simulator.missing import MISSING
from simulator.schema.beyond import LISTED
from simulator.schema.declare import CLASSES, ENUM_VALUES, FOLLOWS
from simulator.schema.roles import roles_for

_ROOT = Path(__file__).resolve().parents[3]
_REFERENCE = Path(os.environ.get("XENLAUNCH_REFERENCE", _ROOT.parent / "shared" / "reference"))
_FILE = _REFERENCE / "xapi-datamodel.json"

pytestmark = pytest.mark.skipif(
    not _FILE.exists(), reason=f"no {_FILE.name} at hand to compare with (XENLAUNCH_REFERENCE)"
)
#: relations of which clients see one side at most: whoever changes the hidden one sees to the other
HALF_HIDDEN = {
    (("task", "session"), ("session", "tasks")),  # simulator/tasks.py
    (("PCI", "attached_VMs"), ("VM", "attached_PCIs")),  # no PCI device is ever attached
    (("PCI", "physical_function"), ("PCI", "virtual_functions")),  # both are hidden
}
_WRITERS = {"RW": "RW", "StaticRO": "S", "DynamicRO": "D"}


@pytest.fixture(scope="module")
def datamodel() -> dict[str, Any]:
    return dict(json.loads(_FILE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", CLASSES)
def test_every_field_has_its_type_its_writer_and_its_default(
    datamodel: dict[str, Any], name: str
) -> None:
    published = {
        f["name"]: (f["type"], _WRITERS[f["qualifier"]], f.get("default"), f["has_default"])
        for f in datamodel["classes"][name]["fields"]
        if not f["internal_only"]
    }
    ours = {
        f.name: (f.type, f.writer, f.default, f.has_default) for f in CLASSES[name].fields.values()
    }

    assert ours == published
    assert list(ours) == list(published)


def _shape(message: dict[str, Any]) -> tuple[Any, ...]:
    params = [p for p in message["params"] if p["name"] != "session_id"]
    needs_session = message.get("session", True)
    given = [(p["name"], p["type"], p.get("default"), "default" in p) for p in params]
    return given, message["result"], message["async"], needs_session


def test_every_call_takes_and_gives_what_is_published(datamodel: dict[str, Any]) -> None:
    different = {}
    for method in METHODS.values():
        messages = {m["name"]: m for m in datamodel["classes"][method.cls]["messages"]}
        params = [(p.name, p.type, p.default, p.has_default) for p in method.params]
        ours = params, method.result, method.has_async, method.needs_session
        if method.verb not in messages:
            different[method.name] = "not published"
        elif ours != _shape(messages[method.verb]):
            different[method.name] = f"{ours} != {_shape(messages[method.verb])}"

    assert different == {}


def test_what_is_missing_is_written_down(datamodel: dict[str, Any]) -> None:
    published = {f"{c}.{m['name']}" for c in CLASSES for m in datamodel["classes"][c]["messages"]}

    assert published - set(METHODS) == set(MISSING)


def test_enums_have_their_values(datamodel: dict[str, Any]) -> None:
    assert {n: list(v) for n, v in ENUM_VALUES.items()} == {
        name: datamodel["enums"][name] for name in ENUM_VALUES
    }


def test_relations_are_followed(datamodel: dict[str, Any]) -> None:
    published = {
        (tuple(r["a"].split(".")), tuple(r["b"].split(".")))
        for r in datamodel["relations"]
        if r["kind"] in {"one-to-many", "many-to-many"}
        if all(side.split(".")[0] in CLASSES for side in (r["a"], r["b"]))
    }
    shown = {
        sides for sides in published if all(field in CLASSES[cls].fields for cls, field in sides)
    }

    assert shown == {sides for sides in FOLLOWS.items() if sides in published}
    assert published - shown == HALF_HIDDEN
    for cls, field in {side for sides in HALF_HIDDEN for side in sides}:
        fields = {one["name"]: one for one in datamodel["classes"][cls]["fields"]}
        assert fields[field]["internal_only"] == (field not in CLASSES[cls].fields)


def test_every_call_takes_the_role_that_is_published(datamodel: dict[str, Any]) -> None:
    declared = {*CLASSES, *LISTED}
    published = {
        f"{name}.{m['name']}": set(m.get("roles", ()))
        for name in declared
        for m in datamodel["classes"][name]["messages"]
        if name in CLASSES or f"{name}.{m['name']}" in METHODS
    }

    assert {name: set(roles_for(name)) for name in published} == published


def test_the_other_classes_are_listed_and_empty(datamodel: dict[str, Any]) -> None:
    listed = {
        name
        for name, cls in datamodel["classes"].items()
        if any(m["name"] == "get_all" for m in cls["messages"])
    }

    assert listed - set(CLASSES) == set(LISTED)
    assert {f"{name}.get_all_records" for name in listed} <= set(METHODS)


def test_the_emergency_calls_are_those_published(datamodel: dict[str, Any]) -> None:
    assert set(datamodel["emergency_calls"]) == EMERGENCY


def test_constructors_take_what_is_published(datamodel: dict[str, Any]) -> None:
    for cls in filter(lambda c: c.is_made, CLASSES.values()):
        messages = {m["name"]: m for m in datamodel["classes"][cls.name]["messages"]}
        published = {f["name"] for f in messages["create"]["ctor_fields"]} - {"port"}

        assert {f.name for f in cls.fields.values() if f.in_constructor} == published
