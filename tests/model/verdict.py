"""What must hold when all has settled, whatever has happened."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from tests.model.tinyrows import NULL
from tests.model.world import World
from tests.permanent_keys import PERMANENT
from xenlaunch import states
from xenlaunch.disks import NewDisk
from xenlaunch.names import POLL, task_id
from xenlaunch.record import Record


def verdict(world: World) -> list[str]:
    """All that is wrong, in sentences."""
    found = [*world.wrongs, *world.pool.wrongs]
    for launch in world.launches:
        found += [f"{launch}: {wrong}" for wrong in _of_launch(world, launch)]
    return found + list(_of_keys(world))


def _of_launch(world: World, launch: str) -> Iterator[str]:
    record = world.ledger.record(launch)
    if record.state not in states.ENDED:
        yield f"has not ended, but is {record.state} at {record.step}"
        return
    told = "SUCCESS" if record.state == states.SUCCEEDED else "FAILURE"
    heard = world.results.get(task_id(launch, POLL))
    if heard != told:
        yield f"has {record.state}, and upstream was told {heard}"
    if record.error is not None and record.error.code == "INTERNAL":
        yield f"met a fault of ours: {record.error.message}"
    for name in ("lease", "lease_until", "worker", "parked"):
        if name in record.fields:
            yield f"has ended, and still has its {name}"
    there = {
        cls: {ref: row for ref, row in world.pool.rows(cls).items() if _is_of(world, ref, launch)}
        for cls in ("VM", "VDI", "VBD", "VIF")
    }
    yield from _of_success(record, there) if told == "SUCCESS" else _of_failure(record, there)


def _is_of(world: World, ref: str, launch: str) -> bool:
    return world.pool.makers.get(ref) == launch


def _of_success(record: Record, there: dict[str, dict[str, Any]]) -> Iterator[str]:
    request = record.request
    if len(there["VM"]) != 1:
        yield f"has succeeded, and has {len(there['VM'])} VMs: {', '.join(there['VM'])}"
        return
    [(ref, vm)] = there["VM"].items()
    if (vm["power_state"], vm["name_label"]) != ("Running", request.name):
        yield f"has succeeded, and its VM {vm['name_label']} is {vm['power_state']}"
    if vm["is_a_template"] or vm["uuid"] != record.result.vm_uuid:
        yield f"has succeeded, and its VM is not the one of its result, or a template: {vm}"
    yield from _of_devices(record, ref, there)


def _of_devices(record: Record, vm: str, there: dict[str, dict[str, Any]]) -> Iterator[str]:
    request = record.request
    wanted = 1 + sum(isinstance(disk, NewDisk) for disk in request.disks)
    drives = [row for row in there["VBD"].values() if row["VM"] == vm]
    attached = {row["VDI"] for row in drives} - {NULL}
    if len(drives) != wanted or len(attached) != wanted:
        yield f"has succeeded with {len(drives)} drives for {len(attached)} disks, not {wanted}"
    named = {left.uuid for left in record.result.leftovers}
    loose = {ref for ref, row in there["VDI"].items() if row["uuid"] not in named} - attached
    if loose:
        yield f"has succeeded, and beside its VM's there are the disks {loose}"
    nics = 1 if request.nics is None else len(request.nics)
    if len(there["VIF"]) != nics:
        yield f"has succeeded with {len(there['VIF'])} VIFs, not {nics}"


def _of_failure(record: Record, there: dict[str, dict[str, Any]]) -> Iterator[str]:
    named = {left.uuid for left in record.leftovers}
    kept = {ref for ref, vm in there["VM"].items() if "xenlaunch-kept" in vm["other_config"]}
    own = {row["VDI"] for row in there["VBD"].values() if row["VM"] in kept}
    for cls in ("VM", "VDI"):
        for ref, row in there[cls].items():
            if row["uuid"] not in named and ref not in own:
                yield f"has {record.state}, and left {cls} {ref} ({row['name_label']}) unnamed"


def _of_keys(world: World) -> Iterator[str]:
    for key in world.keyspace.all_keys():
        if world.keyspace.run("PTTL", key) == -1 and not any(
            fnmatchcase(key, pattern) for pattern in PERMANENT
        ):
            yield f"the key {key} stays for ever"
