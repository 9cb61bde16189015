"""The fourth step: one network interface for each NIC that was asked for."""

import hashlib
from typing import Any

from tasks.drives import is_marked, marked
from tasks.hands import Asked
from tasks.netmaking import network_for
from xenlaunch import names
from xenlaunch.model import Launch
from xenlaunch.nics import Nic, devices_of, kilobytes
from xenlaunch.xapi.pool import Pool

DEFAULT_MTU = 1500


def vifs(launch: Launch, pool: Pool) -> Launch:
    """Replace the template's VIFs by those that were asked for; without a word keep them."""
    present = interfaces(pool, launch.vm)
    nics = launch.request.nics
    if nics is None:
        rows = sorted(present.values(), key=lambda row: int(row["device"]))
        return launch.but(
            macs=tuple(str(row["MAC"]) for row in rows),
            networks=tuple(str(row["network"]) for row in rows),
        )
    for ref, row in present.items():
        if not is_marked(row, pool.mark("")):
            pool.do(f"unplug:{row['device']}", "VIF.destroy", ref)
    networks = tuple(
        network_for(launch, pool, nic, pinned)
        for nic, pinned in zip(nics, launch.networks, strict=True)
    )
    macs = tuple(
        plug(launch, pool, device, nic, network)
        for device, nic, network in zip(devices_of(nics), nics, networks, strict=True)
    )
    return launch.but(networks=networks, macs=macs)


def interfaces(pool: Asked, vm: str) -> dict[str, Any]:
    """The VIFs of a VM, by ref."""
    rows: dict[str, Any] = pool.read("VIF.get_all_records_where", f'field "VM"="{vm}"')
    return rows


def plug(launch: Launch, pool: Pool, device: int, nic: Nic, network: str) -> str:
    """Make the VIF of one NIC; its MAC."""
    mac = nic.mac or derived_mac(launch.id, device)
    mark = pool.mark(f"vif:{device}")
    record = {
        "VM": launch.vm,
        "network": network,
        "device": str(device),
        "MAC": mac,
        "MTU": nic.mtu or _mtu_of(pool, network),
        "other_config": {names.OTHER_CONFIG_MARK: mark},
        **limits_of(nic),
    }
    vif = pool.do(
        f"vif:{device}",
        "VIF.create",
        record,
        makes="VIF",
        find=lambda: marked(interfaces(pool, launch.vm), mark),
    )
    for version, address, gateway in addresses_of(nic):
        call = f"VIF.configure_{version}"
        pool.do(f"{version}:{device}", call, vif, "Static", address, gateway or "")
    return mac


def limits_of(nic: Nic) -> dict[str, Any]:
    """The fields of a VIF that say what it may do; what is not asked for XAPI has a default for.

    Addresses that are allowed mean nothing to XAPI on a VIF that is not locked.
    """
    limits: dict[str, Any] = {"qos_algorithm_type": "", "qos_algorithm_params": {}}
    if nic.rate is not None:
        # What XAPI calls kbps are kilobytes a second.
        params = {"kbps": str(kilobytes(nic.rate))}
        limits |= {"qos_algorithm_type": "ratelimit", "qos_algorithm_params": params}
    for version, allowed in (("ipv4", nic.ipv4_allowed), ("ipv6", nic.ipv6_allowed)):
        if allowed:
            limits |= {f"{version}_allowed": list(allowed), "locking_mode": "locked"}
    if nic.locking_mode is not None:
        limits["locking_mode"] = nic.locking_mode
    if nic.trunks:
        limits["trunks"] = list(nic.trunks)
    return limits


def addresses_of(nic: Nic) -> list[tuple[str, str, str | None]]:
    """The static addresses that the guest is told by its tools, each with its version."""
    said = (("ipv4", nic.ipv4, nic.ipv4_gateway), ("ipv6", nic.ipv6, nic.ipv6_gateway))
    return [(version, address, gateway) for version, address, gateway in said if address]


def _mtu_of(pool: Pool, network: str) -> int:
    row = pool.records.get("network", network)
    return int(row["MTU"]) if row else DEFAULT_MTU


def derived_mac(launch: str, device: int) -> str:
    """The MAC of a NIC for which none was given: always the same, locally administered.

    >>> derived_mac("l-7f3k", 0)
    'ee:2d:51:99:b4:92'
    """
    octets = bytearray(hashlib.sha256(f"{launch}/{device}".encode()).digest()[:6])
    octets[0] = (octets[0] | 0x02) & 0xFE
    return octets.hex(":")
