"""A batch: one request, many names."""

import re
from dataclasses import dataclass
from string import Formatter

from xenlaunch.errors import BadRequest
from xenlaunch.model import MAX_BATCH, LaunchRequest

_FIELDS = ("", "index")
_WIDTH = re.compile(r"(0[1-9]\d?)?d?")


@dataclass(frozen=True)
class Batch:
    """What a batch was accepted as: its id, and its launches' ids in order."""

    id: str
    launches: tuple[str, ...]


def numbered(
    request: LaunchRequest, count: int, pattern: str | None = None
) -> tuple[LaunchRequest, ...]:
    """The same request so many times, each under a name of its own, numbered from 1.

    Without a pattern the names are ``<name>-001``, ``<name>-002`` and so on.
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
    return tuple(
        LaunchRequest.parse({**fields, "name": name_of(pieces, index)})
        for index in range(1, count + 1)
    )


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
