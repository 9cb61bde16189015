"""Networks: making them, bringing them up on a host, destroying them."""

from __future__ import annotations

import itertools
from typing import Any, Final

from simulator.behaviour import pif
from simulator.behaviour.vm_state import assert_live
from simulator.calls import Call, call, declare
from simulator.errors import ApiError
from simulator.generic import read_constructor, setters

_BRIDGE_MAX: Final = 15
_RESERVED: Final = ("xen", "xapi", "vif", "tap", "eth")
_DEFAULT_MTU: Final = 1500

declare(
    setters(
        "network",
        "default_locking_mode",
        "enum network_default_locking_mode",
        "network: network ref",
        has_async=True,
    )
)


@call("network.create(args: network record) -> network ref", has_async=True)
async def create(call: Call, args: Any) -> str:
    values = read_constructor("network", args)
    wanted = values["bridge"]
    _bridge(call, wanted)
    if values["MTU"] <= 0:
        values["MTU"] = _DEFAULT_MTU
    await call.spend("network.create")
    values["bridge"] = _bridge(call, wanted)  # another may have taken the name meanwhile
    return call.db.create("network", **values).ref


def _bridge(call: Call, wanted: str) -> str:
    taken = {row["bridge"] for row in call.db.all("network")}
    if not wanted:
        return next(name for n in itertools.count() if (name := f"xapi{n}") not in taken)
    if len(wanted) > _BRIDGE_MAX or wanted.startswith(_RESERVED):
        raise ApiError("INVALID_VALUE", "bridge", wanted)
    if wanted in taken:
        raise ApiError("BRIDGE_NAME_EXISTS", wanted)
    return wanted


@call("network.destroy(self: network ref) -> void", has_async=True)
def destroy(call: Call, ref: str) -> str:
    """Interfaces that are not attached go with their network, whoever's they are."""
    network = call.db.get("network", ref)
    vifs = call.db.rows("VIF", list(network["VIFs"]))
    if attached := [vif.ref for vif in vifs if vif["currently_attached"]]:
        raise ApiError("NETWORK_CONTAINS_VIF", *attached)
    if network["PIFs"]:
        raise ApiError("NETWORK_CONTAINS_PIF", *network["PIFs"])
    if network["other_config"].get("is_host_internal_management_network") == "true":
        raise ApiError("CANNOT_DESTROY_SYSTEM_NETWORK", ref)
    for vif in vifs:
        call.db.destroy(vif)
    call.db.destroy(network)
    return ""


@call("network.attach(network: network ref, host: host ref) -> void", has_async=True)
async def attach(call: Call, ref: str, host_ref: str) -> str:
    """As where a VIF is plugged: a host without an interface on the network makes a bridge."""
    call.db.get("network", ref)
    assert_live(call, host := call.db.get("host", host_ref))
    await call.spend("network.attach")
    pif.bring_up_network(call, ref, host.ref)
    return ""
