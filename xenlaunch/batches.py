"""A batch: one request with many names, or a list of requests; and how much of it must come up."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from xenlaunch.errors import BadRequest
from xenlaunch.fields import explain
from xenlaunch.frozen import Frozen
from xenlaunch.model import MAX_BATCH, LaunchRequest

_FIELDS = ("", "index")
_WIDTH = re.compile(r"(0[1-9]\d?)?d?")
_PERCENT = re.compile(r"(100|[1-9]?\d)\s*%")


def _check_tolerance(value: object) -> object:
    number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if not number and not (isinstance(value, str) and _PERCENT.fullmatch(value.strip())):
        raise PydanticCustomError(
            "tolerance", "is neither a number of launches nor a percentage like 10%"
        )
    return value


Tolerance = Annotated[
    int | str,
    BeforeValidator(_check_tolerance),
    Field(json_schema_extra={"minimum": 0, "pattern": rf"^\s*{_PERCENT.pattern}\s*$"}),
]


class BatchPolicy(Frozen):
    """How much of a batch must come up, and how much may fail. What is left out is not looked at.

    ``tolerate`` is a number of launches, or a percentage of all (``10%``), rounded down.
    """

    min_count: Annotated[StrictInt, Field(ge=1, le=MAX_BATCH)] | None = None
    tolerate: Tolerance | None = None
    all_or_nothing: StrictBool = False

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.all_or_nothing and (self.min_count is not None or self.tolerate is not None):
            raise PydanticCustomError(
                "batch", "has all_or_nothing, which says all that min_count and tolerate could say"
            )
        return self

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """A policy from plain data. Raises `BadRequest`, with paths below ``batch``."""
        try:
            return cls.model_validate(fields)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
            findings = [
                (("batch", *error["loc"]), f"of the batch, {explain(error)}") for error in errors
            ]
            said = "; ".join(sentence for _, sentence in findings)
            raise BadRequest(f"{said}.", findings) from None

    def check(self, count: int) -> None:
        """Raise `BadRequest` where so many launches cannot be as many as must come up."""
        if self.min_count is not None and self.min_count > count:
            raise BadRequest(
                f"At least {self.min_count} launches are to come up, and the batch has {count}."
            )

    def least(self, count: int) -> int:
        """How many of so many launches must come up; with fewer, all of the batch is undone.

        >>> BatchPolicy(all_or_nothing=True).least(20)
        20
        """
        return count if self.all_or_nothing else self.min_count or 0

    def tolerated(self, count: int) -> int | None:
        """How many of so many launches may fail before the others are not begun; None: any.

        >>> BatchPolicy(tolerate="15%").tolerated(10)
        1
        """
        if isinstance(self.tolerate, str):
            return count * int(self.tolerate.strip().rstrip("% ")) // 100
        return self.tolerate

    def fields(self, count: int) -> str:
        """The policy as it lies in the hash of a batch of so many: a JSON list of names and values.

        >>> BatchPolicy(min_count=8).fields(10)
        '["least", "8"]'
        """
        said = {"least": self.least(count) or None, "tolerated": self.tolerated(count)}
        words = [(name, str(value)) for name, value in said.items() if value is not None]
        return json.dumps([word for pair in words for word in pair])

    def canonical(self) -> str:
        """The policy as JSON without its defaults, '' where it says nothing."""
        said = self.model_dump_json(exclude_defaults=True)
        return "" if said == "{}" else said


ANYHOW: Final = BatchPolicy()
"""Each launch for itself."""


@dataclass(frozen=True)
class Batch:
    """What a batch was accepted as: its id, and its launches' ids in order."""

    id: str
    launches: tuple[str, ...]


