"""VLANs: a tag on an interface, host by host, or on all live hosts of the pool at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from simulator.behaviour import pif
from simulator.behaviour.vm_state import is_live
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError

_TAGS: Final = range(4095)
#: every VLAN's own PIF has this one
_MAC: Final = "fe:ff:ff:ff:ff:ff"


@call(
    "VLAN.create(tagged_PIF: PIF ref, tag: int, network: network ref) -> VLAN ref", has_async=True
)
async def create(call: Call, below: str, tag: int, network: str) -> str:
    return (await _create(call, below, tag, network)).ref


async def _create(call: Call, below: str, tag: int, network: str) -> Row:
    _check(call, below, tag, network)
    await call.spend("VLAN.create")
    under = _check(call, below, tag, network)  # another may have made it meanwhile
    db = call.db
    over = pif.add(
        call, under["host"], network, under["device"], VLAN=tag, MAC=_MAC, MTU=under["MTU"]
    )
    vlan = db.create("VLAN", tagged_PIF=under.ref, untagged_PIF=over.ref, tag=tag)
    db.set(over, "VLAN_master_of", vlan.ref)
    if under["currently_attached"]:
        pif.bring_up(call, over)
    return vlan


def _check(call: Call, below: str, tag: int, network_ref: str) -> Row:
    under, network = call.db.get("PIF", below), call.db.get("network", network_ref)
    pif.assert_managed(call, network)
    pif.assert_unconnected(call, network, under["host"])
    pif.assert_takes_vlan(under)
    if tag not in _TAGS:
        raise ApiError("VLAN_TAG_INVALID", str(tag))
    for vlan in call.db.rows("VLAN", under["VLAN_slave_of"]):
        if vlan["tag"] == tag:
            raise ApiError("PIF_VLAN_EXISTS", under["device"])
    return under


@call("VLAN.destroy(self: VLAN ref) -> void", has_async=True)
async def destroy(call: Call, ref: str) -> str:
    vlan = call.db.get("VLAN", ref)
    over = call.db.find("PIF", vlan["untagged_PIF"])
    if over is not None:
        _assert_may_go(call, over)
    await call.spend("VLAN.create")
    remove(call, call.db.get("VLAN", ref))
    return ""


def _assert_may_go(call: Call, over: Row) -> None:
    if over["management"]:
        raise ApiError("PIF_IS_MANAGEMENT_INTERFACE", over.ref)
    if over["tunnel_transport_PIF_of"]:
        raise ApiError("PIF_TUNNEL_STILL_EXISTS", over.ref)
    pif.assert_unused(call, over)


def remove(call: Call, vlan: Row) -> None:
    over = call.db.find("PIF", vlan["untagged_PIF"])
    if over is not None:
        pif.bring_down(call, over)
        pif.remove(call, over)
    call.db.destroy(vlan)


# -- on the whole pool


@call(
    "pool.create_VLAN_from_PIF(pif: PIF ref, network: network ref, VLAN: int) -> PIF ref set",
    has_async=True,
)
async def create_from_pif(call: Call, ref: str, network: str, tag: int) -> list[str]:
    """A VLAN on each live host that has an interface on the same network; all of them or none."""
    beneath = call.db.get("network", call.db.get("PIF", ref)["network"])
    return await _create_all(call, call.db.rows("PIF", list(beneath["PIFs"])), network, tag)


@call(
    "pool.create_VLAN(device: string, network: network ref, VLAN: int) -> PIF ref set",
    has_async=True,
)
async def create_everywhere(call: Call, device: str, network: str, tag: int) -> list[str]:
    unders = [p for p in call.db.all("PIF") if p["device"] == device and p["VLAN"] == pif.NO_VLAN]
    return await _create_all(call, unders, network, tag)


async def _create_all(call: Call, unders: Iterable[Row], network: str, tag: int) -> list[str]:
    made: list[Row] = []
    try:
        for under in unders:
            if is_live(call, call.db.get("host", under["host"])):
                await call.phase("host")
                made.append(await _create(call, under.ref, tag, network))
    except ApiError:
        for vlan in call.db.rows("VLAN", [vlan.ref for vlan in made]):
            remove(call, vlan)
        raise
    return [vlan["untagged_PIF"] for vlan in made]
