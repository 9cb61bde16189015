"""The ledger's own scripts, run by Lua in this process on a keyspace in memory."""

import json
from collections.abc import Sequence
from typing import Any

from lupa.lua51 import LuaError, LuaRuntime, lua_type

from tests.model.keyspace import Keyspace, text
from xenlaunch.store import _scripts


class Scripts:
    """Every script of `xenlaunch/lua`, compiled once: 5.1 is the Lua that Redis has."""

    def __init__(self) -> None:
        self._lua = LuaRuntime(unpack_returned_tuples=False)
        self._keyspace: Keyspace | None = None
        inside = self._lua.globals()
        inside["redis"] = self._lua.table_from({"call": self._call})
        inside["cjson"] = self._lua.table_from({"encode": self._encode, "decode": self._decode})
        self._compiled = {name: self._lua.compile(_text(body)) for name, body in _scripts()}

    def run(self, keyspace: Keyspace, script: str, arguments: Sequence[Any]) -> Any:
        self._keyspace = keyspace
        self._lua.globals()["ARGV"] = self._lua.table_from([text(word) for word in arguments])
        return self._reply(self._compiled[script]())

    def _call(self, command: str, *words: Any) -> Any:
        assert self._keyspace is not None
        return self._inward(self._keyspace.run(command, *words))

    def _inward(self, reply: Any) -> Any:
        """A reply as a script sees it: what is not there is false."""
        if isinstance(reply, list):
            return self._lua.table_from([self._inward(part) for part in reply])
        return False if reply is None else reply

    def _reply(self, value: Any) -> Any:
        """What a script returns as a client sees it: a list ends at the first nil."""
        if lua_type(value) == "table":
            parts = []
            for place in range(1, len(value) + 1):
                if value[place] is None:
                    break
                parts.append(self._reply(value[place]))
            return parts
        if isinstance(value, bool):
            return 1 if value else None
        return int(value) if isinstance(value, float) else value

    def _encode(self, value: Any) -> str:
        return json.dumps(self._plain(value), separators=(",", ":"))

    def _plain(self, value: Any) -> Any:
        if lua_type(value) != "table":
            return value
        if len(value):
            return [self._plain(value[place]) for place in range(1, len(value) + 1)]
        return {key: self._plain(part) for key, part in value.items()}

    def _decode(self, written: str) -> Any:
        return self._tables(json.loads(written))

    def _tables(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._lua.table_from({key: self._tables(part) for key, part in value.items()})
        if isinstance(value, list):
            return self._lua.table_from([self._tables(part) for part in value])
        return value


def _text(body: str) -> str:
    """A script without the line that tells Redis what it is."""
    first, _, rest = body.partition("\n")
    return rest if first.startswith("#!") else body


__all__ = ["LuaError", "Scripts"]