def numbered(
    request: LaunchRequest,
    count: int,
    pattern: str | None = None,
    overrides: Sequence[Mapping[str, Any]] = (),
) -> tuple[LaunchRequest, ...]:
    """The same request so many times, each under a name of its own, numbered from 1.

    Without a pattern the names are ``<name>-001``, ``<name>-002`` and so on. Each of the overrides
    says by ``index``, or by the ``name`` that comes out, for which launch it has other fields.
    """
    if not 1 <= count <= MAX_BATCH:
        raise BadRequest(f"A batch has from 1 to {MAX_BATCH} launches; {count} were asked for.")
    pieces = parse_pattern(pattern if pattern is not None else _escaped(request.name) + "-{:03}")
    if count > 1 and all(width is None for _, width in pieces):
        raise BadRequest(
            f"The name {pattern!r} has no number in it, so {count} VMs would share it: "
            "write it like 'web-{:03}'."
        )
    fields = request.model_dump(exclude_defaults=True)
    names = [name_of(pieces, index) for index in range(1, count + 1)]
    other = _by_place(overrides, names)
    return tuple(
        LaunchRequest.parse({**fields, "name": name})
        if index not in other
        else _overridden({**fields, "name": name}, *other[index])
        for index, name in enumerate(names)
    )


def _by_place(
    overrides: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[int, tuple[int, Mapping[str, Any]]]:
    """By the place of the launch, from 0, which of the overrides it has, and its fields."""
    places = {name: place for place, name in enumerate(names)}
    found: dict[int, tuple[int, Mapping[str, Any]]] = {}
    for number, override in enumerate(overrides):
        place = _place(number, override, places)
        if place in found:
            raise _bad(number, f"is for {names[place]!r} like an earlier one")
        found[place] = number, {k: v for k, v in override.items() if k != "index"}
    return found


def _place(number: int, override: object, places: Mapping[str, int]) -> int:
    if not isinstance(override, Mapping):
        raise _bad(number, "is no mapping of fields such as index and memory")
    if "index" in override:
        index = override["index"]
        if not isinstance(index, int) or isinstance(index, bool) or not 1 <= index <= len(places):
            raise _bad(number, f"has an index that is no number from 1 to {len(places)}", "index")
        return index - 1
    if "name" not in override:
        raise _bad(number, "has neither index nor name, which say for which launch it is")
    if override["name"] not in places:
        raise _bad(number, f"is for {override['name']!r}, which is no name of the batch", "name")
    return places[override["name"]]


def _overridden(
    fields: Mapping[str, Any], number: int, override: Mapping[str, Any]
) -> LaunchRequest:
    try:
        return LaunchRequest.parse({**fields, **override})
    except BadRequest as bad:
        where = "batch", "overrides", number
        findings = [((*where, *path), sentence) for path, sentence in bad.findings]
        raise BadRequest(f"Override {number + 1}: {bad}", findings) from None


def _bad(number: int, sentence: str, *path: str) -> BadRequest:
    said = f"override {number + 1} {sentence}"
    return BadRequest(f"In the batch, {said}.", [(("batch", "overrides", number, *path), said)])


def parse_pattern(pattern: str) -> list[tuple[str, str | None]]:
    """A name pattern in pieces: a text, and the width of the number after it (None: no number).

    >>> parse_pattern("web-{:03}-{index}.lab")
    [('web-', '03'), ('-', ''), ('.lab', None)]
    """
    try:
        pieces = list(Formatter().parse(pattern))
    except ValueError as wrong:
        raise BadRequest(f"The name {pattern!r} is no pattern: {wrong}.") from None
    for _, field, width, conversion in pieces:
        if field is None:
            continue
        if field not in _FIELDS or conversion or not _WIDTH.fullmatch(width or ""):
            raise BadRequest(
                f"The name {pattern!r} is no pattern: the number in it is written "
                "{}, {index} or, with a width, {:03} or {index:03}."
            )
    return [(text, None if field is None else width or "") for text, field, width, _ in pieces]


def name_of(pieces: list[tuple[str, str | None]], index: int) -> str:
    """The name with this number.

    >>> name_of(parse_pattern("web-{:03}"), 7)
    'web-007'
    """
    return "".join(text + ("" if width is None else format(index, width)) for text, width in pieces)


def _escaped(name: str) -> str:
    return name.replace("{", "{{").replace("}", "}}")
