"""JSON-RPC 1.0 and 2.0, as XAPI speaks them: numbers are numbers, moments are strings."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from simulator.errors import Malformed
from simulator.snapshot import Snapshot


class Request(NamedTuple):
    """One call, read."""

    method: str
    params: list[Any]
    id: int | str
    is_second: bool  # version 2.0


def decode(body: bytes) -> Request:
    try:
        call = orjson.loads(body)
    except orjson.JSONDecodeError as wrong:
        raise Malformed(str(wrong)) from None
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
