"""XML-RPC, read and written in XAPI's own dialect.

Strings are bare in <value>; numbers too, so that an int reads as a string; void is the empty
string. Document types are refused outright: no entity can be declared, so none can explode.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from xml.parsers import expat

from simulator.errors import Malformed
from simulator.snapshot import Snapshot
from simulator.values import Datetime, Int32

_DEPTH_MAX: Final = 200
_SCALARS: Final = frozenset({"i4", "int", "i8", "string", "boolean", "double", "dateTime.iso8601"})


class _Reader:
    """Builds the values of one methodCall, without recursion."""

    def __init__(self) -> None:
        self.method: str | None = None
        self.params: list[Any] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._values: list[list[Any]] = [self.params]  # where finished values go
        self._names: list[str] = []
        self._typed: list[bool] = []

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        if len(self._path) > _DEPTH_MAX:
            raise Malformed("too deep")
        self._path.append(tag)
        self._text = []
        if tag == "value":
            self._typed.append(False)
        elif tag in {"array", "struct"}:
            self._values.append([])

    def text(self, text: str) -> None:
        self._text.append(text)

    def end(self, tag: str) -> None:
        self._path.pop()
        text, self._text = "".join(self._text), []
        if tag in _SCALARS:
            self._add(_scalar(tag, text))
        elif tag == "value":
            if not self._typed.pop():
                self._values[-1].append(text)
        elif tag == "name":
            self._names.append(text)
        elif tag == "methodName":
            self.method = text
        else:
            self._close(tag)

    def _close(self, tag: str) -> None:
        if tag == "member":
            self._member()
        elif tag in {"array", "struct"}:
            items = self._values.pop()
            self._add(dict(items) if tag == "struct" else items)
        elif tag == "nil":
            self._add(None)

    def _add(self, value: Any) -> None:
        if not self._typed:
            raise Malformed("a value outside <value>")
        self._typed[-1] = True
        self._values[-1].append(value)

    def _member(self) -> None:
        if not self._names or not self._values[-1]:
            raise Malformed("a member without name or value")
        value = self._values[-1].pop()
        self._values[-1].append((self._names.pop(), value))


def _scalar(tag: str, text: str) -> Any:
    try:
        if tag == "double":
            return float(text)
        if tag in {"i4", "int", "i8"}:
            return int(text)
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
    except (expat.ExpatError, TypeError, IndexError, LookupError) as wrong:
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
