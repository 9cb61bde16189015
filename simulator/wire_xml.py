"""XML-RPC, read and written in XAPI's own dialect.

Strings are bare in <value>; numbers too, so that an int reads as a string; void is the empty
string. Document types are refused outright: no entity can be declared, so none can explode.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any, Final
from xml.parsers import expat

from simulator.errors import Malformed
from simulator.snapshot import Snapshot
from simulator.values import Datetime, Int32, int64

_DEPTH_MAX: Final = 200
_SCALARS: Final = frozenset(
    {"i4", "int", "i8", "string", "boolean", "double", "dateTime.iso8601", "base64"}
)


#: what may stand in what; a scalar, a name and a value without a tag in it hold text
_CHILDREN: Final[dict[str, frozenset[str]]] = {
    "": frozenset({"methodCall"}),
    "methodCall": frozenset({"methodName", "params"}),
    "params": frozenset({"param"}),
    "param": frozenset({"value"}),
    "value": _SCALARS | {"array", "struct", "nil"},
    "array": frozenset({"data"}),
    "data": frozenset({"value"}),
    "struct": frozenset({"member"}),
    "member": frozenset({"name", "value"}),
}
_NOTHING: Final[frozenset[str]] = frozenset()
#: what holds other tags alone, and of these just so many
_EXACTLY: Final = {"param": 1, "array": 1, "member": 2}


class _Reader:
    """Builds the values of one methodCall, without recursion."""

    def __init__(self) -> None:
        self.method: str | None = None
        self.params: list[Any] = []
        self._path: list[str] = [""]
        self._counts: list[int] = [0]  # of the tags in each of the path
        self._text: list[str] = []
        self._values: list[list[Any]] = [self.params]  # where finished values go

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        if len(self._path) > _DEPTH_MAX:
            raise Malformed("too deep")
        if tag not in _CHILDREN.get(self._path[-1], _NOTHING):
            raise Malformed(f"<{tag[:40]}> in <{self._path[-1]}>")
        self._assert_no_text()
        self._counts[-1] += 1
        if self._path[-1] == "value" and self._counts[-1] > 1:
            raise Malformed("two values in one <value>")
        self._path.append(tag)
        self._counts.append(0)
        if tag in {"array", "struct", "member"}:
            self._values.append([])

    def text(self, text: str) -> None:
        self._text.append(text)

    def _assert_no_text(self) -> None:
        text, self._text = self._text, []
        if any(part.strip() for part in text):
            raise Malformed(f"text in <{self._path[-1]}>")

    def end(self, tag: str) -> None:
        inside = self._counts.pop()
        if inside != _EXACTLY.get(tag, inside):
            raise Malformed(f"{inside} tags in <{tag}>")
        if tag in _CHILDREN and (tag != "value" or inside):
            self._assert_no_text()
        self._path.pop()
        text, self._text = "".join(self._text), []
        if tag in _SCALARS:
            self._values[-1].append(_scalar(tag, text))
        elif tag == "value" and not inside:
            self._values[-1].append(text)
        elif tag == "name":
            self._values[-1].append(_Name(text))
        elif tag == "methodName":
            self.method = text
        elif tag == "nil":
            self._values[-1].append(None)
        else:
            self._close(tag)

    def _close(self, tag: str) -> None:
        if tag in {"array", "struct"}:
            items = self._values.pop()
            self._values[-1].append(dict(items) if tag == "struct" else items)
        elif tag == "member":
            name, value = self._values.pop()
            if not isinstance(name, _Name):
                name, value = value, name
            if not isinstance(name, _Name) or isinstance(value, _Name):
                raise Malformed("a member without name or value")
            self._values[-1].append((str(name), value))


class _Name(str):
    """What a member of a struct is called, so long as its value is not read."""

    __slots__ = ()


def _scalar(tag: str, text: str) -> Any:
    try:
        if tag == "double":
            return float(text if text.isascii() else "")
        if tag in {"i4", "int", "i8"}:
            return int64(text)
        if tag == "base64":  # no call takes it: it is of a wrong type, but no nonsense
            return base64.b64decode(text)
    except ValueError:
        raise Malformed(f"{text[:40]!r} is no {tag}") from None
    if tag == "boolean":
        if text.strip() not in {"0", "1"}:
            raise Malformed(f"{text[:40]!r} is no boolean")
        return text.strip() == "1"
    return Datetime(text) if tag == "dateTime.iso8601" else text


def _no_doctype(*_: object) -> None:
    raise Malformed("a document type")


def decode(body: bytes) -> tuple[str, list[Any]]:
    """The method and the parameters of a call."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.EntityDeclHandler = _no_doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError) as wrong:  # also of its encoding
        raise Malformed(str(wrong)) from None
    if reader.method is None:
        raise Malformed("no methodName")
    return reader.method, reader.params


# -- writing

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_HEAD: Final = (
    '<?xml version="1.0"?><methodResponse><params><param><value><struct>'
    "<member><name>Status</name><value>{}</value></member><member><name>{}</name>"
)
_TAIL: Final = "</member></struct></value></param></params></methodResponse>"
_SUCCESS: Final = _HEAD.format("Success", "Value")
_FAILURE: Final = _HEAD.format("Failure", "ErrorDescription")


def _escape(text: str) -> str:
    text = _CONTROL.sub("", text)
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


def encode_value(value: Any) -> str:
    """Write one value.

    >>> encode_value("OpaqueRef:NULL"), encode_value(""), encode_value(7), encode_value([True])
    ('<value>OpaqueRef:NULL</value>', '<value></value>', '<value>7</value>', \
'<value><array><data><value><boolean>1</boolean></value></data></array></value>')
    """
    return f"<value>{_inner(value)}</value>"


def _inner(value: Any) -> str:
    return _WRITERS[type(value)](value)


def _list(items: list[Any]) -> str:
    return f"<array><data>{''.join(map(encode_value, items))}</data></array>"


def _struct(record: dict[str, Any]) -> str:
    members = (f"<member><name>{k}</name>{encode_value(v)}</member>" for k, v in record.items())
    return f"<struct>{''.join(members)}</struct>"


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    str: _escape,
    bool: lambda value: f"<boolean>{int(value)}</boolean>",
    int: str,
    float: lambda value: f"<double>{value:.16g}</double>",
    list: _list,
    dict: _struct,
    Datetime: lambda value: f"<dateTime.iso8601>{value}</dateTime.iso8601>",
    Int32: lambda value: f"<i4>{int(value)}</i4>",
    Snapshot: lambda value: _struct(value.row.record()),
}


def success(value: Any, *, wrapped: bool = True) -> bytes:
    """An answer; `wrapped` is false for the one call that answers without Status."""
    if not wrapped:
        head, tail = '<?xml version="1.0"?><methodResponse><params><param>', "</param></params>"
        return f"{head}{encode_value(value)}{tail}</methodResponse>".encode()
    return f"{_SUCCESS}{encode_value(value)}{_TAIL}".encode()


def failure(description: list[str]) -> bytes:
    return f"{_FAILURE}{encode_value(description)}{_TAIL}".encode()
