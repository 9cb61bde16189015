"""The network that a NIC is to be on: whether it is there, and on which hosts. Changes nothing.

A network that is made is told by its bridge, which XAPI gives away once: the name is reckoned from
what makes the network what it is (the interface below and the tag, or the tunnel's key), so all who
want it name the same. A VLAN is told by interface and tag, which XAPI gives away once too: so one
that was made by hand, under whatever name, is taken.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tasks import lookup, traffic
from xenlaunch import names
from xenlaunch.errors import Refused
from xenlaunch.nics import Nic
from xenlaunch.xapi.pool import NULL

Row = Mapping[str, Any]

UNTAGGED: Final = -1
SHARED: Final = "assume_network_is_shared"
"""In a network's ``other_config``: without it a network with no PIFs holds its VMs on one host."""


@dataclass(frozen=True)
class Net:
    """A network as it is: ``ref`` is '' where it is still to be made, under ``label``.

    ``lacking`` has the interfaces, by host, on which it is still to be built; ``reached`` the hosts
    that have it; ``shut`` says of each host that cannot have it why, ``away`` of each that cannot
    now.
    """

    kind: str
    ref: str
    bridge: str
    label: str
    mtu: int = 1500
    other_config: Mapping[str, str] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)
    reached: frozenset[str] = frozenset()
    shut: Mapping[str, str] = field(default_factory=dict)
    away: Mapping[str, str] = field(default_factory=dict)
    ours: bool = True
    """Whether it is one that the deployment has made, or is to make: such may be pruned."""


def net_of(reader: lookup.Reader, nic: Nic) -> Net:
    """The network of a NIC. Raises `Refused` where it is not there and cannot be made."""
    match nic.kind:
        case "vlan":
            return _vlan(reader, nic)
        case "tunnel":
            return _tunnel(reader, nic)
        case "vswitch":
            return _vswitch(reader)
        case "link-local":
            return native(reader.records, *traffic.internal(reader))
    ref, row = _base(reader, nic)
    if nic.trunks:
        _check_takes_trunks(reader.records, ref, row)
    return native(reader.records, ref, row)


def bridge_name(*parts: str) -> str:
    """The bridge of a network that is made: always the same, and short enough for Linux.

    >>> bridge_name("tunnel", "gre", "7")
    'xle30c5e2f0a755'
    """
    return "xl" + hashlib.sha256("/".join(parts).encode()).hexdigest()[:13]


# Networks that are there


def _check_takes_trunks(records: lookup.Cache, ref: str, network: Row) -> None:
    if any(int(_row(records, pif)["VLAN"]) != UNTAGGED for pif in _on(records, ref).values()):
        raise Refused(
            "NETWORK_INCOMPATIBLE_WITH_TRUNKS",
            [network["uuid"]],
            f"The network {network['name_label']!r} is a VLAN itself, and carries no other tags: "
            "leave trunks out, or name the network below it.",
        )


def native(records: lookup.Cache, ref: str, row: Row) -> Net:
    """A network that is there, whatever it is: a VIF of it needs its host to have it."""
    name, pifs = row["name_label"], _on(records, ref)
    shut = {
        host: f"has no interface on the network {name!r}"
        for host in records.all("host")
        if pifs and host not in pifs
    }
    for host, pif in pifs.items():
        if _row(records, pif)["bond_slave_of"] != NULL:
            shut[host] = f"has the network {name!r} on a part of a bond: use the bond's"
    reached = frozenset(pifs) - set(shut)
    ours = names.OTHER_CONFIG_NETWORK in row["other_config"]
    away = {} if pifs else _away(records, ref, row)
    return Net("native", ref, row["bridge"], name, reached=reached, shut=shut, away=away, ours=ours)


def _away(records: lookup.Cache, ref: str, row: Row) -> dict[str, str]:
    """A network without interfaces is on one host for as long as VMs run on it there."""
    if any(row["other_config"].get(mark) == "true" for mark in (SHARED, traffic.INTERNAL)):
        return {}
    vms = records.all("vm")
    on_it = (vif for vif in records.all("vif").values() if vif["network"] == ref)
    users = (vms.get(vif["VM"]) for vif in on_it if vif["currently_attached"])
    homes = {vm["resident_on"] for vm in users if vm} & set(records.all("host"))
    reason = f"is not the host on which VMs use the private network {row['name_label']!r}"
    return {host: reason for host in records.all("host") if homes and homes != {host}}


