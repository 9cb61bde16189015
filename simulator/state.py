"""The whole pool as JSON, out and in: `GET /state` and `PUT /state`."""

from __future__ import annotations

from typing import Any

from simulator import rbac
from simulator.db import Row, is_computed
from simulator.errors import ApiError
from simulator.schema.declare import CLASSES
from simulator.values import NULL, reader
from simulator.world import World

#: rows that belong to the running xapi, not to the pool
_PASSING = frozenset({"session", "task"})
#: what an operation writes on the objects it works on, and takes away in the end
_WHILE_IT_RUNS = frozenset({"current_operations", "scheduled_to_be_resident_on"})


def dump(world: World) -> dict[str, dict[str, Any]]:
    """All rows by class and ref; a session's ref, being its credential, is not shown."""
    return {
        name: {
            (f"session-{row.uuid}" if name == "session" else ref): row.record()
            for ref, row in table.rows.items()
        }
        for name, table in world.db.tables.items()
        if table.rows
    }


def load(world: World, given: Any) -> int:
    """
    Replace the pool with a dump. Sessions and tasks end, as with a restart of xapi.

    Nothing that ran when the dump was taken goes on: what it held is free.
    """
    rows = _checked(given)
    world.restart()
    world.stop_hosts()
    for name in world.db.tables:
        for row in world.db.all(name):
            world.guests.stop(row)
            world.db.destroy(row)
    for row in [world.db.create(cls, ref, **values) for cls, ref, values in rows]:
        world.db.relate(row)  # what it names may have come after it
    _detach(world)
    if not world.db.all("role"):  # a pool that somebody wrote down
        rbac.add_rows(world.db, world.options.users)
    return len(rows)


def _detach(world: World) -> None:
    """A host that was building a domain had attached its devices, and the domain is not there."""
    for cls in ("VBD", "VIF", "VGPU"):
        for device in world.db.all(cls):
            vm = world.db.find("VM", device["VM"])
            if vm is None or vm["power_state"] not in {"Running", "Paused"}:
                world.db.set(device, "currently_attached", False)
                if cls == "VGPU":
                    world.db.set(device, "resident_on", NULL)


def _checked(given: Any) -> list[tuple[str, str, dict[str, Any]]]:
    if not isinstance(given, dict) or not all(isinstance(r, dict) for r in given.values()):
        raise TypeError("a state is an object: class, then ref, then record")
    pools, hosts = given.get("pool", {}), given.get("host", {})
    if len(pools) != 1 or not hosts:
        raise ValueError("a state has one pool and at least one host")
    rows = []
    for cls, records in given.items():
        if cls not in CLASSES or not CLASSES[cls].has_rows:
            raise ValueError(f"no class is called {cls!r}")
        for ref, record in {} if cls in _PASSING else records.items():
            rows.append((cls, ref, _values(given, cls, record)))
    if not {row.get("master") for cls, _, row in rows if cls == "pool"} <= hosts.keys():
        raise ValueError("the pool's master is one of the hosts")
    return rows


def _values(given: dict[str, Any], cls: str, record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise TypeError(f"a record of {cls} is an object")
    fields = CLASSES[cls].fields
    if unknown := set(record) - set(fields):
        raise ValueError(f"{cls} has no {', '.join(sorted(unknown))}")
    values = {}
    for name, value in record.items():
        type_ = fields[name].type
        try:
            values[name] = reader(type_.removesuffix(" option"))(value)
        except ApiError:
            raise ValueError(f"{cls}.{name} is a {type_}") from None
        if name in _WHILE_IT_RUNS:
            del values[name]
        elif is_computed(cls, name):  # it follows what the others say, and they may be gone
            there = given.get(type_.split()[0], {})
            values[name] = [ref for ref in values[name] if ref in there]
    return values


def named(world: World, cls: str, wanted: str) -> Row:
    """The object of that ref, uuid or name."""
    for row in world.db.all(cls):
        if wanted in {row.ref, row.uuid, row.values.get("name_label")}:
            return row
    raise LookupError(f"no {cls} is called {wanted!r}")
