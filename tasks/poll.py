"""The last step: see that all is as asked, give the VM its name, and say what came up."""

import ipaddress
import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

from tasks.making import finish_disks
from tasks.start import is_at_rest
from tasks.vifs import interfaces
from xenlaunch import names
from xenlaunch.errors import Busy, Parked, Place, Refused
from xenlaunch.model import Host, Launch
from xenlaunch.xapi.pool import Pool
from xenlaunch.xapi.records import Records

HOST_SECONDS: Final = 600
"""How long a VM is waited for whose host is down, once it has been started there."""

NO_ADDRESS: Final = "running, no address"


class Seen(Protocol):
    """A pool whose cached records are looked at."""

    @property
    def records(self) -> Records: ...


def poll(launch: Launch, pool: Pool) -> Launch:
    """Check the VM against the request, wait for its address if asked to, and name it."""
    found = addresses(pool, launch.vm)
    note = ""
    if launch.request.wait_for == "address" and not found:
        note = await_address(launch, pool)
    record = pool.read("VM.get_record", launch.vm)
    check_running(pool, record)
    macs = check_interfaces(launch, pool)
    pool.no_way_back()
    finish(launch, pool, record)
    host = host_of(pool, record["resident_on"]) or launch.host
    return launch.but(macs=macs, addresses=found, host=host, note=note)


def check_running(pool: Pool, record: Mapping[str, Any]) -> None:
    """A VM that does not run is no success, and one whose host is down may not run any more.

    The pool goes on saying that it runs until its host is back. Nobody else may say that it does
    not: so that is waited for, and then the VM starts elsewhere.
    """
    uuid, state = str(record["uuid"]), str(record["power_state"])
    if state == "Running":
        check_host(pool, uuid, record["resident_on"])
    elif pool.retries and is_at_rest(record):
        raise Place("HOST_WENT_DOWN", [], "It went down while the VM ran there.")
    else:
        raise Refused(
            "VM_NOT_RUNNING",
            [uuid, state],
            f"The VM was started, and then was {state.lower()}: "
            "look at its console, or at what its template boots.",
        )


def check_host(pool: Pool, vm: str, ref: str) -> None:
    host = pool.records.get("host", ref)
    metrics = pool.records.get("host_metrics", host["metrics"]) if host else None
    if host is None or metrics is None or metrics["live"]:
        return
    name = host["name_label"]
    if pool.waited() < HOST_SECONDS:
        said = f"Its host {name} is down; whether the VM still runs is known when it is back."
        raise Busy("HOST_DOWN", [vm, name], said)
    said = f"Its host {name} went down, and was not back within {HOST_SECONDS} s."
    raise Refused("HOST_DOWN", [vm, name], said)


def check_interfaces(launch: Launch, pool: Pool) -> tuple[str, ...]:
    """A VM that lost a VIF on the way (its network was destroyed) is not what was asked for."""
    rows = sorted(interfaces(pool, launch.vm).values(), key=lambda row: int(row["device"]))
    macs = tuple(str(row["MAC"]).lower() for row in rows)
    if sorted(macs) != sorted(mac.lower() for mac in launch.macs):
        raise Refused(
            "VIFS_CHANGED",
            list(macs),
            "The VM's network interfaces are not those that were made: was a network destroyed?",
        )
    return macs


def addresses(pool: Pool, vm: str) -> tuple[str, ...]:
    """The addresses that the guest has told of, without those that every guest gives itself."""
    row = pool.records.get("vm", vm)
    metrics = pool.records.get("vm_guest_metrics", row["guest_metrics"]) if row else None
    noted = pool.noted(names.address_ref(vm))
    return usable((metrics or {}).get("networks", {})) or tuple(json.loads(noted or "[]"))


def usable(networks: Mapping[str, str]) -> tuple[str, ...]:
    """The usable addresses among a guest's, each once, by device.

    >>> usable({"0/ip": "169.254.3.4", "0/ipv4/0": "10.1.2.3", "0/ipv6/0": "fe80::1"})
    ('10.1.2.3',)
    """
    found: dict[str, None] = {}
    for _, text in sorted(networks.items()):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not (address.is_link_local or address.is_loopback or address.is_unspecified):
            found[str(address)] = None
    return tuple(found)


def await_address(launch: Launch, pool: Pool) -> str:
    """Park until the guest tells its address; in the end say that it has none, and go on."""
    left = launch.request.wait_seconds - pool.waited()
    if left > 0:
        raise Parked("its address", names.address_ref(launch.vm), left)
    return NO_ADDRESS


def finish(launch: Launch, pool: Pool, record: Mapping[str, Any]) -> None:
    """Mark the VM as its owner's, its new disks before it, and give it its name."""
    finish_disks(launch, pool)
    if names.OTHER_CONFIG_FINISHED not in record["other_config"]:
        key = names.OTHER_CONFIG_FINISHED
        pool.do(
            "finished",
            *("VM.add_to_other_config", launch.vm, key, pool.deed()),
            find=lambda: "" if key in pool.read("VM.get_other_config", launch.vm) else None,
        )
    pool.do("name", "VM.set_name_label", launch.vm, launch.request.name)
    blocked = launch.request.blocked_operations
    if blocked:  # last, for some of them we need ourselves
        pool.do("blocked", "VM.set_blocked_operations", launch.vm, blocked)


def host_of(pool: Seen, ref: str) -> Host | None:
    row = pool.records.get("host", ref)
    return Host(ref=ref, uuid=row["uuid"], name=row["name_label"]) if row else None
