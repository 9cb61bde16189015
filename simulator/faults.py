"""Faults: rules, set on the control port, that make chosen calls go wrong.

A rule is a JSON object:

    method       which call: a name ("VM.start_on") or a pattern ("VM.*"), without "Async."
    object       only where this is the object of the call: its ref, uuid or name, or an argument
    mark         only where the call, or the one that it is part of, has an X-Http-Other-Config
                 header with this value, or one that fits this pattern
    phase        only at this point within the operation, just before what it is named for:
                 VM.clone, VM.copy, VM.snapshot, VM.checkpoint: disk, row, vbd, vif, memory,
                 result;  VM.provision: disk, vbd, done;  VM.suspend: image;
                 VM.revert: stop, old, disk, rows, result;  VM.checkpoint: asleep;
                 VM.start, VM.start_on, VM.resume: placed, started;
                 VM.destroy: rows, "after vbd", "after vif";  host.evacuate: vm;
                 pool.create_VLAN, pool.create_VLAN_from_PIF: host;
                 VM.hard_shutdown, VM.clean_shutdown: stopped
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
"""

from __future__ import annotations

import asyncio
import dataclasses
import fnmatch
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from simulator.errors import ApiError, Dropped

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.world import World

ACTIONS: Final = frozenset({"fail", "fail_task", "refuse", "drop", "delay", "restart"})


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
        allowed = {f.name for f in dataclasses.fields(cls)} - {"matched", "struck"}
        if unknown := set(given) - allowed:
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
        rule = cls(**given)
        if rule.action not in ACTIONS:
            raise ValueError(f"action is one of {', '.join(sorted(ACTIONS))}")
        if rule.when not in {"before", "after"}:
            raise ValueError("when is before or after")
        if rule.action in {"fail", "fail_task", "refuse"} and not rule.error:
            raise ValueError(f"action {rule.action} needs an error: [code, parameters…]")
        rule.error = [str(part) for part in rule.error]
        return rule

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
            and (rule.method == call.name or fnmatch.fnmatchcase(call.name, rule.method))
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
