"""What each made part of the docs says. A part takes one argument and gives lines."""  # noqa: INP001  tools are no package

import ast
import inspect
import re
import string
import textwrap
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bench import defaults
from tasks.chain import LAUNCH
from tasks.undo import undo
from tools.docs_examples import examples
from tools.docs_setting_words import (
    FIGURES,
    FILE_KEYS,
    OPTIONS,
    OWNER_KEYS,
    POOL_KEYS,
)
from tools.docs_words import (
    CLASSES,
    CONTROL_TASKS,
    FIELDS,
    OWN_CODES,
    STATES,
)
from workers.settings import OwnerSettings, PoolSettings, PoolsFile
from xenlaunch import names, states
from xenlaunch.cli import cli
from xenlaunch.disks import Cd, ExistingDisk, Iso, NewDisk, Qos, TemplatesDisk
from xenlaunch.errors import PoolError
from xenlaunch.frozen import Frozen
from xenlaunch.gpus import Gpu
from xenlaunch.groups import Group
from xenlaunch.guest import Guest
from xenlaunch.model import LaunchRequest
from xenlaunch.nics import Nic
from xenlaunch.waiting import Awaited
from xenlaunch.xapi.refusals import NEXT, SENTENCES

ROOT: Final = Path(__file__).resolve().parents[1]

Part = Callable[[str], Iterable[str]]


def row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield row(*head)
    yield row(*("---" for _ in head))
    for cells in rows:
        yield row(*cells)


# States


def states_diagram(_: str) -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {states.WAITING}"
    for before, after in moves():
        yield f"    {before} --> {after}"
    for state in states.STATES:
        if state in states.ENDED:
            yield f"    {state} --> [*]"
    yield "```"


def states_table(_: str) -> Iterator[str]:
    def cells(state: str) -> tuple[str, ...]:
        after = ", ".join(other for before, other in moves() if before == state) or "none: it ends"
        return f"`{state}`", f"`{states.public(state)}`", STATES[state], after

    return table(("State", "Shown as", "What is so", "Moves to"), map(cells, states.STATES))


def moves() -> Iterator[tuple[str, str]]:
    for before in states.STATES:
        for after in states.STATES:
            if after in states.MOVES[before]:
                yield before, after


# Errors


def errors(_: str) -> Iterator[str]:
    for kind, (title, meaning) in CLASSES.items():
        codes = [code for code, found in NEXT.items() if found.__name__ == kind]
        yield f"## {title}"
        yield ""
        yield f"`{kind}`, {len(codes)} {'code' if len(codes) == 1 else 'codes'}. {meaning}"
        yield ""
        yield from table(("Code", "Sentence"), ((f"`{c}`", spoken(SENTENCES[c])) for c in codes))
        yield ""


def spoken(sentence: str) -> str:
    """A sentence of the table of refusals, its parameters counted from 1 as people do.

    >>> spoken("The host has {1:size} free.")
    'The host has [2] free.'
    """
    parts = []
    for text, field, _, _ in string.Formatter().parse(sentence):
        parts.append(text if field is None else f"{text}[{int(field) + 1}]")
    return "".join(parts)


def own_codes(_: str) -> Iterator[str]:
    return table(
        ("Code", "Class", "When"),
        ((f"`{code}`", kind, when) for code, (kind, when) in sorted(OWN_CODES.items())),
    )


def known_classes(of: type[PoolError] = PoolError) -> set[str]:
    """All kinds of a pool's errors, but for those that a file has for its own use."""
    kinds = [kind for kind in of.__subclasses__() if kind.__module__ == PoolError.__module__]
    return {kind.__name__ for kind in kinds}.union(*map(known_classes, kinds))


# The code itself


def steps(_: str) -> Iterator[str]:
    def cells(step: Callable[..., Any]) -> tuple[str, ...]:
        name = step.__name__
        said = (inspect.getdoc(step) or "").partition("\n")[0]
        return f"`{name}`", f"`{names.TASK_OF[name]}`", _link(f"tasks/{name}.py"), said

    return table(("Step", "Celery task", "File", "What it does"), map(cells, (*LAUNCH, undo)))