def _base(reader: lookup.Reader, nic: Nic) -> tuple[str, Row]:
    """The network that is named, by itself or by its traffic; a tunnel's is for management."""
    if nic.network is not None:
        return lookup.one("network", reader.records.all("network"), nic.network)
    return traffic.network_of(reader, nic.traffic or "management")


# VLANs


def _vlan(reader: lookup.Reader, nic: Nic) -> Net:
    records = reader.records
    _, row = _base(reader, nic)
    below = _carriers(records, *_base(reader, nic))
    for pif in below.values():
        _check_takes_vlan(row, _row(records, pif))
    tag = int(nic.vlan or 0)
    tagged = _tagged(records, below, tag)
    _, physical = _lowest(records, below)
    bridge = bridge_name("vlan", physical["uuid"], str(tag))
    found = _most_common(records, tagged) or _by_bridge(records, bridge)
    closed = dict.fromkeys(tagged.keys() - _hosts(found, tagged), "has the tag on another network")
    label = f"VLAN-{physical['uuid']}-{tag}"
    return _made(records, "vlan", found, bridge, label, below, closed, int(physical["MTU"]))


def _carriers(records: lookup.Cache, ref: str, row: Row) -> dict[str, str]:
    """The interface of each host on which tags are built: of a bond's part, the bond itself."""
    pifs = records.all("pif")
    masters = {bond: pif for pif, one in pifs.items() for bond in one["bond_master_of"]}
    found = {
        h: masters.get(pifs[pif]["bond_slave_of"], pif) for h, pif in _on(records, ref).items()
    }
    if not found:
        raise Refused(
            "NETWORK_HAS_NO_INTERFACE",
            [row["uuid"]],
            f"No host has an interface on the network {row['name_label']!r}, so nothing can be "
            "built on it: name one that the hosts are connected to.",
        )
    return found


def _check_takes_vlan(network: Row, pif: Row) -> None:
    what = "a VLAN itself" if int(pif["VLAN"]) != UNTAGGED else ""
    what = "a tunnel" if pif["tunnel_access_PIF_of"] else what
    if what:
        code = "PIF_IS_VLAN" if what == "a VLAN itself" else "IS_TUNNEL_ACCESS_PIF"
        sentence = f"The network {network['name_label']!r} is {what}, and carries no tags."
        raise Refused(code, [network["uuid"]], sentence)


def _tagged(records: lookup.Cache, below: Mapping[str, str], tag: int) -> dict[str, Row]:
    """The VLANs of this tag on these interfaces, by host: XAPI gives both the same device."""
    devices = {host: _row(records, pif)["device"] for host, pif in below.items()}
    return {
        row["host"]: row
        for row in records.all("pif").values()
        if int(row["VLAN"]) == tag and devices.get(row["host"]) == row["device"]
    }


def _lowest(records: lookup.Cache, below: Mapping[str, str]) -> tuple[str, Row]:
    """The network that most of these interfaces are on."""
    networks = records.all("network")
    counted = Counter(_row(records, pif)["network"] for pif in below.values())
    ref = max(counted, key=lambda one: (counted[one], networks[one]["uuid"]))
    return ref, networks[ref]


def _most_common(records: lookup.Cache, tagged: Mapping[str, Row]) -> str:
    """The network that has the tag on most hosts, if any has: so hosts that disagree agree."""
    networks = records.all("network")
    counted = Counter(row["network"] for row in tagged.values() if row["network"] in networks)
    return max(counted, key=lambda one: (counted[one], networks[one]["uuid"]), default="")


def _hosts(network: str, tagged: Mapping[str, Row]) -> set[str]:
    return {host for host, row in tagged.items() if row["network"] == network}


# Open vSwitch


def _vswitch(reader: lookup.Reader) -> Net:
    check_openvswitch(reader.records)
    bridge = bridge_name("vswitch")
    found = _by_bridge(reader.records, bridge) or _by_name(reader.records, "vswitch")
    return _made(reader.records, "vswitch", found, bridge, "vswitch", {}, {}, shared=True)


