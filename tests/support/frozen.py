"""The simulator's declarations in short, frozen where they were held against the datamodel.

``make conformance`` compares them with XAPI's datamodel, which is not part of this project. What it
found good is frozen in ``tests/unit/simulator/frozen.json`` as digests, so that ``make test`` sees
a change without it. After a change that ``make conformance`` passes:
``python -m tests.support.frozen``.
"""

import functools
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from simulator.calls import Method
from simulator.dispatch import METHODS
from simulator.generic import generated
from simulator.missing import MISSING
from simulator.schema.declare import CLASSES, ENUM_VALUES, FOLLOWS, Class
from simulator.schema.roles import roles_for
from tests.support.paths import ROOT

FILE: Final = ROOT / "tests" / "unit" / "simulator" / "frozen.json"
_GENERATED: Final = {method.name for method in generated()}
_NAMES: Final = METHODS.keys() | MISSING


@functools.cache
def declared() -> dict[str, Any]:
    return {
        "classes": {name: _class(cls) for name, cls in CLASSES.items()},
        "custom": {name: _digest([_call(METHODS[name])]) for name in sorted(_custom())},
        "enums": _digest(f"{name}: {values}" for name, values in ENUM_VALUES.items()),
        "relations": _digest(sorted(f"{a} {b}" for a, b in FOLLOWS.items())),
    }


def frozen() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text(encoding="utf-8")))


def counts() -> str:
    """What was compared, in one line."""
    fields = sum(len(cls.fields) for cls in CLASSES.values())
    own = sum(name.partition(".")[0] in CLASSES for name in METHODS)
    return (
        f"{len(CLASSES)} classes with {fields} fields; {len(METHODS)} calls answered, {own} "
        f"of them of these classes ({len(_custom())} custom); {len(MISSING)} not implemented"
    )


def _custom() -> set[str]:
    return METHODS.keys() - _GENERATED


def _class(cls: Class) -> dict[str, Any]:
    names = sorted(name for name in _NAMES if name.partition(".")[0] == cls.name)
    said = [
        f"{f.name} {f.type} {f.writer} {f.default} {f.has_default}" for f in cls.fields.values()
    ]
    said += [*sorted(cls.flags), *(f"{name} {roles_for(name)}" for name in names)]
    said += [_call(METHODS[name]) for name in names if name in _GENERATED & METHODS.keys()]
    return {"fields": len(cls.fields), "calls": len(names), "digest": _digest(said)}


def _call(method: Method) -> str:
    params = [(p.name, p.type, p.default, p.has_default) for p in method.params]
    return f"{method.name} {params} {method.result} {method.has_async} {method.needs_session}"


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


if __name__ == "__main__":
    Path(FILE).write_text(json.dumps(declared(), indent=1) + "\n", encoding="utf-8")