def control_tasks(_: str) -> Iterator[str]:
    return table(
        ("Celery task", "What it does"),
        ((f"`{name}`", said) for name, said in CONTROL_TASKS.items()),
    )


def files(room: str) -> Iterator[str]:
    """The files of a room, each with the first sentence of its docstring."""

    def cells(path: Path) -> tuple[str, ...]:
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        first = re.split(r"(?<=[.:])(?:\s|$)", " ".join(said.split("\n\n")[0].split()))[0]
        whole = " ".join(said.split("\n\n")[0].split())
        return _link(str(path.relative_to(ROOT))), whole if first.endswith(":") else first

    found = sorted((ROOT / room).glob("*.py"))
    return table(("File", "What it is"), (cells(p) for p in found if p.name != "__init__.py"))


def _link(path: str) -> str:
    return f"[{path}](../{path})"


def source(argument: str) -> Iterator[str]:
    """A function, class or assignment, as it stands in its file: ``path name``; or a whole file."""
    path, _, name = argument.partition(" ")
    text = (ROOT / path).read_text()
    yield _link(path) + ":"
    yield ""
    yield f"```{'lua' if path.endswith('.lua') else 'python'}"
    yield (_node(text, name) if name else text).rstrip()
    yield "```"


def _node(text: str, name: str) -> str:
    for node in ast.walk(ast.parse(text)):
        if name in _named(node):
            assert isinstance(node, ast.stmt)  # noqa: S101  only statements have names here
            start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            lines = text.splitlines()[start - 1 : node.end_lineno]
            return textwrap.dedent("\n".join(lines))
    raise LookupError(f"there is no {name}")


def _named(node: ast.AST) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return {name}
    return set()


def docstring(argument: str) -> Iterator[str]:
    """A module's docstring without its first paragraph."""
    said = ast.get_docstring(ast.parse((ROOT / argument).read_text())) or ""
    yield said.partition("\n\n")[2]


def commands(_: str) -> Iterator[str]:
    def cells(name: str) -> tuple[str, ...]:
        command = cli.commands[name]
        words = [p.make_metavar(context) for p in command.params if p.param_type_name == "argument"]
        options = [p.opts[0] for p in command.params if p.param_type_name == "option"]
        said = (command.help or "").partition("\n")[0]
        return (
            f"`{' '.join(['xenlaunch', name, *words])}`",
            " ".join(f"`{option}`" for option in options),
            said,
        )

    context = cli.make_context("xenlaunch", ["pools"])
    return table(("Command", "Options", "What it does"), map(cells, cli.commands))


def latencies(_: str) -> Iterator[str]:
    figures = import_module("simulator.latency").FIGURES
    return table(
        ("Name", "Seconds", "Rests on"),
        ((f"`{name}`", f"{figure.seconds:g}", figure.basis) for name, figure in figures.items()),
    )


def simulator_options(_: str) -> Iterator[str]:
    parser = import_module("simulator.__main__")._parser()  # noqa: SLF001  it has no public name

    def cells(action: Any) -> tuple[str, ...]:
        default = "none" if action.default in (None, [], ()) else f"`{action.default}`"
        default = "off" if action.default is False else default
        return f"`{action.option_strings[0]}`", default, _help(action)

    options = [a for a in parser._actions if a.dest != "help"]  # noqa: SLF001  argparse has none
    return table(("Option", "Default", "What it does"), map(cells, options))


def simulator_missing(_: str) -> Iterator[str]:
    missing: dict[str, list[str]] = {}
    for name in sorted(import_module("simulator.missing").MISSING):
        cls, _, verb = name.partition(".")
        missing.setdefault(cls, []).append(f"`{verb}`")
    return table(("Class", "Calls"), ((f"`{c}`", " ".join(v)) for c, v in missing.items()))


def _help(action: Any) -> str:
    return str(action.help or OPTIONS[action.option_strings[0]])


