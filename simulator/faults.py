"""Faults: rules, set on the control port, that make chosen calls go wrong.

A rule is a JSON object:

    method       which call: a name ("VM.start_on") or a pattern ("VM.*"), without "Async."
    object       only where this is the object of the call: its ref, uuid or name, or an argument
    mark         only where the call, or the one that it is part of, has an X-Http-Other-Config
                 header with this value, or one that fits this pattern
    phase        only at this point within the operation, just before what it is named for:
                 VM.clone, VM.copy, VM.snapshot, VM.checkpoint: disk, row, vbd, vif, memory,
                 result;  VM.provision: disk, vbd, done;  VM.suspend: image;
                 VM.revert: stop, stopped, old, disk, rows, result;
                 VM.checkpoint: image, asleep, placed, started;
                 VM.start, VM.start_on, VM.resume, VM.resume_on, VM_appliance.start: placed,
                 started;  VM.destroy: rows, "after vbd", "after vif";  host.evacuate: vm;
                 pool.create_VLAN, pool.create_VLAN_from_PIF: host;
                 VM.hard_shutdown, VM.clean_shutdown, VM.shutdown, and those three of
                 VM_appliance: stopped
    nth          only the nth matching call (from 1);  times: only so many times;
    probability  only so often (0 to 1)
    when         "before" (default) or "after" the call has done its work
    action       "fail" (default): the call ends with `error`; an Async call's task does
                 ("fail_task" is another name for it)
                 "refuse": the answer itself is `error`, also of an Async call: nothing ran
                 "drop": close the connection without an answer
                 "delay": wait `seconds` (not scaled), then go on
                 "restart": restart xapi at that point
    error        [code, parameters…]
    seconds      for delay

A rule that can never strike is refused: with a phase that none of its calls comes to, or with one
and "refuse", "drop" or "after", which are about the whole of a call.
"""

from __future__ import annotations

import asyncio
import dataclasses
import fnmatch
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from simulator.errors import ApiError, Dropped
from simulator.latency import is_seconds

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.world import World

ACTIONS: Final = frozenset({"fail", "fail_task", "refuse", "drop", "delay", "restart"})

_DUPLICATE: Final = ("disk", "row", "vbd", "vif", "memory", "result")
_RUN: Final = ("placed", "started")
_STOP: Final = ("stopped",)
#: the phases of every call that has some; a call comes to no others
PHASES: Final[Mapping[str, Sequence[str]]] = {
    "VM.clone": _DUPLICATE,
    "VM.copy": _DUPLICATE,
    "VM.snapshot": _DUPLICATE,
    "VM.checkpoint": ("image", "asleep", *_DUPLICATE, *_RUN),
    "VM.revert": ("stop", *_STOP, "old", "disk", "rows", "result"),
    "VM.provision": ("disk", "vbd", "done"),
    **dict.fromkeys(("VM.start", "VM.start_on", "VM.resume", "VM.resume_on"), _RUN),
    "VM_appliance.start": _RUN,
    "VM.suspend": ("image",),
    **{
        f"{cls}.{how}": _STOP
        for cls in ("VM", "VM_appliance")
        for how in ("hard_shutdown", "clean_shutdown", "shutdown")
    },
    "VM.destroy": ("rows", "after vbd", "after vif"),
    "host.evacuate": ("vm",),
    "pool.create_VLAN": ("host",),
    "pool.create_VLAN_from_PIF": ("host",),
}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(part, str) for part in value)


#: what may stand in a field, by its type, and the words for it
_KINDS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "str": (lambda value: isinstance(value, str), "a text"),
    "int": (_is_count, "a whole number from 0"),
    "float": (is_seconds, "a number from 0"),
    "Sequence[str]": (_is_texts, "a list of texts"),
}


