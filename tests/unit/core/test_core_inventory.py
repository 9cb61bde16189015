"""What a host has free: the memory of VMs there, and what is reserved for those not there yet."""

from types import SimpleNamespace
from typing import Any, cast

from scheduler.inventory import Inventory
from scheduler.taken import Taken
from xenlaunch import names
from xenlaunch.xapi.reach import Reach
from xenlaunch.xapi.records import Records

GIB = 1 << 30
HELD = {"host": "h1", "memory": 2 * GIB}
HOST: dict[str, Any] = {
    "uuid": "u-h1",
    "name_label": "host-1",
    "metrics": "m1",
    "memory_overhead": "0",
    "enabled": True,
    "cpu_info": {},
}


def vm(uuid: str, mark: str, **fields: Any) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "name_label": "web",
        "is_a_snapshot": False,
        "other_config": {names.OTHER_CONFIG_MARK: mark} if mark else {},
        "resident_on": "h1",
        "scheduled_to_be_resident_on": "OpaqueRef:NULL",
        "memory_dynamic_min": str(2 * GIB),
        "memory_overhead": "0",
        **fields,
    }


def free(*vms: dict[str, Any]) -> int:
    """What a host of 16 GiB has free with these VMs, and one launch in flight, l-a."""
    rows = {
        "host": {"h1": HOST},
        "host_metrics": {"m1": {"memory_total": str(16 * GIB), "live": True}},
        "vm": {row["uuid"]: row for row in vms},
    }
    records = SimpleNamespace(all=rows.__getitem__, subscribe=lambda _: None)
    reach = SimpleNamespace(records=records, template_disk=None, traffic={}, session=None)
    inventory = Inventory(cast("Reach", reach), Taken(cast("Records", records), "tests"))
    return inventory.hosts({"l-a": HELD})["h1"].free // GIB


def test_a_reservation_counts_until_its_vm_is_there_and_then_the_vm() -> None:
    elsewhere = vm("u-1", "tests/l-a/u-1", resident_on="OpaqueRef:NULL")

    assert free() == 14
    assert free(elsewhere) == 14
    assert free(vm("u-1", "tests/l-a/u-1")) == 14
    assert free(elsewhere | {"scheduled_to_be_resident_on": "h1"}) == 14


def test_of_what_is_not_the_launchs_own_both_count() -> None:
    """Another launch's VM, a copy of its own that somebody made, another deployment's."""
    for mark in ("", "tests/l-b/u-1", "tests/l-a/u-0", "others/l-a/u-1"):
        assert free(vm("u-1", mark)) == 12, mark