def _tunnel(reader: lookup.Reader, nic: Nic) -> Net:
    records = reader.records
    check_openvswitch(records)
    protocol = nic.protocol or "gre"
    if protocol != "gre" and lookup.has_8_2(records):
        raise Refused(
            "TUNNEL_PROTOCOL_UNKNOWN",
            [protocol],
            f"This pool's version knows no tunnels but those of gre, and not {protocol}.",
        )
    _, row = _base(reader, nic)
    below = _carriers(records, *_base(reader, nic))
    dumb = {h for h, pif in below.items() if _row(records, pif)["ip_configuration_mode"] == "None"}
    if dumb == set(below):
        raise Refused(
            "TRANSPORT_PIF_NOT_CONFIGURED",
            [row["uuid"]],
            f"No host has an address on the network {row['name_label']!r} that a tunnel could go "
            "through: name one where they have.",
        )
    # The label is CloudStack's, whose tunnels are of gre.
    label = f"OVSTunnel{nic.tunnel}" if protocol == "gre" else f"OVSTunnel{nic.tunnel} {protocol}"
    bridge = bridge_name("tunnel", protocol, str(nic.tunnel))
    found = _by_bridge(records, bridge) or _by_name(records, label)
    closed = dict.fromkeys(dumb, "has no address for a tunnel to go through")
    return _made(records, "tunnel", found, bridge, label, below, closed)


def check_openvswitch(records: lookup.Cache) -> None:
    """Raise `Refused` where a host's bridges are Linux' own: those know no tunnels."""
    for row in records.all("host").values():
        backend = row["software_version"].get("network_backend", "openvswitch")
        if backend != "openvswitch":
            raise Refused(
                "OPENVSWITCH_NOT_ACTIVE",
                [row["uuid"]],
                f"The host {row['name_label']!r} has the network backend {backend!r}, and vswitch "
                "and tunnel need Open vSwitch on every host of the pool.",
            )


def _by_name(records: lookup.Cache, label: str) -> str:
    """A network that was made by hand or by others for the same: of several the first by uuid."""
    found = lookup.named(records.all("network"), label)
    return min(found, key=lambda pair: str(pair[1]["uuid"]), default=("", {}))[0]


# What they have in common


def _made(
    records: lookup.Cache,
    kind: str,
    ref: str,
    bridge: str,
    label: str,
    below: Mapping[str, str],
    closed: Mapping[str, str],
    mtu: int = 1500,
    *,
    shared: bool = False,
) -> Net:
    """A network of this kind, as far as it is there: found under ``ref``, or none yet."""
    row = records.get("network", ref) or {} if ref else {}
    on = _on(records, ref) if ref else {}
    missing = {h: pif for h, pif in below.items() if h not in on and h not in closed}
    # One that is down gets it with the launch that goes there once it is up again.
    lacking = {host: pif for host, pif in missing.items() if _is_live(records, host)}
    shut = {
        host: closed.get(host, f"has no interface for {label}")
        for host in records.all("host")
        if below and host not in on and host not in missing
    }
    kept = {"ovs-host-setup": ""} if kind == "tunnel" else {}
    return Net(
        kind=kind,
        ref=ref,
        bridge=str(row.get("bridge", bridge)),
        label=str(row.get("name_label", label)),
        mtu=mtu,
        other_config={**kept, SHARED: "true"} if shared else kept,
        lacking=lacking,
        reached=frozenset(on),
        shut=shut,
        ours=not ref or names.OTHER_CONFIG_NETWORK in row.get("other_config", {}),
    )


def _on(records: lookup.Cache, network: str) -> dict[str, str]:
    """The interface that each host has on a network."""
    return {
        row["host"]: ref for ref, row in records.all("pif").items() if row["network"] == network
    }


def _by_bridge(records: lookup.Cache, bridge: str) -> str:
    rows: Iterable[tuple[str, Row]] = records.all("network").items()
    return next((ref for ref, row in rows if row["bridge"] == bridge), "")


def _row(records: lookup.Cache, pif: str) -> Row:
    row = records.get("pif", pif)
    assert row is not None  # noqa: S101  it was read from the same cache a moment ago
    return row


def _is_live(records: lookup.Cache, host: str) -> bool:
    row = records.get("host", host)
    metrics = records.get("host_metrics", row["metrics"]) if row else None
    return bool(metrics and metrics["live"])