def figures(_: str) -> Iterator[str]:
    def cells(path: str, meaning: str) -> tuple[str, ...]:
        module, _, name = path.partition(":")
        value: Any = import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
        seconds = value / 1000 if "Times" in name or name.endswith("_MS") else value
        unit = "" if name.endswith("TRIES") else " s"
        return meaning, f"{seconds:g}{unit}", f"`{name}` in {_link(_path_of(module))}"

    return table(("What", "How much", "Where"), (cells(*entry) for entry in FIGURES.items()))


def _path_of(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


# Settings and requests

MODELS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind
    for kind in (
        *(LaunchRequest, TemplatesDisk, NewDisk, ExistingDisk, Qos, Iso, Cd, Gpu, Group, Nic),
        *(Guest, Awaited),
    )
}


SHAPES: Final = {
    "Group": "`{name, keep, best_effort}`",
    "MemoryRange": "`{min, max}`",
    "Awaited": "`{nic, family, cidr, port}`",
}
"""What a field that is a mapping of its own holds, by the mapping's class."""


def request(kind: str) -> Iterator[str]:
    said = dict(described(MODELS[kind]))
    return table(
        ("Field", "Type", "Default", "What it does"),
        ((f"`{name}`", *said[name], effect) for name, effect in FIELDS[kind].items()),
    )


def pool_keys(_: str) -> Iterator[str]:
    return table(
        ("Key", "Type", "Default", "What it does"),
        ((f"`{name}`", *said, POOL_KEYS[name]) for name, said in described(PoolSettings)),
    )


def owner_keys(_: str) -> Iterator[str]:
    return table(
        ("Key", "Type", "Default", "What it does"),
        ((f"`{name}`", *said, OWNER_KEYS[name]) for name, said in described(OwnerSettings)),
    )


def file_keys(_: str) -> Iterator[str]:
    return table(
        ("Key", "Type", "Default", "What it does"),
        (
            (f"`{name}`", *said, FILE_KEYS[name])
            for name, said in described(PoolsFile)
            if name in FILE_KEYS
        ),
    )


def described(model: type[Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each field of a model, with its type in words and its default."""
    fields = model.model_json_schema()["properties"]
    required = set(model.model_json_schema().get("required", ()))
    for name, schema in fields.items():
        default = "required" if name in required else _default(schema.get("default"))
        yield name, (_type(name, schema), default)


def _default(value: object) -> str:
    if value is None:
        return "none"
    if value in ([], {}):
        return f"`{value}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(name: str, schema: dict[str, Any]) -> str:
    kinds = schema.get("anyOf") or schema.get("oneOf")
    if kinds is None:
        return _one_type(name, schema)
    return " or ".join(_type(name, kind) for kind in kinds if kind.get("type") != "null")


def _one_type(name: str, schema: dict[str, Any]) -> str:
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    least = schema.get("minimum", schema.get("ge"))
    most = schema.get("maximum", schema.get("le"))
    if least == 1 << 20:
        return "size, 1 MiB to 1 PiB"
    if "$ref" in schema:
        return SHAPES.get(schema["$ref"].rpartition("/")[2], "mapping")
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true or false",
        "object": "mapping of text to text",
    }
    kind = {"mac": "MAC address"}.get(name, words.get(str(schema.get("type")), "list"))
    if schema.get("format") == "path":
        kind = "path"
    if least is not None:
        kind = f"{kind}, {least} to {most}"
    for key, unit in (("maxLength", "characters"), ("maxItems", "entries")):
        kind += f", at most {schema[key]} {unit}" if key in schema else ""
    return kind


def is_described(kind: type[Frozen]) -> bool:
    return set(kind.model_fields) == set(FIELDS[kind.__name__])


PARTS: Final[dict[str, Part]] = {
    "states-diagram": states_diagram,
    "states-table": states_table,
    "errors": errors,
    "own-codes": own_codes,
    "steps": steps,
    "control-tasks": control_tasks,
    "files": files,
    "source": source,
    "docstring": docstring,
    "commands": commands,
    "latencies": latencies,
    "figures": figures,
    "simulator-missing": simulator_missing,
    "simulator-options": simulator_options,
    "request": request,
    "examples": examples,
    "pool-keys": pool_keys,
    "file-keys": file_keys,
    "schedule": defaults.table,
    "owner-keys": owner_keys,
}
