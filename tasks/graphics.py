"""The virtual GPU that a request asks for: found in the pool's groups, and given to the VM.

XAPI chooses the physical GPU when the VM starts. Without a type it passes a whole one through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tasks import lookup
from tasks.drives import is_marked, marked
from xenlaunch import names
from xenlaunch.errors import Refused
from xenlaunch.gpus import Gpu
from xenlaunch.model import Launch
from xenlaunch.xapi.pool import Pool

DEVICE: Final = "0"
"""XAPI gives a VM one virtual GPU."""


@dataclass(frozen=True)
class Wanted:
    """A group of physical GPUs and a type of virtual ones, by their refs."""

    group: str
    type: str

    @classmethod
    def of(cls, word: str) -> "Wanted":
        """As it stands in a reservation."""
        group, _, kind = word.partition(" ")
        return cls(group, kind)

    @property
    def word(self) -> str:
        return f"{self.group} {self.type}"


def find(asked: Gpu, records: lookup.Cache) -> tuple[Wanted, ...]:
    """The groups that have the type, those with most GPUs first; there is one at least."""
    groups = records.all("gpu_group")
    if not records.all("pgpu"):
        said = "The pool has no GPU at all, and the request asks for one."
        raise Refused("GPU_NOT_FOUND", [], said)
    if asked.group is not None:
        ref, row = lookup.one("gpu_group", groups, asked.group)
        groups = {ref: row}
    kinds = types_of(asked, records)
    fitting = {
        (ref, kind): len(row["PGPUs"])
        for ref, row in groups.items()
        for kind in kinds
        if kind in row["enabled_VGPU_types"]
    }
    if not fitting:
        raise Refused(
            "GPU_NOT_FOUND",
            [one for one in (asked.group, asked.type) if one is not None],
            f"No group of GPUs has the type {asked.type or 'passthrough'!r} enabled"
            + (f", least of all {asked.group!r}." if asked.group else "."),
        )
    largest_first = sorted(fitting, key=lambda pair: (fitting[pair], pair), reverse=True)
    return tuple(Wanted(*pair) for pair in largest_first)


def types_of(asked: Gpu, records: lookup.Cache) -> list[str]:
    """The types of that name or uuid; without a word those that pass a whole GPU through."""
    rows = records.all("vgpu_type")
    if asked.type is None:
        return [ref for ref, row in rows.items() if row["implementation"] == "passthrough"]
    found = [ref for ref, row in rows.items() if asked.type in (row["uuid"], row["model_name"])]
    if not found:
        known = ", ".join(sorted(repr(row["model_name"]) for row in rows.values()))
        said = f"The pool has no type of virtual GPU {asked.type!r}; it has: {known}."
        raise Refused("VGPU_TYPE_NOT_FOUND", [asked.type], said)
    return found


def give_gpu(launch: Launch, pool: Pool) -> None:
    """Give the VM the virtual GPU that was asked for, in the place of its template's."""
    if launch.request.gpu is None:
        return
    wanted = reserved(launch) or find(launch.request.gpu, pool.records)[0]
    for ref, row in gpus_of(pool, launch.vm).items():
        if not is_marked(row, pool.mark("")):
            pool.do(f"vgpu:-{row['device']}", "VGPU.destroy", ref)
    mark = pool.mark("vgpu")
    marks = {names.OTHER_CONFIG_MARK: mark}
    pool.do(
        "vgpu",
        *("VGPU.create", launch.vm, wanted.group, DEVICE, marks, wanted.type),
        makes="VGPU",
        find=lambda: marked(gpus_of(pool, launch.vm), mark),
    )


def reserved(launch: Launch) -> Wanted | None:
    """What the launch was given its host for."""
    if launch.host is None or not launch.host.gpu:
        return None
    return Wanted.of(launch.host.gpu)


def gpus_of(pool: Pool, vm: str) -> Mapping[str, Any]:
    rows: Mapping[str, Any] = pool.read("VGPU.get_all_records_where", f'field "VM"="{vm}"')
    return rows


def room(records: lookup.Cache, wanted: Wanted) -> dict[str, tuple[int, int]]:
    """By host, how many virtual GPUs of a type have room in a group: now, and if it were idle.

    A physical GPU runs those of one type at a time.
    """
    found: dict[str, tuple[int, int]] = {}
    for ref, row in records.all("pgpu").items():
        if row["GPU_group"] != wanted.group or wanted.type not in row["enabled_VGPU_types"]:
            continue
        most = int(row["supported_VGPU_max_capacities"].get(wanted.type, 0))
        free, idle = found.get(row["host"], (0, 0))
        found[row["host"]] = (free + left_of(records, ref, wanted.type, most), idle + most)
    return found


def left_of(records: lookup.Cache, pgpu: str, kind: str, most: int) -> int:
    taken = [
        row
        for row in records.all("vgpu").values()
        if pgpu in (row["resident_on"], row["scheduled_to_be_resident_on"])
    ]
    return 0 if any(row["type"] != kind for row in taken) else max(0, most - len(taken))
