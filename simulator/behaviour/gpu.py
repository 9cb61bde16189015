"""Which physical GPU a virtual one runs on: what a start asks for, takes, and a stop gives back.

One physical GPU runs virtual ones of one type at a time, as many as it has been built for. A start
chooses it together with the host, and promises it; it is taken when the domain runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.calls import call
from simulator.errors import ApiError
from simulator.values import NULL

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.db import Row


def remaining(call: Call, pgpu: Row, kind: str) -> int:
    """How many more of a type a physical GPU can run, promises counted."""
    if kind not in pgpu["enabled_VGPU_types"]:
        return 0
    where = ("resident_on", "scheduled_to_be_resident_on")
    taken = [row for row in call.db.all("VGPU") if pgpu.ref in [row[field] for field in where]]
    if any(row["type"] != kind for row in taken):
        return 0
    return int(pgpu["supported_VGPU_max_capacities"].get(kind, 0)) - len(taken)


def free_pgpu(call: Call, vgpu: Row, host: Row) -> Row | None:
    """The physical GPU of the group on this host that has room for it; the fullest first."""
    group = call.db.find("GPU_group", vgpu["GPU_group"])
    here = [
        pgpu
        for pgpu in call.db.rows("PGPU", list(group["PGPUs"]) if group else [])
        if pgpu["host"] == host.ref and remaining(call, pgpu, vgpu["type"]) > 0
    ]
    return min(here, key=lambda pgpu: remaining(call, pgpu, vgpu["type"]), default=None)


def assert_gpus(call: Call, vm: Row, host: Row) -> None:
    for vgpu in call.db.rows("VGPU", vm["VGPUs"]):
        if free_pgpu(call, vgpu, host) is None:
            kind = call.db.find("VGPU_type", vgpu["type"])
            if kind is None or kind["implementation"] == "passthrough":
                raise ApiError("VM_REQUIRES_GPU", vm.ref, vgpu["GPU_group"])
            raise ApiError("VM_REQUIRES_VGPU", vm.ref, vgpu["GPU_group"], vgpu["type"])


def assert_hvm(vm: Row) -> None:
    """Asked once the host is chosen, of a VM that has a virtual GPU."""
    if vm["VGPUs"] and vm["domain_type"] != "hvm":
        raise ApiError("FEATURE_REQUIRES_HVM", "vGPU- and GPU-passthrough needs HVM")


def schedule(call: Call, vm: Row, host: Row) -> None:
    """Promise each of the VM's virtual GPUs a physical one of the host."""
    for vgpu in call.db.rows("VGPU", vm["VGPUs"]):
        pgpu = free_pgpu(call, vgpu, host)
        if pgpu is not None:
            call.db.set(vgpu, "scheduled_to_be_resident_on", pgpu.ref)


def occupy(call: Call, vm: Row) -> None:
    """The domain runs, and has them."""
    for vgpu in call.db.rows("VGPU", vm["VGPUs"]):
        call.db.update(
            vgpu, resident_on=vgpu["scheduled_to_be_resident_on"], currently_attached=True
        )
    unschedule(call, vm)


def unschedule(call: Call, vm: Row) -> None:
    for vgpu in call.db.rows("VGPU", vm["VGPUs"]):
        call.db.set(vgpu, "scheduled_to_be_resident_on", NULL)


def release(call: Call, vm: Row) -> None:
    """The domain is gone."""
    for vgpu in call.db.rows("VGPU", vm["VGPUs"]):
        call.db.update(vgpu, resident_on=NULL, currently_attached=False)


@call(
    "PGPU.get_remaining_capacity(self: PGPU ref, vgpu_type: VGPU_type ref) -> int",
    has_async=True,
    changes=False,
)
def get_remaining_capacity(call: Call, ref: str, kind: str) -> int:
    return max(0, remaining(call, call.db.get("PGPU", ref), kind))
