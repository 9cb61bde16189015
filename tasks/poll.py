"""The last step: see that all is as asked, give the VM its name, and say what came up."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from tasks.awaiting import await_guest
from tasks.making import finish_disks
from tasks.setup import remove_drive
from tasks.start import is_at_rest
from tasks.told import metrics_of, usable
from tasks.vifs import interfaces
from xenlaunch import names
from xenlaunch.errors import Busy, Place, Refused
from xenlaunch.model import Host, Launch
from xenlaunch.xapi.pool import Pool
from xenlaunch.xapi.records import Records

HOST_SECONDS: Final = 600
"""How long a VM is waited for whose host is down, once it has been started there."""

HOST_DOWN: Final = "HOST_DOWN"


class Seen(Protocol):
    """A pool whose cached records are looked at."""

    @property
    def records(self) -> Records: ...


def poll(launch: Launch, pool: Pool) -> Launch:
    """Check the VM against the request, wait for its guest if asked to, and name it."""
    awaited, note = await_guest(launch, pool)
    record = pool.read("VM.get_record", launch.vm)
    check_running(pool, record)
    check_drives(launch, pool, record)
    macs = check_interfaces(launch, pool)
    left = remove_drive(launch, pool)
    found = addresses(pool, launch.vm, awaited)
    pool.no_way_back()
    finish(launch, pool, record)
    host = host_of(pool, record["resident_on"]) or launch.host
    leftovers = (*launch.leftovers, *left)
    return launch.but(macs=macs, addresses=found, host=host, note=note, leftovers=leftovers)


def check_running(pool: Pool, record: Mapping[str, Any]) -> None:
    """A VM that does not run is no success, and one whose host is down may not run any more.

    The pool goes on saying that it runs until its host is back. Nobody else may say that it does
    not: so that is waited for, and then the VM starts elsewhere.
    """
    uuid, state = str(record["uuid"]), str(record["power_state"])
    if state == "Running":
        check_host(pool, uuid, record["resident_on"])
    elif pool.waited(HOST_DOWN) and is_at_rest(record):
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
    if pool.waited(HOST_DOWN) < HOST_SECONDS:
        said = f"Its host {name} is down; whether the VM still runs is known when it is back."
        raise Busy(HOST_DOWN, [vm, name], said)
    said = f"Its host {name} went down, and was not back within {HOST_SECONDS} s."
    raise Refused(HOST_DOWN, [vm, name], said)


def check_drives(launch: Launch, pool: Pool, record: Mapping[str, Any]) -> None:
    """Nor is a VM that lost one of its drives: XAPI removes a disk's VBDs with the disk."""
    made = [pool.value(f"vbd:{index}") for index in range(len(launch.request.disks))]
    lost = [str(index) for index, vbd in enumerate(made) if vbd not in record["VBDs"]]
    if lost:
        raise Refused(
            "VBDS_CHANGED",
            lost,
            f"The VM has lost its drives for the disks {', '.join(lost)} of the request, from 0: "
            "was a disk destroyed, or taken off?",
        )


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


def addresses(pool: Pool, vm: str, awaited: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses that the guest has told of, those that were waited for first."""
    told = usable((metrics_of(pool.records, vm) or {}).get("networks", {}))
    return tuple(dict.fromkeys((*awaited, *told)))


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
