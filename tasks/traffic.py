"""Which network a traffic type means: the pools file says so, else the pool's own hosts do.

Management is where the hosts are managed, storage where they have an address for it, control the
network between a host and its guests. Where the guests' and the public traffic goes, no pool says.
"""

from collections.abc import Mapping
from typing import Any, Final

from tasks import lookup
from xenlaunch.errors import Refused

INTERNAL: Final = "is_host_internal_management_network"
"""In a network's ``other_config``: it joins each host with its own guests, and no more."""

PURPOSE: Final = "management_purpose"
"""In the ``other_config`` of a PIF with an address: what people have said that it is for."""

Row = Mapping[str, Any]


def network_of(reader: lookup.Reader, traffic: str) -> tuple[str, Row]:
    """The network of a traffic type, as ref and row."""
    said = reader.traffic.get(traffic)
    rows = reader.records.all("network")
    if said is not None:
        return lookup.one("network", rows, said)
    if traffic == "control":
        return internal(reader)
    found = {row["network"] for row in _interfaces(reader.records, traffic)} & set(rows)
    if len(found) == 1:
        ref = found.pop()
        return ref, rows[ref]
    if found:
        raise lookup.ambiguous("network", traffic, (rows[ref]["uuid"] for ref in found))
    raise Refused(
        "TRAFFIC_UNKNOWN",
        [traffic],
        f"Nothing says which network is for the traffic type {traffic!r}: name it in the "
        f'pools file, under traffic, as {traffic} = "…".',
    )


def internal(reader: lookup.Reader) -> tuple[str, Row]:
    """The host internal management network, on which guests reach their host by link-local."""
    for ref, row in reader.records.all("network").items():
        if row["other_config"].get(INTERNAL) == "true":
            return ref, row
    raise Refused(
        "NETWORK_NOT_FOUND", ["link-local"], "The pool has no host internal management network."
    )


def _interfaces(records: lookup.Cache, traffic: str) -> list[Row]:
    """The hosts' interfaces for management or storage; storage may well have none of its own."""
    if traffic not in ("management", "storage"):
        return []
    rows = list(records.all("pif").values())
    management = [row for row in rows if row["management"]]
    if traffic == "management":
        return management
    addressed = [
        row for row in rows if not row["management"] and row["ip_configuration_mode"] != "None"
    ]
    meant = [row for row in addressed if "storage" in row["other_config"].get(PURPOSE, "").lower()]
    return meant or addressed or management
