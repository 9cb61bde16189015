"""JSON-RPC 1.0 and 2.0, as XAPI speaks them: numbers are numbers, moments are strings."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from simulator.errors import Malformed
from simulator.snapshot import Snapshot

_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


class Request(NamedTuple):
    """One call, read."""

    method: str
    params: list[Any]
    id: int | str
    is_second: bool  # version 2.0
    garbled: str | None = None  # the first text among the parameters that is no UTF-8


def decode(body: bytes) -> Request:
    try:
        return _request(orjson.loads(body))
    except orjson.JSONDecodeError as wrong:
        return _garbled(body, str(wrong))


def _garbled(body: bytes, why: str) -> Request:
    """A call that is JSON but for its encoding is refused as a call; all else is malformed."""
    try:
        body.decode()
    except UnicodeDecodeError:
        text = body.decode(errors="replace")
    else:
        raise Malformed(why)
    try:
        request = _request(orjson.loads(text))
    except orjson.JSONDecodeError as wrong:
        raise Malformed(str(wrong)) from None
    if _REPLACED in request.method:
        raise Malformed(why)
    return request._replace(garbled=_first_replaced(request.params))


def _first_replaced(params: list[Any]) -> str:
    waiting = list(params)
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, str) and _REPLACED in value:
            return value
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
    return ""


def _request(call: Any) -> Request:
    if not isinstance(call, dict):
        raise Malformed("not an object")
    method, params, number = call.get("method"), call.get("params", []), call.get("id")
    if not isinstance(method, str):
        raise Malformed("no method")
    if not isinstance(params, list):
        raise Malformed("params is no list")
    if isinstance(number, bool) or not isinstance(number, (int, str)):
        raise Malformed("no id")
    return Request(method, params, number, "jsonrpc" in call)


def _other(value: Any) -> Any:
    if isinstance(value, Snapshot):
        return value.row.as_json()
    raise TypeError(type(value).__name__)


def success(request: Request, value: Any) -> bytes:
    if request.is_second:
        answer = {"jsonrpc": "2.0", "result": value, "id": request.id}
    else:
        answer = {"result": value, "error": None, "id": request.id}
    return orjson.dumps(answer, default=_other)


def failure(request: Request, description: list[str]) -> bytes:
    if request.is_second:
        error = {"code": 1, "message": description[0], "data": description[1:]}
        return orjson.dumps({"jsonrpc": "2.0", "error": error, "id": request.id})
    return orjson.dumps({"result": None, "error": description, "id": request.id})
