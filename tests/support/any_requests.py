"""Requests that nobody would write: all that the published JSON Schema allows, drawn by chance.

They are drawn from the schema itself, so that a new field is drawn as soon as it is there. Only
what names something in a pool is drawn from a few names, most of which the simulator has, and what
would make a test wait is drawn small.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.support.paths import ROOT

SCHEMA: Final[dict[str, Any]] = json.loads((ROOT / "xenlaunch/request.schema.json").read_text())
VALID: Final = Draft202012Validator(SCHEMA)

NAMES: Final[dict[str, tuple[Any, ...]]] = {
    "template": ("debian-12", "debian-12", "debian-12", "windows-2022", "centos-6-pv", "nothing"),
    "pool": ("lab", "lab", "lab", "attic"),
    "sr": ("sr-1", "sr-2", "ISOs", "nowhere"),
    "vdi": ("6a7c0000-0000-4000-8000-000000000000",),
    "iso": ("tools.iso", "tools.iso", "none.iso"),
    "network": ("guest", "guest", "Host internal management network", "nowhere"),
    "host": ("host-1", "host-2", "host-99"),
    "wait_seconds": (1, 2),
    "wait_for": ("running", "running", "address"),
    "on_failure": ("destroy",),
    "memory": ("512MiB", "1GiB", 1 << 30, "900GiB", {"min": "512MiB", "max": "1GiB"}, "2MiB"),
    "new": ("64MiB", "1GiB", "900TiB"),
    "size": ("1GiB", "12GiB", "50GiB"),
    "other_config": ({}, {"folder": "/a"}, {"mac_seed": "x"}, {"xenlaunch": "x"}),
}
SMALL: Final = 6
"""The most entries of a list or a mapping, and the most fields that are said of one thing."""


def requests() -> st.SearchStrategy[dict[str, Any]]:
    """Requests without a name, all of which the schema accepts."""
    return _object(SCHEMA, leaving_out=("name",)).filter(
        lambda drawn: VALID.is_valid({"name": "web", **drawn})
    )


def damaged() -> st.SearchStrategy[dict[str, Any]]:
    """Requests with one field made wrong, none of which the schema accepts."""
    # No 1.5: in the plain YAML of a request file that is a word.
    wrong = st.sampled_from((-1, "", "\t", [], {}, [[]], {"no": 1}, 1 << 60, True, [None]))
    fields = st.sampled_from([*SCHEMA["properties"], "colour", "Name"])
    given = {"name": "web", "template": "debian-12"}
    drawn = st.builds(
        lambda some, field, bad: {**given, **some, field: bad}, requests(), fields, wrong
    )
    return drawn.filter(lambda request: not VALID.is_valid(request))


def _value(name: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if name in NAMES:
        return st.sampled_from(NAMES[name])
    if "$ref" in schema:
        named = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
        return _object(named) if "properties" in named else _text({})  # any value of JSON
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return st.one_of([_value("", kind) for kind in schema[several]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    kind = schema["type"]
    return _plain(schema, kind[-1] if isinstance(kind, list) else kind)


def _plain(schema: dict[str, Any], kind: str) -> st.SearchStrategy[Any]:
    plain: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "null": st.none,
        "boolean": st.booleans,
        "integer": lambda: st.integers(schema.get("minimum"), schema.get("maximum")),
        "string": lambda: _text(schema),
        "array": lambda: st.lists(_value("", schema["items"]), max_size=SMALL),
        "object": lambda: _mapping(schema),
    }
    return plain[kind]()


def _text(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=schema["pattern"].endswith("$"))
    return st.text(max_size=min(20, schema.get("maxLength", 20)))


def _mapping(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    keys = _value("", {"type": "string", **schema.get("propertyNames", {})})
    patterned = next(iter(schema.get("patternProperties", {}).values()), None)
    values = schema.get("additionalProperties") or patterned
    if values in (None, True):  # any value of JSON will do
        values = {"type": "string"}
    return st.dictionaries(keys, _value("", values), max_size=2)


@st.composite
def _object(
    draw: st.DrawFn, schema: dict[str, Any], leaving_out: tuple[str, ...] = ()
) -> dict[str, Any]:
    fields = [name for name in schema["properties"] if name not in leaving_out]
    needed = [name for name in schema.get("required", ()) if name in fields]
    others = [name for name in fields if name not in needed]
    chosen = draw(st.lists(st.sampled_from(others), unique=True, max_size=SMALL)) if others else []
    return {name: draw(_value(name, schema["properties"][name])) for name in needed + chosen}
