"""Bringing a network's bridge up on a host, before a VM is started there.

Today's pools have a call for it. On the 8.2 generation it is done as the article does: the control
domain gets a VIF on the network, which is plugged, whereupon the host makes the bridge, unplugged
and removed again. Such a VIF bears the launch's mark; one that a dead worker has left is found by
it, by whoever does the step again or undoes the launch.
"""

from collections.abc import Iterator
from typing import Any, Final

from tasks.drives import marked
from tasks.hands import Asked
from tasks.looking import look
from tasks.lookup import Cache, is_8_2
from tasks.vifs import interfaces
from xenlaunch import names
from xenlaunch.errors import Busy, Refused
from xenlaunch.model import Host
from xenlaunch.xapi.pool import Pool

MAC: Final = "FE:FF:FF:FF:FF:FF"
"""The MAC of the control domain's VIF, as CloudStack gives it."""


def is_switched(records: Cache, host: str, kind: str) -> bool:
    """Whether 8.2 makes the bridge by a VIF of the control domain, as the article has it."""
    return kind in ("vswitch", "tunnel") and is_8_2(records, host)


def is_attached(records: Cache, network: str, host: str) -> bool:
    """Whether the host has its interface on the network plugged."""
    return any(
        row["network"] == network and row["host"] == host and row["currently_attached"]
        for row in records.all("pif").values()
    )


def bringing_up(records: Cache, host: str) -> tuple[str, ...]:
    """The calls that bring up a bridge on a host."""
    if is_8_2(records, host):
        return ("VIF.create", "VIF.plug", "VIF.unplug", "VIF.destroy")
    return ("network.attach",)


def bring_up(pool: Pool, network: str, host: Host) -> None:
    """Have the host make the network's bridge, and plug the interface that it has there."""
    if is_8_2(pool.records, host.ref):
        through_dom0(pool, network, host)
    else:
        pool.do(f"network:{host.uuid}:{network}", "network.attach", network, host.ref)


def through_dom0(pool: Pool, network: str, host: Host) -> None:
    """Plug and unplug a VIF of the control domain."""
    key = f"{names.DOM0}:{host.uuid}:{network}"
    if pool.is_done(f"{key}:destroy"):
        return
    vif = _make(pool, f"{key}:create", network, host)
    pool.do(f"{key}:plug", "VIF.plug", vif, find=lambda: "" if _is_plugged(pool, vif) else None)
    pool.do(f"{key}:unplug", "VIF.unplug", vif, find=lambda: None if _is_plugged(pool, vif) else "")
    pool.do(
        f"{key}:destroy", "VIF.destroy", vif, find=lambda: None if look(pool, "VIF", vif) else ""
    )


def _make(pool: Pool, key: str, network: str, host: Host) -> str:
    dom0 = control_domain(pool, host.ref)
    row = pool.records.get("network", network) or {}
    mark = pool.mark(f"{names.DOM0}:{network}")
    record = {
        "VM": dom0,
        "network": network,
        "device": "" if pool.is_done(key) else _lowest_device(pool, dom0, host),
        "MAC": MAC,
        "MTU": int(row.get("MTU", 1500)),
        "other_config": {
            "nameLabel": str(row.get("name_label", "")),
            names.OTHER_CONFIG_MARK: mark,
        },
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    try:
        return pool.do(key, "VIF.create", record, find=lambda: marked(interfaces(pool, dom0), mark))
    except Refused as refused:
        if refused.code != "DEVICE_ALREADY_EXISTS":
            raise
        said = f"Another launch has taken the device on the control domain of {host.name}."
        raise Busy(refused.code, refused.params, said) from refused


def control_domain(pool: Pool, host: str) -> str:
    row = pool.records.get("host", host)
    return str(row["control_domain"]) if row else ""


def _lowest_device(pool: Pool, dom0: str, host: Host) -> str:
    free = pool.read("VM.get_allowed_VIF_devices", dom0)
    if not free:
        said = f"The control domain of {host.name} has no device left for one more VIF."
        raise Busy("DOM0_HAS_NO_DEVICE", [host.uuid], said)
    return str(min(free, key=int))


def vifs_of_dom0s(pool: Asked, records: Cache) -> dict[str, Any]:
    """The VIFs of the control domains that take any, by ref."""
    hosts = records.all("host")
    dom0s = [row["control_domain"] for ref, row in hosts.items() if is_8_2(records, ref)]
    return {ref: row for dom0 in dom0s for ref, row in interfaces(pool, dom0).items()}


def _is_plugged(pool: Asked, vif: str) -> bool:
    row = look(pool, "VIF", vif)
    return bool(row and row["currently_attached"])


# Undo


def left_in_dom0(pool: Pool) -> Iterator[str]:
    """The VIFs of control domains that this launch has left there, by ref."""
    hosts = {key.split(":")[1] for key in pool.begun(f"{names.DOM0}:")}
    for uuid in sorted(hosts):
        host = pool.read("host.get_by_uuid", uuid)
        rows = interfaces(pool, pool.read("host.get_control_domain", host))
        for ref, row in rows.items():
            mark = str(row["other_config"].get(names.OTHER_CONFIG_MARK, ""))
            if mark.startswith(pool.mark(f"{names.DOM0}:")):
                yield ref


def take_out(pool: Any, vif: str) -> None:
    """Unplug and destroy one of them."""
    if _is_plugged(pool, vif):
        pool.do(f"{names.UNDO}:unplug:{vif}", "VIF.unplug", vif)
    pool.do(f"{names.UNDO}:vif:{vif}", "VIF.destroy", vif)
