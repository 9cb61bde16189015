"""The networks that a planned VM would be on: what is made, and which bridges are brought up."""

from collections.abc import Iterator, Sequence
from typing import Any

from scheduler.inventory import Inventory
from tasks import lookup
from tasks.bridge import bringing_up, is_attached, is_switched
from tasks.copies import interfaces_of
from tasks.netmaking import making_of
from tasks.nets import net_of
from xenlaunch.model import LaunchRequest


def planned_networks(request: LaunchRequest, inventory: Inventory) -> list[dict[str, Any]]:
    """The network of each NIC: its name, whether it is there, and the calls that would make it.

    Two NICs on one that is not there yet make it once.
    """
    planned: list[dict[str, Any]] = []
    made: set[str] = set()
    for nic in request.nics or ():
        net = net_of(inventory, nic)
        makes = [] if net.bridge in made else making_of(net, inventory.records)
        made.add(net.bridge)
        planned.append({"name": net.label, "exists": bool(net.ref), "makes": makes})
    return planned


def planned_bridges(
    request: LaunchRequest, template: lookup.Row, inventory: Inventory, fitting: Sequence[str]
) -> list[str]:
    """The calls that bring up bridges on the host, where those that the VM fits on agree in them.

    Which of several that do not agree it will be is not planned.
    """
    hosts = inventory.records.all("host").items()
    refs = [ref for ref, row in hosts if row["name_label"] in fitting]
    found = {tuple(_on_host(request, template, inventory, ref)) for ref in refs}
    return list(*found) if len(found) == 1 else []


def _on_host(
    request: LaunchRequest, template: lookup.Row, inventory: Inventory, host: str
) -> Iterator[str]:
    down = {bridge for bridge, is_up in _bridges(request, template, inventory, host) if not is_up}
    for _ in down:
        yield from bringing_up(inventory.records, host)


def _bridges(
    request: LaunchRequest, template: lookup.Row, inventory: Inventory, host: str
) -> Iterator[tuple[str, bool]]:
    """Each network by something that is its own, and whether the host has it up by then."""
    records = inventory.records
    if request.nics is None:
        for row in interfaces_of(inventory, template):
            yield row["network"], is_attached(records, row["network"], host)
    for nic in request.nics or ():
        net = net_of(inventory, nic)
        is_up = host in net.lacking or is_attached(records, net.ref, host)
        yield net.bridge, is_up and not is_switched(records, host, nic.kind)
