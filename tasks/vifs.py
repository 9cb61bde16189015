"""The fourth step: one network interface for each NIC that was asked for."""

import hashlib
from typing import Any

from tasks.drives import is_marked, marked
from xenlaunch import names
from xenlaunch.model import Launch
from xenlaunch.nics import Nic
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
    return launch.but(
        macs=tuple(plug(launch, pool, device, nic) for device, nic in enumerate(nics))
    )


def interfaces(pool: Pool, vm: str) -> dict[str, Any]:
    """The VIFs of a VM, by ref."""
    rows: dict[str, Any] = pool.read("VIF.get_all_records_where", f'field "VM"="{vm}"')
    return rows


def plug(launch: Launch, pool: Pool, device: int, nic: Nic) -> str:
    """Make the VIF of one NIC; its MAC."""
    mac = nic.mac or derived_mac(launch.id, device)
    mark = pool.mark(f"vif:{device}")
    record = {
        "VM": launch.vm,
        "network": launch.networks[device],
        "device": str(device),
        "MAC": mac,
        "MTU": nic.mtu or _mtu_of(pool, launch.networks[device]),
        "other_config": {names.OTHER_CONFIG_MARK: mark},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    pool.do(
        f"vif:{device}",
        "VIF.create",
        record,
        makes="VIF",
        find=lambda: marked(interfaces(pool, launch.vm), mark),
    )
    return mac


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
