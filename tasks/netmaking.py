"""Making the network of a NIC where it is not there yet, or not on all hosts.

It belongs to the deployment and to no launch: no undo takes it away, and whoever comes second
takes what the first has made. Two arbiters of XAPI's see to that there is one: a bridge's name is
given away once in a pool, and a tag once on an interface. A network that is there is not yet one
that is everywhere: hosts that lack it get it.

`pool.create_VLAN_from_PIF` takes back, on all hosts, what it has made, if one host refuses. So a
VLAN is not put on single hosts while such a call runs, whosever it is.
"""

import itertools
from collections.abc import Callable
from typing import Any, Final

from tasks.lookup import Cache, is_8_2
from tasks.nets import Net, net_of
from xenlaunch import names
from xenlaunch.errors import Busy, LostRace, OutcomeUnknown, Place, Refused
from xenlaunch.model import Launch
from xenlaunch.nics import Nic
from xenlaunch.xapi.pool import Pool
from xenlaunch.xapi.refusals import LOST_RACE

SECONDS: Final = 600
WHOLE: Final = "pool.create_VLAN_from_PIF"


def network_for(launch: Launch, pool: Pool, nic: Nic, pinned: str) -> str:
    """The network of a NIC, by ref: the one that was pinned, or one that is made for all."""
    if nic.kind in ("native", "link-local"):
        return pinned
    net = net_of(pool, nic)
    if net.ref and not net.lacking:
        return net.ref
    # What the cache does not know may be a moment old, and nothing is to be made twice.
    pool.records.barrier()
    ref = net_of(pool, nic).ref or make(launch, pool, net_of(pool, nic))
    pool.records.barrier()
    spread(launch, pool, nic)
    pool.records.barrier()
    return ref


def make(launch: Launch, pool: Pool, net: Net) -> str:
    """The network itself, marked as the deployment's; whoever was first has made it."""
    record = {
        "name_label": net.label,
        "name_description": names.MADE_BY_US,
        "bridge": net.bridge,
        "MTU": net.mtu,
        "other_config": {**net.other_config, names.OTHER_CONFIG_NETWORK: launch.deployment},
        "tags": [],
    }
    key = unused(pool, f"make:{net.bridge}")
    return pool.do(key, "network.create", record, find=lambda: _with_bridge(pool, net.bridge))


def _with_bridge(pool: Pool, bridge: str) -> str | None:
    rows = pool.read("network.get_all_records_where", f'field "bridge"="{bridge}"')
    return next(iter(rows), None)


def spread(launch: Launch, pool: Pool, nic: Nic) -> None:
    """Have every live host get what it lacks; the launch's own must, the others should."""
    own = launch.host.ref if launch.host else ""
    net = net_of(pool, nic)
    if net.kind == "vlan" and not net.reached and not _is_old(pool.records, net):
        if make_everywhere(pool, nic, net):
            return
        net = net_of(pool, nic)
    for host in sorted(net.lacking, key=lambda host: (host != own, host)):
        if host == own:
            build(pool, nic, net, host)
        else:
            _try(lambda at=host: build(pool, nic, net, at))  # type: ignore[misc]  # bound at once


def complete(pool: Pool, nic: Nic, host: str) -> None:
    """Have one host get what it lacks: the one to which a launch has come since."""
    if nic.kind in ("vlan", "tunnel") and host in net_of(pool, nic).lacking:
        pool.records.barrier()
        net = net_of(pool, nic)
        if net.ref and host in net.lacking:
            build(pool, nic, net, host)


def making_of(net: Net, records: Cache) -> list[str]:
    """The changing calls that make what is missing of a network, in their order."""
    if net.kind == "native":
        return []
    made = [] if net.ref else ["network.create"]
    if net.kind == "vlan" and net.lacking and not net.reached and not _is_old(records, net):
        return [*made, WHOLE]
    single = "VLAN.create" if net.kind == "vlan" else "tunnel.create"
    return made + [single] * len(net.lacking)


def _is_old(records: Cache, net: Net) -> bool:
    return any(is_8_2(records, host) for host in net.lacking)


def _try(act: Callable[[], None]) -> None:
    """Another host that cannot have it now gets it with the launch that goes there."""
    try:
        act()
    except (Place, OutcomeUnknown):
        return


def make_everywhere(pool: Pool, nic: Nic, net: Net) -> bool:
    """One call for all live hosts. False where a host has refused it: then one by one."""
    check_nobody_makes(pool, net)
    carrier = min(net.lacking.values())
    key = unused(pool, f"vlan:{net.bridge}")
    try:
        pool.run(
            key,
            WHOLE,
            *(carrier, net.ref, nic.vlan),
            what=f"{net.label} on all hosts",
            seconds=SECONDS,
            find=lambda: "" if net_of(pool, nic).reached else None,
        )
    except LostRace as lost:
        raise _others(net, lost) from lost
    except Place:
        return False
    pool.records.barrier()
    return not net_of(pool, nic).lacking


def build(pool: Pool, nic: Nic, net: Net, host: str) -> None:
    """The VLAN or the tunnel on one host."""
    check_nobody_makes(pool, net)
    row = pool.records.get("host", host) or {}
    key = unused(pool, f"{net.kind}:{net.bridge}:{row['uuid']}")
    method, params = _call(pool, nic, net, host)
    try:
        pool.do(key, method, *params, find=lambda: _is_on(pool, net.ref, host))
    except Refused as refused:
        if refused.code in LOST_RACE:
            raise _others(net, refused) from refused
        raise


def _call(pool: Pool, nic: Nic, net: Net, host: str) -> tuple[str, tuple[Any, ...]]:
    carrier = net.lacking[host]
    if net.kind == "vlan":
        return "VLAN.create", (carrier, nic.vlan, net.ref)
    # The protocol came after 8.2, which knows one only.
    protocol = () if is_8_2(pool.records, host) else (nic.protocol or "gre",)
    return "tunnel.create", (carrier, net.ref, *protocol)


def _is_on(pool: Pool, network: str, host: str) -> str | None:
    """Whether a host has an interface on a network: '' for yes, as one that a call has made."""
    rows = pool.read("PIF.get_all_records_where", f'field "network"="{network}"')
    return "" if any(row["host"] == host for row in rows.values()) else None


def check_nobody_makes(pool: Pool, net: Net) -> None:
    """Raise `Busy` while a VLAN is being put on all hosts, which any other's call would undo."""
    if net.kind != "vlan":
        return
    for row in pool.read("task.get_all_records").values():
        if row["status"] == "pending" and row["name_label"].endswith(WHOLE):
            raise _others(net, None)


def _others(net: Net, lost: LostRace | Refused | None) -> Busy:
    params = [net.bridge, *(lost.params if lost else ())]
    return Busy("NETWORK_BEING_MADE", params, f"Somebody makes {net.label} on the hosts just now.")


def unused(pool: Pool, key: str) -> str:
    """The key of a call that may have to be made again: somebody may have undone what it made."""
    numbered = (f"{key}:{number}" for number in itertools.count(1))
    return next(one for one in numbered if not pool.is_done(one))
