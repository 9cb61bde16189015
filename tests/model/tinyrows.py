"""What is in the tiny pool: its rows, who made them, and how often a VM came up."""

import itertools
from typing import Any, Final

from simulator.schema.declare import CLASSES
from simulator.values import zero

NULL: Final = "OpaqueRef:NULL"
TEMPLATE: Final = "debian-12"
NETWORK: Final = "guest"
GIB: Final = 1 << 30

Row = dict[str, Any]


def zeroes(cls: str) -> Row:
    """A record with every field that a real one has, as the simulator knows them."""
    fields = CLASSES[cls].fields.items()
    return {name: zero(field.type) for name, field in fields if name != "uuid"}


VM: Final[Row] = {
    **zeroes("VM"),
    "is_a_template": False,
    "is_a_snapshot": False,
    "is_control_domain": False,
    "power_state": "Halted",
    "current_operations": {},
    "resident_on": NULL,
    "scheduled_to_be_resident_on": NULL,
    "affinity": NULL,
    "guest_metrics": NULL,
    "other_config": {},
    "memory_static_max": 2 * GIB,
    "memory_dynamic_min": 2 * GIB,
    "memory_overhead": 0,
    "VCPUs_max": 1,
    "VCPUs_at_startup": 1,
    "VCPUs_params": {},
    "HVM_boot_policy": "BIOS order",
    "PV_bootloader": "",
    "PV_kernel": "",
    "domain_type": "hvm",
    "actions_after_crash": "destroy",
    "actions_after_shutdown": "destroy",
}
VDI: Final[Row] = {
    "name_label": "",
    "name_description": "",
    "virtual_size": 8 * GIB,
    "read_only": False,
    "is_a_snapshot": False,
    "managed": True,
    "other_config": {},
    "current_operations": {},
}
VBD: Final[Row] = {
    "userdevice": "0",
    "type": "Disk",
    "mode": "RW",
    "empty": False,
    "currently_attached": False,
    "other_config": {},
}
VIF: Final[Row] = {"device": "0", "MTU": "1500", "currently_attached": False, "other_config": {}}


class ApiError(Exception):
    """What the pool answers instead of a value."""

    def __init__(self, code: str, *params: str) -> None:
        super().__init__(code, *params)
        self.code, self.params = code, params


class Rows:
    """Two hosts, one SR, one network, and one template with a disk and a VIF."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Row]] = {}
        self.maker = ""
        """The launch whose call is being carried out."""
        self.makers: dict[str, str] = {}
        """The launch that each object is there for, by ref: the truth that they are judged by."""
        self.starts: dict[str, int] = {}
        self.wrongs: list[str] = []
        self._numbers = itertools.count(1)
        self._fill()

    def _fill(self) -> None:
        disks = {"content_type": "user", "type": "nfs", "physical_size": 1 << 50}
        sr = self.add("SR", name_label="sr-1", physical_utilisation=0, **disks)
        self.add("pool", name_label="tiny", default_SR=sr, ha_enabled=False)
        about = {"MTU": "1500", "bridge": "xenbr1", "other_config": {}}
        network = self.add("network", name_label=NETWORK, **about)
        for number in (1, 2):
            self._add_host(f"host-{number}", network, sr)
        vm = self.add("VM", **{**VM, "name_label": TEMPLATE, "is_a_template": True})
        disk = self.add("VDI", **{**VDI, "name_label": "system", "SR": sr})
        self.add("VBD", **VBD, VM=vm, VDI=disk)
        self.add("VIF", **VIF, VM=vm, network=network, MAC="00:16:3e:00:00:01")

    def _add_host(self, name: str, network: str, sr: str) -> None:
        metrics = self.add("host_metrics", memory_total=64 * GIB, live=True)
        about = {"enabled": True, "memory_overhead": 0, "cpu_info": {"cpu_count": "16"}}
        about |= {"API_version_major": 2, "API_version_minor": 23}
        host = self.add("host", name_label=name, metrics=metrics, **about)
        self.add("PIF", network=network, host=host, currently_attached=True, bond_slave_of=NULL)
        self.add("PBD", SR=sr, host=host, currently_attached=True)

    def add(self, cls: str, **values: Any) -> str:
        number = next(self._numbers)
        ref = f"OpaqueRef:{cls.lower()}-{number}"
        row = {"uuid": f"u-{cls.lower()}-{number}", **copied(values)}
        self.rows(cls)[ref] = row
        if self.maker and cls != "task":
            self.makers[ref] = self.maker
        return ref

    def copy(self, cls: str, row: Row, **changes: Any) -> str:
        """Add a row like another, which is not the same."""
        values = {**row, **changes}
        del values["uuid"]
        return self.add(cls, **values)

    def rows(self, cls: str) -> dict[str, Row]:
        return self.tables.setdefault(cls, {})

    def row(self, cls: str, ref: str) -> Row:
        try:
            return self.rows(cls)[ref]
        except KeyError:
            raise ApiError("HANDLE_INVALID", cls, ref) from None

    def where(self, cls: str, column: str, value: str) -> dict[str, Row]:
        return {ref: row for ref, row in self.rows(cls).items() if row[column] == value}

    def record(self, cls: str, ref: str) -> Row:
        """A row as it is read: with what hangs on it."""
        found = copied(self.row(cls, ref))
        if cls == "VM":
            for part in ("VBD", "VIF"):
                found[f"{part}s"] = list(self.where(part, "VM", ref))
        if cls == "VDI":
            found["VBDs"] = list(self.where("VBD", "VDI", ref))
        return found

    def forget_vm(self, vm: str) -> None:
        self.rows("VM").pop(vm, None)
        for cls in ("VBD", "VIF"):
            for ref in self.where(cls, "VM", vm):
                del self.rows(cls)[ref]

    def forget_disk(self, disk: str) -> None:
        self.rows("VDI").pop(disk, None)
        for ref in self.where("VBD", "VDI", disk):
            del self.rows("VBD")[ref]


def copied(row: Row) -> Row:
    """A row of its own, for nothing in a row goes deeper than one list or mapping."""
    return {name: part.copy() if isinstance(part, dict) else part for name, part in row.items()}
