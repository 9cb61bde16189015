"""Bonds: several interfaces of one host as one. Their VLANs and their address move to the bond."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.behaviour import pif
from simulator.calls import Call, call
from simulator.db import Row
from simulator.errors import ApiError
from simulator.values import NULL

_LEAST_MEMBERS: Final = 2
#: what the bond takes over from the member that has an address, and gives back
_ADDRESS: Final = ("ip_configuration_mode", "IP", "netmask", "gateway", "DNS", "management")
_NO_ADDRESS: Final = {
    "ip_configuration_mode": "None",
    "IP": "",
    "netmask": "",
    "gateway": "",
    "DNS": "",
    "management": False,
}


@call(
    "Bond.create(network: network ref, members: PIF ref set, MAC: string, "
    'mode: enum bond_mode = "balance-slb", properties: (string -> string) map = {}) -> Bond ref',
    has_async=True,
)
async def create(
    call: Call, network: str, members: list[str], mac: str, mode: str, properties: dict[str, str]
) -> str:
    _check(call, network, members)
    await call.spend("Bond.create")
    slaves = _check(call, network, members)
    primary = next((s for s in slaves if s["management"] or s["IP"]), slaves[0])
    device = pif.next_device(call, "bond")
    own = {"MAC": mac or primary["MAC"], "MTU": primary["MTU"], "currently_attached": True}
    master = pif.add(call, primary["host"], network, device, **own)
    bond = call.db.create(
        "Bond",
        master=master.ref,
        primary_slave=primary.ref,
        mode=mode,
        properties=properties,
        links_up=len(slaves),
        auto_update_mac=not mac,
    )
    for slave in slaves:
        call.db.update(slave, bond_slave_of=bond.ref, currently_attached=False)
        _move(call, slave, master)
    return bond.ref


def _check(call: Call, network_ref: str, members: list[str]) -> Sequence[Row]:
    network = call.db.get("network", network_ref)
    slaves = [call.db.get("PIF", ref) for ref in dict.fromkeys(members)]
    pif.assert_managed(call, network)
    if len(slaves) < _LEAST_MEMBERS:
        raise ApiError("PIF_BOND_NEEDS_MORE_MEMBERS")
    for slave in slaves:
        _assert_may_be_member(slave)
    if len({slave["host"] for slave in slaves}) > 1:
        raise ApiError("PIF_CANNOT_BOND_CROSS_HOST")
    if sum(slave["ip_configuration_mode"] != "None" for slave in slaves) > 1:
        raise ApiError("PIF_BOND_MORE_THAN_ONE_IP")
    pif.assert_unconnected(call, network, slaves[0]["host"])
    return slaves


def _assert_may_be_member(slave: Row) -> None:
    if slave["bond_slave_of"] != NULL:
        raise ApiError("PIF_ALREADY_BONDED", slave.ref)
    if slave["VLAN"] != pif.NO_VLAN:
        raise ApiError("PIF_VLAN_EXISTS", slave["device"])
    if slave["tunnel_access_PIF_of"]:
        raise ApiError("IS_TUNNEL_ACCESS_PIF", slave.ref)
    if not slave["managed"]:
        raise ApiError("PIF_UNMANAGED", slave.ref)


def _move(call: Call, source: Row, target: Row) -> None:
    """What is built on one interface stands on the other from now on."""
    for vlan in call.db.rows("VLAN", list(source["VLAN_slave_of"])):
        call.db.set(vlan, "tagged_PIF", target.ref)
        if (over := call.db.find("PIF", vlan["untagged_PIF"])) is not None:
            call.db.set(over, "device", target["device"])
    for tunnel in call.db.rows("tunnel", list(source["tunnel_transport_PIF_of"])):
        call.db.set(tunnel, "transport_PIF", target.ref)
    if source["ip_configuration_mode"] != "None":
        call.db.update(target, **{field: source[field] for field in _ADDRESS})
        call.db.update(source, **_NO_ADDRESS)


@call("Bond.destroy(self: Bond ref) -> void", has_async=True)
async def destroy(call: Call, ref: str) -> str:
    bond = call.db.get("Bond", ref)
    master = call.db.get("PIF", bond["master"])
    pif.assert_unused(call, master)
    await call.spend("Bond.create")
    _move(call, master, call.db.get("PIF", bond["primary_slave"]))
    for slave in call.db.rows("PIF", list(bond["slaves"])):
        call.db.update(slave, bond_slave_of=NULL, currently_attached=True)
    pif.remove(call, master)
    call.db.destroy(bond)
    return ""


@call("Bond.set_mode(self: Bond ref, value: enum bond_mode) -> void", has_async=True)
def set_mode(call: Call, ref: str, mode: str) -> str:
    call.db.set(call.db.get("Bond", ref), "mode", mode)
    return ""
