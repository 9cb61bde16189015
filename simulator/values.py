"""The types of fields and parameters: reading what a client sent, and what a field is at first.

Values are plain Python ones: str, int, bool, float, list, dict (keys are always strings). Two
subclasses carry what the XML encoding must know and JSON need not.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from typing import Any, Final

from simulator.errors import failure
from simulator.schema.declare import ENUM_VALUES

NULL: Final = "OpaqueRef:NULL"

Reader = Callable[[Any], Any]


class Datetime(str):
    """A moment, in the only form XAPI writes: 20260821T12:34:56Z."""

    __slots__ = ()


class Int32(int):
    """A number that XML-RPC carries as <i4>, where XAPI's other numbers are bare strings."""


EPOCH: Final = Datetime("19700101T00:00:00Z")
#: the first number that is too large for 64 bits
_MOST: Final = 2**63
_MOMENT: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z?$")


def now() -> Datetime:
    return moment(time.time())


def moment(seconds: float) -> Datetime:
    """Write a moment as XAPI does.

    >>> moment(0)
    '19700101T00:00:00Z'
    """
    return Datetime(time.strftime("%Y%m%dT%H:%M:%SZ", time.gmtime(seconds)))


def int64(text: str) -> int:
    """
    The number that a text says, as XAPI reads one; ValueError where it says none.

    >>> int64("-42")
    -42
    >>> int64("9223372036854775808")
    Traceback (most recent call last):
    ValueError: no number of 64 bits
    """
    number = int(text) if text.isascii() else _MOST
    if -_MOST <= number < _MOST:
        return number
    raise ValueError("no number of 64 bits")


def digits(text: str) -> int | None:
    """
    The number that a text of nothing but digits says.

    >>> digits("0042"), digits("-1"), digits("\u0664"), digits("9" * 5000)
    (42, None, None, None)
    """
    try:
        return int64(text) if text.isdecimal() else None
    except ValueError:  # Python reads no number of more than 4300 digits
        return None


def shown(value: Any) -> str:
    """Show a value as XAPI's complaints do; what is inside a collection is not looked into."""
    return _SHOWN.get(type(value), lambda _: "N")(value)


_SHOWN: Final[dict[type, Callable[[Any], str]]] = {
    bool: lambda value: f"B({str(value).lower()})",
    str: lambda value: f"S({value})",
    Datetime: lambda value: f"D({value})",
    int: lambda value: f"I({value})",
    float: lambda value: f"F({value:g})",
    list: lambda value: f"[{len(value)} values]",
    dict: lambda value: f"{{{len(value)} members}}",
}


def _expected(what: str, value: Any) -> Exception:
    return failure(f"Expected {what}, got '{shown(value)[:200]}'")


def _string(value: Any) -> str:
    if isinstance(value, str) and not isinstance(value, Datetime):
        return value
    raise _expected("string", value)


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise _expected("int64", value)
    try:
        return int64(str(value))
    except ValueError:
        raise failure("Int64.of_string") from None


def _float(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value if value.isascii() else "")
        except ValueError:
            raise failure("float_of_string") from None
    raise _expected("float", value)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _expected("bool", value)


def _datetime(value: Any) -> Datetime:
    found = _MOMENT.match(value) if isinstance(value, str) else None
    if found is None:
        raise _expected("datetime", value)
    year, month, day, *clock = found.groups()
    return Datetime(f"{year}{month}{day}T{':'.join(clock)}Z")


def _ignored(value: Any) -> Any:
    return value


_SIMPLE: Final[dict[str, Reader]] = {
    "string": _string,
    "secretstring": _string,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "datetime": _datetime,
}


@functools.cache
def reader(text: str) -> Reader:
    """Give the function that reads what a client sent as the type, or fails as XAPI does."""
    if text in _SIMPLE:
        return _SIMPLE[text]
    if text.endswith(" ref"):
        return _string
    if text.endswith(" set"):
        return _set_reader(reader(text[:-4]))
    if text.startswith("(") and text.endswith(") map"):
        key, value = map_sides(text)
        return _map_reader(reader(key), reader(value))
    if text.startswith("enum "):
        return _enum_reader(text[5:])
    return _ignored  # records are read by the call that takes them


def map_sides(text: str) -> tuple[str, str]:
    """Give the types of a map's keys and values.

    >>> map_sides("(string -> VM ref) map")
    ('string', 'VM ref')
    """
    key, _, value = text[1:-5].partition(" -> ")
    return key, value


def _set_reader(item: Reader) -> Reader:
    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise _expected("set", value)
        return [item(one) for one in value]

    return read


def _map_reader(key: Reader, item: Reader) -> Reader:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _expected("map", value)
        return {str(key(name)): item(one) for name, one in value.items()}

    return read


def _enum_reader(name: str) -> Reader:
    # XAPI compares the values of enums without regard to case.
    values = {one.lower(): one for one in ENUM_VALUES.get(name, ())}

    def read(value: Any) -> str:
        text = _string(value)
        if text.lower() not in values:
            raise failure(f"Unknown value of {name}: {text[:200]}")
        return values[text.lower()]

    return read


def zero(text: str) -> Any:
    """What a field of the type holds when nothing was said: its empty value."""
    if text.endswith(" option"):
        return None
    if text.endswith(" set"):
        return []
    if text.endswith(" map"):
        return {}
    if text.endswith(" ref"):
        return NULL
    if text.startswith("enum "):
        return ENUM_VALUES[text[5:]][0]
    return {"int": 0, "float": 0.0, "bool": False, "datetime": EPOCH}.get(text, "")
