"""A pool as a look-up reads it: rows that a test writes."""

from collections.abc import Mapping
from typing import Any

from xenlaunch.model import TemplateDisk

Rows = dict[str, dict[str, Any]]
UUID = "00000000-0000-0000-0000-00000000000{}"
SHAPE = {
    "memory_static_max": "1024",
    "VCPUs_max": "2",
    "VCPUs_at_startup": "2",
    "HVM_boot_policy": "BIOS order",
    "PV_bootloader": "",
}


class Book:
    """A pool as a look-up reads it: a cache of records, and questions with written answers."""

    def __init__(
        self, answers: Mapping[tuple[Any, ...], Any] | None = None, **tables: Rows
    ) -> None:
        self.tables = tables
        self.traffic: dict[str, str] = {}
        self.answers = answers or {}
        self.asked: list[tuple[Any, ...]] = []

    @property
    def records(self) -> "Book":
        return self

    def get(self, cls: str, ref: str) -> dict[str, Any] | None:
        return self.all(cls).get(ref)

    def all(self, cls: str) -> Rows:
        return self.tables.get(cls, {})

    def read(self, method: str, *params: Any) -> Any:
        self.asked.append((method, *params))
        answer = self.answers[method, *params]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def template_disk(self, vdi: str) -> TemplateDisk:
        row = self.all("vdi")[vdi]
        return TemplateDisk(sr=row["SR"], name=vdi, size=row["virtual_size"])


def vm(number: int, name: str = "debian-12", **fields: Any) -> dict[str, Any]:
    kind: dict[str, Any] = {
        "is_a_template": True,
        "is_a_snapshot": False,
        "is_control_domain": False,
    }
    kind |= {"VBDs": [f"vbd{number}"], "VIFs": []}
    return {"uuid": UUID.format(number), "name_label": name, **kind, **SHAPE, **fields}


def sr(name: str, *, free: int, content: str = "user", number: int = 0) -> dict[str, Any]:
    return {
        "uuid": UUID.format(number),
        "name_label": name,
        "content_type": content,
        "physical_size": "1000",
        "physical_utilisation": str(1000 - free),
    }


def templates(*places: str, size: int = 8, **rows: dict[str, Any]) -> Book:
    """A template for each of these SRs, all of one name and one disk."""
    numbered = dict(enumerate(places, 1))
    return Book(
        vm={f"vm{number}": rows.get(f"vm{number}", vm(number)) for number in numbered},
        vbd={
            f"vbd{number}": {"type": "Disk", "VDI": f"vdi{number}", "userdevice": "0"}
            for number in numbered
        },
        vdi={f"vdi{n}": {"SR": place, "virtual_size": size} for n, place in numbered.items()},
        sr={
            "sr1": sr("sr-1", free=10),
            "sr2": sr("sr-2", free=30),
            "sr3": sr("sr-3", free=20),
        },
    )