@dataclasses.dataclass
class Rule:
    """One rule, and how often it has matched and struck."""

    method: str
    object: str = ""
    mark: str = ""
    phase: str = ""
    nth: int = 0
    times: int = 0
    probability: float = 1.0
    when: str = "before"
    action: str = "fail"
    error: Sequence[str] = ()
    seconds: float = 0.0
    matched: int = 0
    struck: int = 0

    @classmethod
    def read(cls, given: Any) -> Rule:
        """Check a rule as it came over the control port."""
        if not isinstance(given, Mapping) or not isinstance(given.get("method"), str):
            raise TypeError("a fault is an object with at least a method")
        kinds = {f.name: _KINDS[str(f.type)] for f in dataclasses.fields(cls)}
        if unknown := set(given) - (kinds.keys() - {"matched", "struck"}):
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
        for name, value in given.items():
            is_right, words = kinds[name]
            if not is_right(value):
                raise ValueError(f"{name} is {words}, not {value!r}")
        rule = cls(**given)
        rule.check()
        return rule

    def check(self) -> None:
        """Refuse what is never right, or never strikes."""
        if self.action not in ACTIONS:
            raise ValueError(f"action is one of {', '.join(sorted(ACTIONS))}")
        if self.when not in {"before", "after"}:
            raise ValueError("when is before or after")
        if self.probability > 1:
            raise ValueError(f"probability is a number from 0 to 1, not {self.probability}")
        if self.action in {"fail", "fail_task", "refuse"} and not self.error:
            raise ValueError(f"action {self.action} needs an error: [code, parameters…]")
        if self.method.startswith("Async."):
            raise ValueError(f"method is a name without Async., not {self.method!r}")
        if self.phase:
            self._check_phase()

    def _check_phase(self) -> None:
        if self.in_reply or self.when == "after":
            raise ValueError(
                "a phase is within an operation: it knows no refuse, no drop and no after"
            )
        known = {phase for call in PHASES if self.is_of(call) for phase in PHASES[call]}
        if self.phase not in known:
            there = f"; there are: {', '.join(sorted(known))}" if known else ""
            raise ValueError(f"{self.method} has no phase {self.phase!r}{there}")

    def is_of(self, call: str) -> bool:
        return self.method == call or fnmatch.fnmatchcase(call, self.method)

    @property
    def in_reply(self) -> bool:
        """Whether the rule strikes the answer, not the operation."""
        return self.action in {"refuse", "drop"}


class Faults:
    """The rules in force."""

    def __init__(self, world: World, seed: int = 0) -> None:
        self.world = world
        self.rules: list[Rule] = []
        self._chance = random.Random(seed)

    async def at_reply(self, call: Call, args: Sequence[Any], when: str) -> None:
        """Strike the exchange: refuse, or close the connection."""
        for rule in self._striking(call, args, when, "", in_reply=True):
            await self._strike(rule)

    async def at_body(self, call: Call, args: Sequence[Any], when: str) -> None:
        """Strike the operation itself: in its task, for an Async call."""
        for rule in self._striking(call, args, when, "", in_reply=False):
            await self._strike(rule)

    async def at_phase(self, call: Call, phase: str) -> None:
        if phase not in PHASES.get(call.name, ()):
            raise LookupError(f"{call.name} comes to {phase!r}, which is none of its phases")
        if self.rules:
            for rule in self._striking(call, (), "before", phase, in_reply=False):
                await self._strike(rule)

    def _striking(
        self, call: Call, args: Sequence[Any], when: str, phase: str, *, in_reply: bool
    ) -> list[Rule]:
        marks = call.marks()
        return [
            rule
            for rule in self.rules
            if rule.phase == phase
            and rule.when == when
            and rule.in_reply == in_reply
            and rule.is_of(call.name)
            and (not rule.mark or any(fnmatch.fnmatchcase(m, rule.mark) for m in marks))
            and (not rule.object or self._concerns(rule.object, args or call.args))
            and self._now(rule)
        ]

    def _now(self, rule: Rule) -> bool:
        rule.matched += 1
        if rule.nth and rule.matched != rule.nth:
            return False
        if rule.times and rule.struck >= rule.times:
            return False
        if rule.probability < 1 and self._chance.random() >= rule.probability:
            return False
        rule.struck += 1
        return True

    def _concerns(self, wanted: str, args: Sequence[Any]) -> bool:
        texts = [arg for arg in args if isinstance(arg, str)]
        if wanted in texts:
            return True
        rows = filter(None, map(self.world.find_anywhere, texts))
        return any(wanted in {row.uuid, row.values.get("name_label")} for row in rows)

    async def _strike(self, rule: Rule) -> None:
        if rule.action == "delay":
            await asyncio.sleep(rule.seconds)
        elif rule.action == "drop":
            raise Dropped
        elif rule.action == "restart":
            asyncio.get_running_loop().call_soon(self.world.restart)
            if self.world.dies_with_xapi():
                await asyncio.get_running_loop().create_future()  # the restart cuts it here
        else:
            raise ApiError(*rule.error)

    def as_list(self) -> list[dict[str, Any]]:
        return [dataclasses.asdict(rule) for rule in self.rules]
