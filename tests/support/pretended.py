"""What must hold in a pretended pool, whatever was done to it."""

import copy
from collections import Counter
from typing import Any

from simulator.db import Database, Row, Table
from simulator.schema.declare import FOLLOWS
from simulator.values import NULL
from simulator.world import World

#: classes whose rows an operation makes and removes
FOLLOWED = ("VM", "VBD", "VIF", "VDI", "SR", "host", "task", "console", "VM_metrics",
            "VM_guest_metrics")  # fmt: skip


def assert_whole(db: Database) -> None:
    """Relations agree both ways; no host is oversold; no disk has two writers."""
    for (cls, field), (other_cls, other_field) in FOLLOWS.items():
        forward = Counter(
            (row.ref, ref)
            for row in db.all(cls)
            for ref in (row[field] if isinstance(row[field], list) else [row[field]])
            if db.find(other_cls, ref)
        )
        back = Counter((ref, row.ref) for row in db.all(other_cls) for ref in row[other_field])
        assert forward == back, f"{cls}.{field} and {other_cls}.{other_field} do not agree"
    for host in db.all("host"):
        metrics = db.get("host_metrics", host["metrics"])
        vms = db.rows("VM", list({*host["resident_VMs"], *_promised(db, host)}))
        used = sum(vm["memory_dynamic_min"] + vm["memory_overhead"] for vm in vms)
        fits = used + host["memory_overhead"] <= metrics["memory_total"]
        assert fits, f"{host['name_label']} is oversold"
    for vm in db.all("VM"):
        if not vm["is_control_domain"]:
            domains = int(vm["power_state"] in {"Running", "Paused"})
            assert len(vm["consoles"]) == domains, f"{vm['name_label']} runs twice, or not at all"
    for vdi in db.all("VDI"):
        attached = [vbd for vbd in db.rows("VBD", vdi["VBDs"]) if vbd["currently_attached"]]
        writers = sum(vbd["mode"] == "RW" for vbd in attached)
        alone = vdi["sharable"] or writers == 0 or len(attached) == 1
        assert alone, f"{vdi['name_label']} has two users, of which one writes"


def _promised(db: Database, host: Row) -> list[str]:
    return [vm.ref for vm in db.all("VM") if vm["scheduled_to_be_resident_on"] == host.ref]


def assert_at_rest(world: World) -> None:
    """Nothing is held, promised or half-done when nothing runs."""
    assert world.locks.waiting == 0
    for table in world.db.tables.values():
        if "current_operations" in table.cls.fields and table.cls.name != "task":
            for row in table.rows.values():
                held = row["current_operations"]
                assert held == {}, f"a {table.cls.name} is held for ever: {held}"
    for vm in world.db.all("VM"):
        assert vm["scheduled_to_be_resident_on"] == NULL
        _assert_vm_agrees_with_its_power(world.db, vm)


def _assert_vm_agrees_with_its_power(db: Database, vm: Row) -> None:
    here = vm["power_state"] in {"Running", "Paused"}
    assert (db.find("host", vm["resident_on"]) is not None) == here, vm["power_state"]
    assert (vm["domid"] >= 0) == here
    if not here:
        devices = [*db.rows("VBD", vm["VBDs"]), *db.rows("VIF", vm["VIFs"])]
        assert not any(device["currently_attached"] for device in devices)
        assert vm["consoles"] == []


def assert_complete(db: Database, vm: Row, source: Row) -> None:
    """A clone has all that its source has, of its own."""
    for cls, field in (("VBD", "VBDs"), ("VIF", "VIFs")):
        ours, theirs = db.rows(cls, vm[field]), db.rows(cls, source[field])
        assert len(ours) == len(vm[field]) == len(theirs), (cls, vm["name_label"])
    for mine in db.rows("VBD", vm["VBDs"]):
        assert db.find("VDI", mine["VDI"]), vm["name_label"]
    assert vm["other_config"]["mac_seed"] != source["other_config"]["mac_seed"]


def _was_cut(table: Table, after: int) -> bool:
    """Whether deletions since the generation may be forgotten already: 256 are kept."""
    return len(table.deletions) >= 256 and table.deletions[0][1] > after


class Reader:
    """Follows the pool by its events alone, as a client would."""

    def __init__(self) -> None:
        self.token = ""
        self.rows: dict[str, dict[str, Any]] = {}

    def take(self, answer: dict[str, Any], db: Database) -> None:
        """Apply an answer of event.from; where a history of deletions was cut, list anew."""
        after = int(self.token.partition(",")[0] or 0)
        self.token = answer["token"]
        for event in answer["events"]:
            if event["operation"] == "del":
                self.rows.pop(event["ref"], None)
            else:
                self.rows[event["ref"]] = copy.deepcopy(event["snapshot"].row.record())
        there = {cls.lower(): {row.ref for row in db.all(cls)} for cls in FOLLOWED}
        assert answer["valid_ref_counts"] == {cls: len(refs) for cls, refs in there.items()}
        if any(_was_cut(db.tables[cls], after) for cls in FOLLOWED):
            refs = set().union(*there.values())
            self.rows = {ref: row for ref, row in self.rows.items() if ref in refs}

    def assert_holds(self, db: Database) -> None:
        there = {row.ref: row.record() for cls in FOLLOWED for row in db.all(cls)}
        assert self.rows == there, "the events do not replay to the state"
