"""The GPUs of a pool: one group of one model, which passes whole GPUs through or divides them."""

from __future__ import annotations

from typing import Final

from simulator.calls import Call
from simulator.db import Row

MODEL: Final = "Pretended GPU"
GROUP: Final = f"Group of {MODEL}s"
PASSTHROUGH: Final = "passthrough"
SHARED: Final = "Pretended GPU quarter"
_CAPACITIES: Final = {PASSTHROUGH: 1, SHARED: 4}


def add_gpus(call: Call, host: Row, count: int) -> None:
    """So many physical GPUs of a host, in the one group of the pool."""
    if not count:
        return
    group, types = _group(call), _types(call)
    capacities = {row.ref: str(_CAPACITIES[name]) for name, row in types.items()}
    for _ in range(count):
        refs = [row.ref for row in types.values()]
        call.db.create(
            "PGPU",
            GPU_group=group.ref,
            host=host.ref,
            supported_VGPU_types=refs,
            enabled_VGPU_types=list(refs),
            supported_VGPU_max_capacities={ref: int(one) for ref, one in capacities.items()},
        )


def _group(call: Call) -> Row:
    found = next(iter(call.db.all("GPU_group")), None)
    if found is not None:
        return found
    refs = [row.ref for row in _types(call).values()]
    return call.db.create(
        "GPU_group",
        name_label=GROUP,
        supported_VGPU_types=refs,
        enabled_VGPU_types=list(refs),
    )


def _types(call: Call) -> dict[str, Row]:
    """Whole GPUs by passthrough, and quarters of one."""
    known = {str(row["model_name"]): row for row in call.db.all("VGPU_type")}
    for name, implementation in ((PASSTHROUGH, "passthrough"), (SHARED, "nvidia")):
        if name not in known:
            vendor = "" if name == PASSTHROUGH else "Pretended"
            values = {"vendor_name": vendor, "model_name": name, "implementation": implementation}
            known[name] = call.db.create("VGPU_type", **values)
    return known
