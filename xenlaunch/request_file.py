"""A request as people write it: a YAML file of YAML 1.2's plain kind.

There ``52:54:00:12:34:56`` is a MAC address and ``yes`` a word; YAML 1.1, which PyYAML reads by
default, makes a number and a truth of them. A field that is written twice is an error.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, TextIO

import yaml

from xenlaunch.errors import BadRequest
from xenlaunch.model import LaunchRequest

MAX_SIZE: Final = 1 << 20
"""The longest request file in characters."""

_PLAIN = frozenset({"null", "bool", "int", "str", "seq", "map"})


class _Loader(yaml.SafeLoader):
    """Reads plain data, and refuses a key that is there twice."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  PyYAML
    yaml_constructors = {  # noqa: RUF012  PyYAML's own shape
        tag: build
        for tag, build in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in _PLAIN
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a field's name is no plain text", problem_mark=key.start_mark
                )
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} is there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return node


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"^(?:{_pattern})$"),
        [*_first, *([""] if _tag == "null" else [])],
    )


def read_request(
    file: TextIO, source: str, overrides: Mapping[str, str | None] | None = None
) -> LaunchRequest:
    """The request in a YAML file; what overrides has and is not None is taken instead.

    Raises `BadRequest`, with the source's name and, where YAML itself is at fault, the line.
    """
    try:
        text = file.read(MAX_SIZE + 1)
    except UnicodeDecodeError:
        raise BadRequest(f"{source}: This is no text in UTF-8.") from None
    if len(text) > MAX_SIZE:
        raise BadRequest(f"{source}: This is too long for a request.")
    fields = _load(text, source)
    if isinstance(fields, dict):
        chosen = {name: value for name, value in (overrides or {}).items() if value is not None}
        fields = {**fields, **chosen}
    try:
        return LaunchRequest.parse(fields)
    except BadRequest as bad:
        raise BadRequest(f"{source}: {bad}") from None


def _load(text: str, source: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506  a SafeLoader that reads less
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        line = f" in line {mark.line + 1}" if mark else ""
        raise BadRequest(f"{source}: This is not YAML{line}: {wrong.problem}.") from None
    except yaml.YAMLError as wrong:
        first = str(wrong).partition("\n")[0]
        raise BadRequest(f"{source}: This is not YAML: {first}.") from None
    except RecursionError:
        raise BadRequest(f"{source}: This is nested too deeply for a request.") from None
    except ValueError:  # a number of ten thousand digits, or an !!int that is none
        raise BadRequest(f"{source}: This is not YAML: a number in it is none.") from None
