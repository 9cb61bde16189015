"""What a guest has told of itself, through its agent, and whether that is what is waited for.

Pure: from the record of the VM's guest metrics, which XAPI makes of what the agent writes. So a
guest without an agent tells nothing, and one without a lease tells everything but an address.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final, Protocol

from xenlaunch.waiting import Awaited

AGENT: Final = "agent"
"""What a launch waits for that waits for the guest's agent alone."""

ANY: Final = Awaited()

Metrics = Mapping[str, Any]


class Told(Protocol):
    """Records of a pool, of which one is looked at."""

    def get(self, cls: str, ref: str) -> Metrics | None: ...


def metrics_of(records: Told, vm: str) -> Metrics | None:
    """What the guest of a VM that runs has told.

    One that does not run yet may have been cloned together with what its source's guest had told:
    that goes when it starts.
    """
    row = records.get("vm", vm)
    if row is None or row["power_state"] != "Running":
        return None
    return records.get("vm_guest_metrics", row["guest_metrics"])


def usable(networks: Mapping[str, str], awaited: Awaited = ANY) -> tuple[str, ...]:
    """The usable addresses among a guest's, each once, by device.

    >>> usable({"0/ip": "169.254.3.4", "0/ipv4/0": "10.1.2.3", "0/ipv6/0": "fe80::1"})
    ('10.1.2.3',)
    >>> usable({"0/ip": "10.1.2.3", "1/ip": "10.9.0.4"}, Awaited(nic=1))
    ('10.9.0.4',)
    """
    found: dict[str, None] = {}
    for key, text in sorted(networks.items()):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if awaited.takes(key.partition("/")[0], address):
            found[str(address)] = None
    return tuple(found)


def has_agent(metrics: Metrics | None) -> bool:
    """Whether an agent in the guest has said a word."""
    return bool(metrics and (metrics["os_version"] or metrics["networks"]))


def condition(awaited: Awaited | None) -> str:
    """What is waited for, as text: what a launch is parked on names it."""
    return AGENT if awaited is None else awaited.model_dump_json(exclude_defaults=True)


def met(wanted: str, metrics: Metrics | None) -> tuple[str, ...] | None:
    """The addresses by which a condition is met, none for that of an agent; None while it is not.

    >>> met(condition(Awaited()), {"networks": {"0/ip": "10.1.2.3"}})
    ('10.1.2.3',)
    >>> met(condition(Awaited()), {"networks": {}})
    """
    if wanted == AGENT:
        return () if has_agent(metrics) else None
    found = usable((metrics or {}).get("networks", {}), Awaited.model_validate_json(wanted))
    return found or None
