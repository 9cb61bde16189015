"""Every call by its name: what it takes, what it gives, and the function that does it.

A call with behaviour is a function under a signature, written as XAPI's own documentation would:

    @call("VM.clone(vm: VM ref, new_name: string) -> VM ref", has_async=True)
    async def clone(call: Call, vm: str, new_name: str) -> str: ...

The session is a parameter on the wire only; a function gets it in its `Call`. What generic.py
makes of the schema is in the same table, and a declared call replaces a generated one.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from simulator.errors import TaskCancelled
from simulator.values import Reader, reader

if TYPE_CHECKING:
    from simulator.db import Database, Row
    from simulator.world import World

Body = TypeVar("Body", bound=Callable[..., Any])

#: what stands in a header of this name, in lower case, is kept in the task of the call
OTHER_CONFIG: Final = "x-http-other-config-"
#: parameters that no log may show
SECRET_NAMES: Final = frozenset({"pwd", "old_pwd", "new_pwd", "psecret", "password", "unattend"})
_SIGNATURE: Final = re.compile(r"(\w+)\.(\w+)\((.*)\) -> (.+)")
_PARAM: Final = re.compile(r"(\w+): (.+?)(?: = (.+))?")


@dataclasses.dataclass(slots=True)
class Call:
    """One call while it runs: who asked, in which task, and the world it runs in."""

    world: World
    name: str  # VM.clone
    sent_as: str  # Async.VM.clone
    session: str = ""
    task: Row | None = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    args: tuple[Any, ...] = ()
    host: str = ""  # the member that was asked, where each has its own address
    part_of: Call | None = None

    @property
    def db(self) -> Database:
        return self.world.db

    @property
    def mark(self) -> str:
        """The key under which this call stands in current_operations."""
        return self.task.ref if self.task else f"DummyRef:||{self.name}"

    def marks(self) -> list[str]:
        """What its client has written on the call, or on the one that it is part of."""
        if self.part_of is not None:
            return self.part_of.marks()
        return [value for name, value in self.headers.items() if name.startswith(OTHER_CONFIG)]

    def stop_if_cancelled(self) -> None:
        if self.task is not None and self.task.ref in self.world.tasks.cancelled:
            raise TaskCancelled(self.task.ref)

    async def phase(self, name: str) -> None:
        """A point between two acts of an operation, where it may be cancelled, fail, or be cut."""
        self.stop_if_cancelled()
        await self.world.faults.at_phase(self, name)

    async def spend(self, latency: str, times: float = 1, *, sr: str = "") -> None:
        """Let the time of an act pass, longer on a slow SR; a cancelled task stops waiting."""
        seconds = self.world.latency.of(latency) * times * self.world.slowness.get(sr, 1)
        if seconds > 0:
            await self.world.tasks.sleep(self.task, seconds)
        self.stop_if_cancelled()


@dataclasses.dataclass(frozen=True, slots=True)
class Param:
    """A parameter: its name, its type, and how to read it."""

    name: str
    type: str
    read: Reader
    default: Any = None
    has_default: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """A call that a client may make."""

    cls: str
    verb: str
    params: tuple[Param, ...]
    result: str
    body: Callable[..., Any]
    has_async: bool = False
    needs_session: bool = True
    changes: bool = True

    @property
    def name(self) -> str:
        return f"{self.cls}.{self.verb}"

    @property
    def required(self) -> int:
        return sum(not p.has_default for p in self.params)

    @property
    def secret(self) -> frozenset[int]:
        """Places of the parameters that the call log masks."""
        places = (i for i, p in enumerate(self.params) if p.name in SECRET_NAMES)
        return frozenset(places) | frozenset(
            i for i, p in enumerate(self.params) if p.type == "session ref"
        )


def _params(text: str) -> tuple[Param, ...]:
    return tuple(map(_param, re.split(r", (?=\w+: )", text))) if text else ()


def _param(text: str) -> Param:
    found = _PARAM.fullmatch(text)
    if found is None:
        raise ValueError(f"not a parameter: {text!r}")
    name, type_, default = found.groups()
    if default is None:
        return Param(name, type_, reader(type_))
    return Param(name, type_, reader(type_), json.loads(default), has_default=True)


def method(signature: str, body: Callable[..., Any], **how: bool) -> Method:
    found = _SIGNATURE.fullmatch(signature)
    if found is None:
        raise ValueError(f"not a signature: {signature!r}")
    cls, verb, params, result = found.groups()
    return Method(cls, verb, _params(params), result, body, **how)


#: the calls that have a function of their own
DECLARED: Final[dict[str, Method]] = {}


def declare(methods: Iterable[Method]) -> None:
    for made in methods:
        DECLARED[made.name] = made


def call(signature: str, **how: bool) -> Callable[[Body], Body]:
    """Declare the call that the function does."""

    def keep(body: Body) -> Body:
        declare([method(signature, body, **how)])
        return body

    return keep
