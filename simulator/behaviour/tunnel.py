"""Tunnels. Without a controller they stay inactive: a bridge on each host, joined to nothing."""

from __future__ import annotations

import uuid

from simulator.behaviour import pif
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError


@call(
    "tunnel.create(transport_PIF: PIF ref, network: network ref, "
    'protocol: enum tunnel_protocol = "gre") -> tunnel ref',
    has_async=True,
)
async def create(call: Call, below: str, network: str, protocol: str) -> str:
    """A transport without an address is found out last, when the rows are there, and they stay."""
    _check(call, below, network)
    await call.spend("tunnel.create")
    under = _check(call, below, network)
    access = pif.add(
        call, under["host"], network, pif.next_device(call, "tunnel"), MTU=-1, MAC=_random_mac()
    )
    made = call.db.create(
        "tunnel", access_PIF=access.ref, transport_PIF=under.ref, protocol=protocol
    )
    pif.bring_up(call, access)
    return made.ref


def _check(call: Call, below: str, network_ref: str) -> Row:
    under, network = call.db.get("PIF", below), call.db.get("network", network_ref)
    pif.assert_managed(call, network)
    pif.assert_unconnected(call, network, under["host"])
    pif.assert_takes_tunnel(under)
    backends = {host["software_version"].get("network_backend") for host in call.db.all("host")}
    if backends != {"openvswitch"}:
        raise ApiError("OPENVSWITCH_NOT_ACTIVE")
    return under


def _random_mac() -> str:
    octets = uuid.uuid4().bytes[:5]
    return ":".join(f"{octet:02x}" for octet in (0x02, *octets))


@call("tunnel.destroy(self: tunnel ref) -> void", has_async=True)
async def destroy(call: Call, ref: str) -> str:
    tunnel = call.db.get("tunnel", ref)
    access = call.db.find("PIF", tunnel["access_PIF"])
    if access is not None:
        pif.assert_unused(call, access)
    await call.spend("tunnel.create")
    if access is not None and call.db.find("PIF", access.ref):
        pif.bring_down(call, access)
        pif.remove(call, access)
    call.db.destroy(tunnel)
    return ""
