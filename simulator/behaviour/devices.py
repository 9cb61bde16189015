"""Graphics and trusted platform modules: rows that a VM or a group may be given."""

from __future__ import annotations

from simulator.behaviour.vm_state import assert_licensed, assert_power
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError
from simulator.values import NULL


@call(
    'VGPU.create(VM: VM ref, GPU_group: GPU_group ref, device: string = "0", '
    'other_config: (string -> string) map = {}, type: VGPU_type ref = "OpaqueRef:NULL") '
    "-> VGPU ref",
    has_async=True,
)
def create_vgpu(
    call: Call, vm: str, group: str, device: str, other: dict[str, str], kind: str
) -> str:
    assert_power(owner := call.db.get("VM", vm), "Halted")
    call.db.get("GPU_group", group)
    assert_licensed(call, "GPU")
    if device != "0":
        raise ApiError("INVALID_DEVICE", device)
    if any(row["device"] == device for row in call.db.rows("VGPU", owner["VGPUs"])):
        raise ApiError("DEVICE_ALREADY_EXISTS", device)
    if kind == NULL:  # whole GPUs were there before there were types
        whole = (row for row in call.db.all("VGPU_type") if row["implementation"] == "passthrough")
        kind = next((row.ref for row in whole), NULL)
    else:
        call.db.get("VGPU_type", kind)
    values = {"VM": vm, "GPU_group": group, "device": device, "other_config": other, "type": kind}
    return call.db.create("VGPU", **values).ref


@call("VGPU.destroy(self: VGPU ref) -> void", has_async=True)
def destroy_vgpu(call: Call, ref: str) -> str:
    row = call.db.get("VGPU", ref)
    if row["currently_attached"]:
        raise ApiError("OPERATION_NOT_ALLOWED", "vGPU currently attached to a running VM")
    call.db.destroy(row)
    return ""


@call(
    'GPU_group.create(name_label: string = "", name_description: string = "", '
    "other_config: (string -> string) map = {}) -> GPU_group ref",
    has_async=True,
)
def create_group(call: Call, name: str, description: str, other: dict[str, str]) -> str:
    values = {"name_label": name, "name_description": description, "other_config": other}
    return call.db.create("GPU_group", **values).ref


@call("GPU_group.destroy(self: GPU_group ref) -> void", has_async=True)
def destroy_group(call: Call, ref: str) -> str:
    row = call.db.get("GPU_group", ref)
    vgpus = call.db.rows("VGPU", list(row["VGPUs"]))
    if attached := [vgpu.ref for vgpu in vgpus if vgpu["currently_attached"]]:
        raise ApiError("GPU_GROUP_CONTAINS_VGPU", *attached)
    if row["PGPUs"]:
        raise ApiError("GPU_GROUP_CONTAINS_PGPU", *row["PGPUs"])
    for vgpu in vgpus:
        call.db.destroy(vgpu)
    call.db.destroy(row)
    return ""


@call("GPU_group.update_enabled_VGPU_types(self: GPU_group ref) -> void", has_async=True)
def update_enabled(call: Call, ref: str) -> str:
    return _update(call, ref, "enabled_VGPU_types")


@call("GPU_group.update_supported_VGPU_types(self: GPU_group ref) -> void", has_async=True)
def update_supported(call: Call, ref: str) -> str:
    return _update(call, ref, "supported_VGPU_types")


def _update(call: Call, ref: str, field: str) -> str:
    group = call.db.get("GPU_group", ref)
    kinds = {kind: None for pgpu in call.db.rows("PGPU", group["PGPUs"]) for kind in pgpu[field]}
    call.db.set(group, field, list(kinds))
    return ""


@call(
    "PGPU.set_enabled_VGPU_types(self: PGPU ref, value: VGPU_type ref set) -> void", has_async=True
)
def set_enabled(call: Call, ref: str, value: list[str]) -> str:
    pgpu = call.db.get("PGPU", ref)
    supported = pgpu["supported_VGPU_types"]
    for kind in value:
        call.db.get("VGPU_type", kind)
        if kind not in supported:
            raise ApiError("VGPU_TYPE_NOT_SUPPORTED", kind, *supported)
    call.db.set(pgpu, "enabled_VGPU_types", value)
    return ""


@call("PGPU.add_enabled_VGPU_types(self: PGPU ref, value: VGPU_type ref) -> void", has_async=True)
def add_enabled(call: Call, ref: str, kind: str) -> str:
    enabled = call.db.get("PGPU", ref)["enabled_VGPU_types"]
    return set_enabled(call, ref, [*(one for one in enabled if one != kind), kind])


@call(
    "PGPU.remove_enabled_VGPU_types(self: PGPU ref, value: VGPU_type ref) -> void", has_async=True
)
def remove_enabled(call: Call, ref: str, kind: str) -> str:
    enabled = call.db.get("PGPU", ref)["enabled_VGPU_types"]
    return set_enabled(call, ref, [one for one in enabled if one != kind])


@call("PGPU.set_GPU_group(self: PGPU ref, value: GPU_group ref) -> void", has_async=True)
def set_group(call: Call, ref: str, group: str) -> str:
    pgpu = call.db.get("PGPU", ref)
    call.db.get("GPU_group", group)
    if pgpu["resident_VGPUs"]:
        users = [vgpu["VM"] for vgpu in call.db.rows("VGPU", pgpu["resident_VGPUs"])]
        raise ApiError("PGPU_IN_USE_BY_VM", *users)
    call.db.set(pgpu, "GPU_group", group)
    return ""


# -- trusted platform modules


@call("VTPM.create(vM: VM ref, is_unique: bool) -> VTPM ref", has_async=True)
def create_vtpm(call: Call, vm: str, is_unique: bool) -> str:  # noqa: FBT001 - as on the wire
    if call.world.options.profile == "8.2":
        raise ApiError("NOT_IMPLEMENTED", "VTPM.create")
    owner = call.db.get("VM", vm)
    if call.db.only("pool")["ha_enabled"]:
        raise ApiError("NOT_IMPLEMENTED", "VTPM.create with HA or clustering enabled")
    assert_power(owner, "Halted")
    if owner["VTPMs"]:
        raise ApiError("VTPM_MAX_AMOUNT_REACHED", str(len(owner["VTPMs"])))
    return call.db.create("VTPM", VM=vm, is_unique=is_unique).ref


@call("VTPM.destroy(self: VTPM ref) -> void", has_async=True)
def destroy_vtpm(call: Call, ref: str) -> str:
    row = call.db.get("VTPM", ref)
    assert_power(call.db.get("VM", row["VM"]), "Halted")
    return _destroy(call, row)


@call("crashdump.destroy(self: crashdump ref) -> void", has_async=True)
def destroy_crashdump(call: Call, ref: str) -> str:
    return _destroy(call, call.db.get("crashdump", ref))


def _destroy(call: Call, row: Row) -> str:
    call.db.destroy(row)
    return ""
