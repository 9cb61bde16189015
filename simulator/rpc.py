"""The pool's own port: which path speaks which format."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from simulator import members, wire_json, wire_xml
from simulator.dispatch import serve
from simulator.errors import ApiError, Malformed
from simulator.http import Request, Response, error_page, malformed_page
from simulator.rawdisk import download
from simulator.world import World


class Door:
    """Takes requests to the pool and gives answers in the format they came in."""

    def __init__(self, world: World, address: str = "") -> None:
        self.world = world
        self.address = address  # of the member behind it; none: the master, whoever that is

    def is_silent(self) -> bool:
        """Whether nobody is here who could answer."""
        return self.world.is_down or not members.is_alive(self.world, self.address)

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        if request.upload is not None:
            return request.upload.answer()
        if request.method != "POST":
            return _not_posted(self.world, request)
        path = request.target.partition("?")[0]
        try:
            if path.startswith("/jsonrpc"):  # XAPI goes by the longest prefix it knows
                return self._json(request)
            return self._xml(request)
        except Malformed:
            return malformed_page()

    def _json(self, request: Request) -> Response | Awaitable[Response]:
        call = wire_json.decode(request.body)
        if call.garbled is not None:
            refusal = ["INVALID_VALUE", "Invalid UTF-8 string in parameter", call.garbled]
            return Response(wire_json.failure(call, refusal), "application/json")
        return self._reply(
            request,
            call.method,
            call.params,
            lambda value: Response(wire_json.success(call, value), "application/json"),
            lambda error: Response(wire_json.failure(call, error), "application/json"),
        )

    def _xml(self, request: Request) -> Response | Awaitable[Response]:
        method, params = wire_xml.decode(request.body)
        wrapped = method != "system.listMethods"
        return self._reply(
            request,
            method,
            params,
            lambda value: Response(wire_xml.success(value, wrapped=wrapped), "text/xml"),
            lambda error: Response(wire_xml.failure(error), "text/xml"),
        )

    def _reply(
        self,
        request: Request,
        method: str,
        params: list[Any],
        success: Callable[[Any], Response],
        failure: Callable[[list[str]], Response],
    ) -> Response | Awaitable[Response]:
        try:
            host = members.at(self.world, self.address)
            value = serve(self.world, method, params, request.headers, host)
        except ApiError as refused:
            return failure(refused.description)
        if isinstance(value, Awaitable):
            return self.world.run(_later(value, success, failure))
        return success(value)


def _not_posted(world: World, request: Request) -> Response:
    if request.method == "OPTIONS":  # a browser asks whether it may; the headers say so
        return Response(b"")
    if request.method == "HEAD":  # an answer to it has no body
        return Response(b"", status=404)
    nothing = error_page(404, "There is nothing to get here; calls are posted.")
    return download(world, request) or nothing


async def _later(
    value: Awaitable[Any],
    success: Callable[[Any], Response],
    failure: Callable[[list[str]], Response],
) -> Response:
    try:
        return success(await value)
    except ApiError as refused:
        return failure(refused.description)
