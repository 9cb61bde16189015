"""The kinds of value that a request's fields take, each with its own plain refusal."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StrictStr, Tag
from pydantic_core import ErrorDetails, PydanticCustomError

UNITS: Final = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

UNCARRIED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot carry: a pool that took it by JSON could tell nobody of it by XML-RPC."""

MOST_AT_ONCE: Final = 200 * 1024
"""How long a mapping may be that is set in one call: the pool reads no more than 300 KiB, and the
template has words of its own in it. In bytes of JSON."""

# Halves of surrogate pairs are not in it: those who read by halves would find them everywhere.
_CARRIED: Final = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]*$"

_SIZE = re.compile(r"([0-9]{1,16}(?:\.[0-9]{1,16})?)\s*(KiB|MiB|GiB|TiB)")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def parse_size(value: object) -> int:
    """A size in bytes from ``2GiB``, ``512 MiB`` or a whole number of bytes.

    >>> parse_size("1.5GiB")
    1610612736
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    written = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if written is None:
        raise PydanticCustomError(
            "size", "is not a size: write it like 512MiB or 2GiB", {"given": value}
        )
    return int(float(written[1]) * UNITS[written[2]])


def show_size(size: int) -> str:
    """A size in bytes in the largest unit that leaves it readable.

    >>> show_size(1610612736)
    '1.5 GiB'
    """
    for unit, factor in reversed(UNITS.items()):
        if size >= factor:
            return f"{size / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} bytes"


def _check_label(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("label", "is empty")
    if not value.isprintable():
        raise PydanticCustomError("label", "has control characters in it")
    return value


def _check_carried(value: str) -> str:
    found = UNCARRIED.search(value)
    if found:
        point = f"U+{ord(found[0]):04X}"
        raise PydanticCustomError(
            "text", "has the character {point} in it, which no XML can carry", {"point": point}
        )
    return value


def is_too_long(value: Mapping[str, str]) -> bool:
    """Whether a mapping is more than a pool takes in one call."""
    return len(json.dumps(value)) > MOST_AT_ONCE


def _check_at_once(value: dict[str, str]) -> dict[str, str]:
    if is_too_long(value):
        raise PydanticCustomError(
            "at_once", "is longer than {most} bytes in all", {"most": str(MOST_AT_ONCE)}
        )
    return value


def _check_name(value: str) -> str:
    if value.startswith("xenlaunch:"):
        raise PydanticCustomError("name", "begins with 'xenlaunch:', which marks unfinished VMs")
    return value


def _check_mac(value: str) -> str:
    mac = value.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(mac):
        raise PydanticCustomError("mac", "is not a MAC address: write it like 02:16:3e:00:00:01")
    if int(mac[:2], 16) & 1:
        raise PydanticCustomError("mac", "is a multicast address: its first byte must be even")
    return mac


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(
        ge=1 << 20,
        le=1 << 50,
        json_schema_extra={
            "type": ["integer", "string"],
            "minimum": 1 << 20,
            "maximum": 1 << 50,
            "pattern": rf"^\s*{_SIZE.pattern}\s*$",
        },
    ),
]
_Printed = Annotated[StrictStr, Field(max_length=255), AfterValidator(_check_label)]
Label = Annotated[_Printed, Field(json_schema_extra={"pattern": r"\S"})]
Name = Annotated[
    _Printed,
    AfterValidator(_check_name),
    Field(json_schema_extra={"pattern": r"^(?!xenlaunch:).*\S"}),
]
Mac = Annotated[
    StrictStr,
    AfterValidator(_check_mac),
    Field(
        json_schema_extra={"pattern": r"^\s*[0-9A-Fa-f][02468ACEace]([:-][0-9A-Fa-f]{2}){5}\s*$"}
    ),
]
Carried = Annotated[
    StrictStr,
    AfterValidator(_check_carried),
    # No halves of surrogate pairs here: to a schema's reader those may be all that is not plain.
    Field(
        json_schema_extra={"pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]*$"}
    ),
]
AtOnce: Final = AfterValidator(_check_at_once)
Key = Annotated[_Printed, Field(min_length=1, json_schema_extra={"pattern": r"\S"})]

Pools = Annotated[
    Annotated[Label, Tag("Label")]
    | Annotated[tuple[Label, ...], Field(min_length=1, max_length=64), Tag("Pools")],
    Discriminator(lambda value: "Pools" if isinstance(value, list | tuple) else "Label"),
]

_SENTENCES: Final = {
    "extra_forbidden": "is not a field of a request",
    "missing": "is missing",
    "int_type": "is not a whole number",
    "bool_type": "is neither true nor false",
    "string_type": "is not text",
    "tuple_type": "is not a list",
    "list_type": "is not a list",
    "model_type": "is not a mapping of fields",
    "dict_type": "is not a mapping",
    "invalid-json-value": "is no value of JSON",
    "union_tag_invalid": "is none of the kinds of disk: new, vdi, iso or cd",
    "union_tag_not_found": "is none of the kinds of disk: new, vdi, iso or cd",
}
_BOUNDS: Final = {
    "greater_than_equal": ("ge", "must be at least"),
    "less_than_equal": ("le", "must be at most"),
    "string_too_long": ("max_length", "is longer than"),
    "too_long": ("max_length", "has more entries than"),
    "too_short": ("min_length", "has fewer entries than"),
}


def explain(error: ErrorDetails) -> str:
    """One of pydantic's findings as a sentence that names the field as people wrote it."""
    context: Mapping[str, Any] = error.get("ctx") or {}
    given = error["input"]
    secret = error["loc"][:1] == ("guest",)
    path = (str(part) for part in error["loc"] if part not in _KINDS)
    field = ".".join(part if part.isprintable() else repr(part) for part in path) or "request"
    shown = f" (it is {given!r})" if isinstance(given, str | int | float) and not secret else ""
    if error["type"] == "extra_forbidden":
        return f"{field} {_SENTENCES['extra_forbidden']}"
    if error["type"] in _BOUNDS:
        limit, words = _BOUNDS[error["type"]]
        return f"{field} {words} {context[limit]}{shown}"
    if error["type"] == "literal_error":
        return f"{field} must be {context['expected']}{shown}"
    return f"{field} {_SENTENCES.get(error['type'], error['msg'])}{shown}"


# pydantic puts the name of the chosen kind into the path of an error; nobody wrote it.
_KINDS = frozenset(
    {
        "NewDisk",
        "ExistingDisk",
        "Iso",
        "Cd",
        "Size",
        "MemoryRange",
        "Label",
        "Pools",
        "Awaited",
        "word",
        "text",
        "Mapped",
    }
)
