"""Cases: features of a request as data, and what a stranger must read in the pool of each.

A file of cases is a mapping of names to cases. A case has

- ``request``: the fields beside name and template; ``"@VDI/data"`` is the uuid of that object;
- ``template``: the template's name, where it is not debian-12;
- ``profile``: ``"8.2"``, where the case is one of the older XAPI;
- ``given``: calls made by hand before anything is launched, ``{VDI.create: [{SR: "@SR/sr-1"}]}``,
  where ``"@SR/sr-1"`` is a ref;

and says of what comes of it at least one of

- ``vm``: fields of the VM's record;
- ``vbds``, ``vifs``: one entry for each that the VM has, in any order, each with some fields;
- ``calls``: the changing calls on the VM, in order, from its clone to its start;
- ``after``: by name, a field or more of the VDI of that name when all has ended, or null for none;
- ``refused``: words of the sentence, for what must be refused and change nothing.

A field that is a reference may be a mapping, which then says something of the record that it points
to. A mapping need only hold what is said here, null for a key that must not be there; a list holds
what is said here and nothing else, in any order. ``{name}`` is the name that the launch was given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import yaml

CASES: Final = Path(__file__).parents[1] / "flow" / "cases"

PROFILES: Final = ("current", "8.2")

SAYS: Final = ("vm", "vbds", "vifs", "calls", "after")
"""What a case can say of a launch that succeeds."""

CLASSES: Final = (
    *("VM", "VBD", "VDI", "SR", "VIF", "network", "PIF", "VLAN", "tunnel", "Bond", "host", "pool"),
    *("VTPM", "VGPU", "VGPU_type", "GPU_group", "VM_metrics", "VM_guest_metrics"),
)

Row = Mapping[str, Any]
Call = Callable[..., Any]
"""Makes a call of a pool, with the session in it, and gives its value."""


@dataclass(frozen=True)
class Case:
    """One of them; what it does not say is None."""

    name: str
    request: Row
    template: str = "debian-12"
    profile: str = "current"
    given: tuple[Row, ...] = ()
    vm: Row | None = None
    vbds: list[Row] | None = None
    vifs: list[Row] | None = None
    calls: list[str] | None = None
    after: Row | None = None
    refused: str | None = None


def read_cases(text: str) -> list[Case]:
    """The cases of a file; one that is not of the form, or says nothing, is an error."""
    return [_case(str(name), said) for name, said in yaml.safe_load(text).items()]


def _case(name: str, said: Row) -> Case:
    unknown = set(said) - {field.name for field in fields(Case)} | ({"name"} & set(said))
    assert not unknown, f"{name!r} has what no case has: {', '.join(sorted(unknown))}"
    assert "request" in said, f"{name!r} has no request"
    case = Case(name=name, **said)
    assert case.profile in PROFILES, f"{name!r} has no profile {case.profile!r}"
    outcome = [one for one in SAYS if getattr(case, one) is not None]
    assert outcome or case.refused, f"{name!r} says nothing of what comes of it"
    assert not (outcome and case.refused), f"{name!r} is refused, and says {outcome} all the same"
    return case


class Sight:
    """A pool as somebody reads it at one moment, with a client that is not ours."""

    def __init__(self, call: Call) -> None:
        self.tables: dict[str, Mapping[str, Row]] = {
            cls: call(f"{cls}.get_all_records") for cls in CLASSES
        }
        self.rows = {ref: row for rows in self.tables.values() for ref, row in rows.items()}

    def named(self, cls: str, name: str) -> list[str]:
        """The refs of the objects of that name."""
        rows = self.tables[cls].items()
        return sorted(ref for ref, row in rows if row["name_label"] == name)

    def filled(self, value: Any, field: str | None = None) -> Any:
        """What was written, with each ``@class/name`` as that object's ref, or its field."""
        if isinstance(value, Mapping):
            return {key: self.filled(one, field) for key, one in value.items()}
        if isinstance(value, list):
            return [self.filled(one, field) for one in value]
        if not (isinstance(value, str) and value.startswith("@")):
            return value
        cls, _, name = value[1:].partition("/")
        found = self.named(cls, name)
        assert found, f"the pool has no {cls} named {name!r}"
        return found[0] if field is None else self.rows[found[0]][field]

    def differs(self, case: Case, name: str, vm_uuid: str) -> list[str]:
        """What is otherwise than the case says, of a launch that succeeded under that name."""
        [vm] = [row for row in self.tables["VM"].values() if row["uuid"] == vm_uuid]
        found = [
            f"{field} is {vm.get(field)!r}"
            for field, wanted in (case.vm or {}).items()
            if not self.says(vm.get(field), wanted, name)
        ]
        for said, refs in (("vbds", vm["VBDs"]), ("vifs", vm["VIFs"])):
            wanted = getattr(case, said)
            if wanted is not None and not self.says(refs, wanted, name):
                found.append(f"{said} are {[self.rows[ref] for ref in refs]}")
        return found + self._other_disks(case, name)

    def _other_disks(self, case: Case, name: str) -> list[str]:
        found = []
        for label, wanted in (case.after or {}).items():
            refs = self.named("VDI", label.replace("{name}", name))
            if not self.says(refs, [] if wanted is None else [wanted], name):
                found.append(f"of the name {label!r} are {[self.rows[ref] for ref in refs]}")
        return found

    def says(self, found: Any, wanted: Any, name: str = "") -> bool:
        """Whether what was found says what is wanted."""
        if isinstance(wanted, Mapping):
            row = self.rows.get(found, {}) if isinstance(found, str) else found
            return isinstance(row, Mapping) and all(
                key not in row if value is None else key in row and self.says(row[key], value, name)
                for key, value in wanted.items()
            )
        if isinstance(wanted, list):
            return isinstance(found, list) and self._pairs(found, wanted, name)
        return bool(
            found == (wanted.replace("{name}", name) if isinstance(wanted, str) else wanted)
        )

    def _pairs(self, found: list[Any], wanted: list[Any], name: str) -> bool:
        """Whether each that is wanted has one of its own, and none is left over."""
        if len(found) != len(wanted):
            return False
        return not wanted or any(
            self.says(one, wanted[0], name)
            and self._pairs([*found[:at], *found[at + 1 :]], wanted[1:], name)
            for at, one in enumerate(found)
        )
