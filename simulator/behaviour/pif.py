"""PIF: a host's interface. What may be built on one, and bringing it up and down."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from simulator.behaviour.vm_state import assert_live
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError
from simulator.values import NULL

#: PIFs without a tag have this for one
NO_VLAN: Final = -1


# -- what may be built on an interface


def assert_managed(call: Call, network: Row) -> None:
    if not network["managed"]:
        raise ApiError("NETWORK_UNMANAGED", network.ref)


def assert_unconnected(call: Call, network: Row, host: str) -> None:
    """Refuse a network that has an interface on the host already."""
    for pif in call.db.rows("PIF", network["PIFs"]):
        if pif["host"] == host:
            raise ApiError("NETWORK_ALREADY_CONNECTED", host, pif.ref)


def assert_takes_vlan(pif: Row) -> None:
    _assert_managed(pif)
    if pif["bond_slave_of"] != NULL:
        raise ApiError("CANNOT_ADD_VLAN_TO_BOND_SLAVE", pif.ref)
    if pif["VLAN"] != NO_VLAN:
        raise ApiError("PIF_IS_VLAN", pif.ref)
    if pif["tunnel_access_PIF_of"]:
        raise ApiError("IS_TUNNEL_ACCESS_PIF", pif.ref)


def assert_takes_tunnel(pif: Row) -> None:
    _assert_managed(pif)
    if pif["bond_slave_of"] != NULL:
        raise ApiError("CANNOT_ADD_TUNNEL_TO_BOND_SLAVE", pif.ref)
    if pif["tunnel_access_PIF_of"]:
        raise ApiError("IS_TUNNEL_ACCESS_PIF", pif.ref)


def _assert_managed(pif: Row) -> None:
    if not pif["managed"]:
        raise ApiError("PIF_UNMANAGED", pif.ref)


# -- rows


def add(call: Call, host: str, network: str, device: str, **more: object) -> Row:
    """A PIF that xapi makes itself: of a VLAN, a tunnel or a bond."""
    metrics = call.db.create("PIF_metrics", carrier=True, duplex=True)
    values = {"VLAN": NO_VLAN, "physical": False, "currently_attached": False, **more}
    return call.db.create(
        "PIF", host=host, network=network, device=device, metrics=metrics.ref, **values
    )


def remove(call: Call, pif: Row) -> None:
    if (metrics := call.db.find("PIF_metrics", pif["metrics"])) is not None:
        call.db.destroy(metrics)
    call.db.destroy(pif)


def next_device(call: Call, prefix: str) -> str:
    """The first free name of its kind: tunnel0, bond0 and so on, counted over the pool."""
    used = {pif["device"] for pif in call.db.all("PIF")}
    number = 0
    while f"{prefix}{number}" in used:
        number += 1
    return f"{prefix}{number}"


# -- up and down


def bring_up(call: Call, pif: Row) -> None:
    """Attach the interface, and first the one that it is built on."""
    if pif["bond_slave_of"] != NULL:
        raise ApiError("CANNOT_PLUG_BOND_SLAVE", pif.ref)
    for tunnel in call.db.rows("tunnel", pif["tunnel_access_PIF_of"]):
        transport = call.db.get("PIF", tunnel["transport_PIF"])
        if transport["ip_configuration_mode"] == "None":
            raise ApiError("TRANSPORT_PIF_NOT_CONFIGURED", transport.ref)
        bring_up(call, transport)
    if (vlan := call.db.find("VLAN", pif["VLAN_master_of"])) is not None:
        bring_up(call, call.db.get("PIF", vlan["tagged_PIF"]))
    call.db.set(pif, "currently_attached", True)


def bring_up_network(call: Call, network: str, host: str) -> None:
    """Attach the network on the host; with no interface there, it is a bridge and no more."""
    for pif in call.db.rows("PIF", call.db.get("network", network)["PIFs"]):
        if pif["host"] == host:
            bring_up(call, pif)


def bring_down(call: Call, pif: Row) -> None:
    """Detach the interface, unless a VM on its host uses it; tunnels over it go down first."""
    assert_unused(call, pif)
    for tunnel in call.db.rows("tunnel", pif["tunnel_transport_PIF_of"]):
        if (access := call.db.find("PIF", tunnel["access_PIF"])) is not None:
            call.db.set(access, "currently_attached", False)
    call.db.set(pif, "currently_attached", False)


def assert_unused(call: Call, pif: Row) -> None:
    for vif in vifs_on(call, [pif["network"]], pif["host"]):
        raise ApiError("VIF_IN_USE", pif["network"], vif.ref)


def vifs_on(call: Call, networks: Iterable[str], host: str) -> list[Row]:
    """The interfaces of VMs on the host that are attached to one of the networks."""
    found = call.db.rows("network", list(networks))
    return [
        vif
        for network in found
        for vif in call.db.rows("VIF", network["VIFs"])
        if vif["currently_attached"] and call.db.get("VM", vif["VM"])["resident_on"] == host
    ]


# -- the calls


@call("PIF.plug(self: PIF ref) -> void", has_async=True)
async def plug(call: Call, ref: str) -> str:
    pif = call.db.get("PIF", ref)
    assert_live(call, call.db.get("host", pif["host"]))
    _assert_managed(pif)
    await call.spend("PIF.plug")
    bring_up(call, call.db.get("PIF", ref))
    return ""


@call("PIF.unplug(self: PIF ref) -> void", has_async=True)
async def unplug(call: Call, ref: str) -> str:
    pif = call.db.get("PIF", ref)
    assert_live(call, call.db.get("host", pif["host"]))
    _assert_managed(pif)
    if pif["management"]:
        raise ApiError("PIF_IS_MANAGEMENT_INTERFACE", ref)
    if pif["disallow_unplug"]:
        raise ApiError("PIF_DOES_NOT_ALLOW_UNPLUG", ref)
    assert_unused(call, pif)
    await call.spend("PIF.plug")
    bring_down(call, call.db.get("PIF", ref))
    return ""


@call("PIF.set_disallow_unplug(self: PIF ref, value: bool) -> void", has_async=True)
def set_disallow_unplug(call: Call, ref: str, value: bool) -> str:  # noqa: FBT001 - as on the wire
    call.db.set(call.db.get("PIF", ref), "disallow_unplug", value)
    return ""


def is_address(text: str, version: int) -> bool:
    """
    Whether it is an address of that version of IP.

    >>> is_address("192.0.2.1", 4), is_address("192.0.2.1", 6), is_address("192.0.2", 4)
    (True, False, False)
    """
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


_ADDRESS: Final = (
    "PIF.reconfigure_ip(self: PIF ref, mode: enum ip_configuration_mode, IP: string, "
    "netmask: string, gateway: string, DNS: string) -> void"
)


@call(_ADDRESS, has_async=True)
def reconfigure_ip(call: Call, ref: str, mode: str, *address: str) -> str:
    """Give the interface an address, which a tunnel over it needs."""
    pif = call.db.get("PIF", ref)
    _assert_managed(pif)
    given = dict(zip(("IP", "netmask", "gateway", "DNS"), address, strict=True))
    for field, value in given.items():
        needed = mode == "Static" and field in {"IP", "netmask"}
        parts = value.split(",") if value or needed else []
        if not all(is_address(part, 4) for part in parts):
            raise ApiError("INVALID_IP_ADDRESS_SPECIFIED", field)
    fields = given if mode == "Static" else dict.fromkeys(given, "")
    call.db.update(pif, ip_configuration_mode=mode, **fields)
    return ""
