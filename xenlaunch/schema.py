"""The JSON Schema of a request and of a request file, for editors and for programs that write them.

They are made from the models by `make docs`, with the words of docs/request.md, and lie beside this
file. They refuse what the models refuse by shape: fields, kinds, bounds. What two fields say of
each other only the models know, and what there is in a pool only the pool.
"""

import json
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from xenlaunch.guest_files import READ
from xenlaunch.model import MAX_BATCH

FILE: Final = "request.schema.json"
BATCH: Final = "Batch"
"""What stands below ``batch``, among the schema's definitions."""


def schema() -> dict[str, Any]:
    """The schema of one request, with the version of this xenlaunch in it."""
    made = _made()
    del made["$defs"][BATCH]
    return made


def file_schema() -> dict[str, Any]:
    """The schema of a request file: one request, or a batch in any of the ways to write one."""
    made = _made()
    defs, fields = made["$defs"], made["properties"]
    defs["Fields"] = {"type": "object", "properties": fields}
    defs["Guest"]["properties"] |= {
        f"{name}_file": {
            "type": "string",
            "minLength": 1,
            "description": f"The file that has `{name}`, from beside the request file.",
        }
        for name in READ
    }
    defs[BATCH]["properties"]["overrides"]["items"] = _fields(
        index={"type": "integer", "minimum": 1, "maximum": MAX_BATCH}
    )
    batch = {"$ref": f"#/$defs/{BATCH}"}
    many = {"type": "array", "minItems": 1, "maxItems": MAX_BATCH}
    one = {"required": made["required"]}
    return {
        "$schema": made["$schema"],
        "title": "A request file of xenlaunch",
        "version": made["version"],
        "$defs": defs,
        "if": {"type": "array"},
        "then": {**many, "items": _fields() | one},
        "else": {
            "if": {"type": "object", "required": ["launches"]},
            "then": _fields(launches={**many, "items": _fields()}, batch=batch),
            "else": _fields(batch=batch) | one,
        },
    }


def _fields(**more: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request, none of them required, and some more."""
    return {"$ref": "#/$defs/Fields", "properties": more, "unevaluatedProperties": False}


def _made() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(files("xenlaunch").joinpath(FILE).read_text())
    return {**made, "version": version("xenlaunch")}
