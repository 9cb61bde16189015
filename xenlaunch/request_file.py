"""A request as people write it: a YAML file of YAML 1.2's plain kind.

There ``52:54:00:12:34:56`` is a MAC address and ``yes`` a word; YAML 1.1, which PyYAML reads by
default, makes a number and a truth of them. A field that is written twice is an error.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import yaml

from xenlaunch.errors import BadRequest
from xenlaunch.guest_files import with_files
from xenlaunch.model import LaunchRequest

MAX_SIZE: Final = 1 << 20
"""The longest request file in characters."""

_WORD = re.compile(r"\w+")

_PLAIN = frozenset({"null", "bool", "int", "float", "str", "seq", "map"})


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
    ("int", r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]{1,16}", "-+0123456789"),
    ("float", r"[-+]?([0-9]{1,15}\.[0-9]{0,15}|\.[0-9]{1,15})", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"^(?:{_pattern})$"),
        [*_first, *([""] if _tag == "null" else [])],
    )


@dataclass(frozen=True)
class Written:
    """What a file says, and where it says it."""

    fields: Any
    node: yaml.Node | None
    source: str

    @property
    def folder(self) -> Path:
        """Where the files lie that it names."""
        return Path(self.source).parent

    @contextmanager
    def telling_where(self, chosen: Mapping[str, object]) -> Iterator[None]:
        """Say of each finding in which line it is; what was chosen instead stands in none."""
        try:
            yield
        except BadRequest as bad:
            said = [
                f"{self.source}{_line(self.node, path, sentence, chosen)}: {sentence}."
                for path, sentence in bad.findings
            ]
            raise BadRequest("\n".join(said) or f"{self.source}: {bad}", bad.findings) from None


def read_request(
    file: TextIO, source: str, overrides: Mapping[str, str | None] | None = None
) -> LaunchRequest:
    """The request in a YAML file; what overrides has and is not None is taken instead.

    Raises `BadRequest`, with a line for each finding: where it is in the source, and a sentence.
    """
    return request_in(read_written(file, source), overrides or {})


def request_in(written: Written, overrides: Mapping[str, str | None]) -> LaunchRequest:
    """The one request that is written there, as `read_request` reads it."""
    chosen = {name: value for name, value in overrides.items() if value is not None}
    fields = written.fields
    with written.telling_where(chosen):
        if isinstance(fields, dict):
            fields = with_files({**fields, **chosen}, written.folder)
        return LaunchRequest.parse(fields)


def read_written(file: TextIO, source: str) -> Written:
    """What a YAML file says, not yet looked at. Raises `BadRequest` where it is no YAML."""
    try:
        text = file.read(MAX_SIZE + 1)
    except UnicodeDecodeError:
        raise BadRequest(f"{source}: This is no text in UTF-8.") from None
    if len(text) > MAX_SIZE:
        raise BadRequest(f"{source}: This is too long for a request.")
    return Written(*_load(text, source), source)


def _line(
    node: yaml.Node | None, path: Sequence[str | int], sentence: str, chosen: Mapping[str, object]
) -> str:
    """``:7`` for line 7, where a finding is about; '' where that stands in no file.

    What is wrong between several fields is looked for at the first of them that the sentence names.
    """
    if node is None or (path and path[0] in chosen):
        return ""
    found = node.start_mark.line
    named = [word for word in _WORD.findall(sentence) if _child(node, word)]
    for part in path or named[:1]:
        child = _child(node, part)
        if child is not None:  # else it is missing, or the name of a kind, which nobody wrote
            found, node = child
    return f":{found + 1}"


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    """The line of a mapping's key or of a list's entry, from 0, and what stands there."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line, node.value[part]
    return None


def _load(text: str, source: str) -> tuple[Any, yaml.Node | None]:
    """What a text says, and where it says it."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return (None if node is None else loader.construct_document(node)), node
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise BadRequest(f"{source}{line}: This is not YAML: {wrong.problem}.") from None
    except yaml.YAMLError as wrong:
        first = str(wrong).partition("\n")[0]
        raise BadRequest(f"{source}: This is not YAML: {first}.") from None
    except RecursionError:
        raise BadRequest(f"{source}: This is nested too deeply for a request.") from None
    except ValueError:  # a number of ten thousand digits, or an !!int that is none
        raise BadRequest(f"{source}: This is not YAML: a number in it is none.") from None
