"""Launches, plans and pools as people read them.

All text goes through `printable`: what a pool answered may hold control codes, and no terminal
shall obey them.
"""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xenlaunch import names, states
from xenlaunch.batch_status import BatchStatus
from xenlaunch.fields import show_size
from xenlaunch.model import LaunchStatus

PLAIN_WIDTH: Final = 200
"""The columns of a table that goes to no terminal."""

STATE_STYLES: Final = {
    states.SUCCEEDED: "green",
    states.FAILED: "red",
    states.CANCELLED: "yellow",
    states.DESTROYED: "dim",
    states.UNDOING: "magenta",
    states.RUNNING: "cyan",
}


ADOPTED: Final = {
    "succeeded": "launches have succeeded again",
    "known": "VMs were known already",
    "kept": "failed launches, with the VM that was kept",
    "undone": "launches of which Redis had lost too much: they are undone",
    "half_made": "half-made VMs and disks of nobody: the sweeper removes them after its grace",
}


def console_on(stream: TextIO) -> Console:
    """A console that writes control codes only where a terminal reads them."""
    terminal = stream.isatty()
    width = None if terminal else PLAIN_WIDTH
    return Console(
        file=stream,
        force_terminal=terminal,
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
    )


def printable(text: str) -> str:
    r"""The text with everything that a terminal could obey written out.

    >>> print(printable("disk \x1b[2J full"))
    disk \x1b[2J full
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def as_json(statuses: Iterable[LaunchStatus]) -> str:
    """One line: an array of launches."""
    return json.dumps([status.model_dump(mode="json") for status in statuses])


def when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def doing(status: LaunchStatus) -> str:
    """The step that a launch is at, and what it waits for."""
    return printable(", ".join(part for part in (status.step, status.doing) if part))


def sentence(status: LaunchStatus) -> str:
    """Why a launch ended, or is about to end, without a VM."""
    if status.error is None:
        return ""
    message, code = status.error.message, status.error.code
    says_all = code in message or code == "CANCELLED"
    return printable(message if says_all else f"{message} ({code})")


def launch_text(status: LaunchStatus) -> str:
    """All about one launch."""
    spent = ", ".join(f"{step} {status.seconds[step]:.1f}" for step in _in_order(status.seconds))
    facts = {
        "state": status.state,
        "doing": doing(status),
        "pool": status.pool,
        "host": status.host,
        "vm": status.vm_uuid,
        "macs": ", ".join(status.macs),
        "addresses": ", ".join(status.addresses),
        "note": status.note,
        "error": sentence(status),
        "batch": status.batch,
        "submitted": when(status.submitted),
        "ended": when(status.ended) if status.ended else None,
        "seconds": spent,
    }
    lines = [f"{status.name} ({status.id})"]
    lines += [f"  {name:<10} {value}" for name, value in facts.items() if value]
    lines += [f"  left over  {left.cls} {left.uuid}: {left.advice}" for left in status.leftovers]
    return "\n".join(printable(line) for line in lines)


def batch_text(batch: BatchStatus, failed: Sequence[LaunchStatus] = ()) -> str:
    """How a batch is doing, and why the launches failed that did so last."""
    lines = [f"{batch.id}: {counts(batch)}"]
    if batch.reason or batch.least or batch.tolerated is not None:
        lines += [f"  {name:<7} {value}" for name, value in _of_policy(batch).items() if value]
    lines += [f"  {one.name} ({one.id}) {one.state}: {sentence(one)}" for one in failed]
    if batch.failed > len(failed) > 0:
        lines.append(f"  … 'xenlaunch list --batch {batch.id} --state failed' has all that failed")
    return "\n".join(printable(line).rstrip(": ") for line in lines)


def _of_policy(batch: BatchStatus) -> dict[str, str]:
    must = f"at least {batch.least} must come up" if batch.least else ""
    may = "" if batch.tolerated is None else f"at most {batch.tolerated} may fail"
    return {
        "state": batch.state,
        "policy": ", ".join(filter(None, (must, may))),
        "reason": batch.reason,
    }


def counts(batch: BatchStatus) -> str:
    """How many launches of a batch are in which state, in words."""
    found = {state: getattr(batch, state) for state in (*states.PUBLIC, "unknown")}
    parts = [f"{number} {state}" for state, number in found.items() if number]
    return f"{', '.join(parts) or 'nothing'} of {batch.count}"


def launches_table(statuses: Iterable[LaunchStatus]) -> Table:
    table = _table("ID", "NAME", "STATE", "DOING", "POOL", "HOST", "ADDRESS", "SUBMITTED")
    for status in statuses:
        table.add_row(
            status.id,
            _text(status.name),
            Text(status.state, STATE_STYLES.get(status.state, "")),
            _text(sentence(status) or doing(status)),
            _text(status.pool),
            _text(status.host),
            _text(", ".join(status.addresses)),
            when(status.submitted),
        )
    return table


def results_table(statuses: Iterable[LaunchStatus]) -> Table:
    """What came up; narrow enough for 80 columns."""
    table = _table("NAME", "UUID", "HOST", "MAC", "ADDRESS")
    table.collapse_padding = True
    for status in statuses:
        macs, addresses = ", ".join(status.macs), ", ".join(status.addresses)
        cells = (status.name, status.vm_uuid, status.host, macs, addresses)
        table.add_row(*(_text(cell) for cell in cells))
    return table


def steps_table(statuses: Sequence[LaunchStatus]) -> Table:
    """How long the steps took, what they waited for included."""
    table = _table("STEP", "MEDIAN", "LONGEST")
    for step in _in_order({step: 0.0 for status in statuses for step in status.seconds}):
        taken = [status.seconds[step] for status in statuses if step in status.seconds]
        table.add_row(step, f"{statistics.median(taken):.2f} s", f"{max(taken):.2f} s")
    return table


def plans_text(names: Sequence[str], plans: Sequence[Mapping[str, Any]]) -> str:
    """Plans with the names of their launches, which stand there only where they are several."""
    if len(plans) == 1:
        return plan_text(plans[0])
    pairs = zip(names, plans, strict=True)
    return "\n\n".join(f"launch    {printable(name)}\n{plan_text(plan)}" for name, plan in pairs)


def plan_text(plan: Mapping[str, Any]) -> str:
    """What a launch would do: where, how large, by which calls; or why it cannot."""
    lines = [f"pool      {plan['pool']}"] if plan.get("pool") else []
    if template := plan.get("template"):
        lines.append(f"template  {template['name']} ({template['uuid']}) on {_places(template)}")
        lines.append(f"size      {plan['vcpus']} vCPUs, {show_size(plan['memory'])}")
        lines += [f"placement {_placement(plan)}"] if plan.get("placement") else []
        lines += [f"host      {_verdict(host)}" for host in plan.get("hosts") or ()]
        lines += [f"drive     {_drive(drive)}" for drive in plan.get("drives") or ()]
        lines += [f"network   {_network(network)}" for network in plan.get("networks") or ()]
        lines += [f"call      {call}" for call in plan.get("calls") or ()]
    if error := plan.get("error"):
        lines.append(f"refused   {error['message']}")
    return "\n".join(printable(line) for line in lines)


def _places(template: Mapping[str, Any]) -> str:
    """The SR of the template, or those of its copies: any of them may be cloned."""
    listed = sorted(str(sr) for sr in template.get("copies") or [template["sr"]])
    return " or ".join(listed)


def _placement(plan: Mapping[str, Any]) -> str:
    group = plan.get("group")
    return f"{plan['placement']}, {group}" if group else str(plan["placement"])


def _verdict(host: Mapping[str, Any]) -> str:
    reason = f": {host['reason']}" if host["reason"] else ""
    said = host.get("template") or ""
    aside = f" (the pool, of the template as it is: {said})" if said not in reason else ""
    return f"{host['host']} {'fits' if host['fits'] else 'does not fit'}{reason}{aside}"


def _drive(drive: Mapping[str, Any]) -> str:
    if drive["type"] == "CD":
        return f"{drive['device']}: CD"
    goes = "" if drive["stays"] else ", removed when it was read"
    return f"{drive['device']}: {show_size(drive['size'])} on {drive['sr']}{goes}"


def networks_text(networks: Iterable[Mapping[str, Any]]) -> str:
    """The networks that were made for launches, each with why it stays, or that it does not."""
    lines = [_pruned(network) for network in networks]
    return "\n".join(printable(line) for line in lines or ["No network was made for launches."])


def _pruned(network: Mapping[str, Any]) -> str:
    if "error" in network:
        return f"{network['pool']}: {network['error']}"
    named = f"{network['pool']}: {network['name']} ({network['uuid']})"
    if network["stays"]:
        return f"{named} stays: {network['stays']}"
    return f"{named} {'is removed' if network['removed'] else 'is idle'}"


def _network(network: Mapping[str, Any]) -> str:
    if not network["makes"]:
        return f"{network['name']} is there"
    how = "is put on the hosts that lack it" if network["exists"] else "is made on all hosts"
    return f"{network['name']} {how}"


def pools_table(pools: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("POOL", "MASTER", "VERSION", "HOSTS", "FREE MEMORY", "WAITING", "IN FLIGHT", "")
    for pool in pools:
        live = f"{pool['hosts_live']} of {pool['hosts']}" if pool["reachable"] else ""
        memory = ""
        if pool["reachable"]:
            memory = f"{show_size(pool['memory_free'])} of {show_size(pool['memory_total'])}"
        trouble = pool.get("error") or ("" if pool["reachable"] else "cannot be reached")
        cells = (pool["name"], pool.get("master"), pool.get("version"), live, memory)
        waiting = (str(pool["waiting"]), str(pool["in_flight"]), trouble)
        table.add_row(*(_text(cell) for cell in (*cells, *waiting)))
    return table


def doubts(pools: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with how the workers' Redis is set, each thing once."""
    said = (doubt for pool in pools for doubt in pool.get("doubts", ()))
    return [printable(doubt) for doubt in dict.fromkeys(said)]


def adopted_text(pools: Iterable[Mapping[str, Any]]) -> str:
    """What was found in each pool, and what became of it: a line for each that there was."""
    lines = []
    for pool in pools:
        said = [f"{pool[name]:>6}  {what}" for name, what in ADOPTED.items() if pool[name]]
        lines += [pool["name"], *(said or ["     -  nothing of ours"])]
        lines += [f"        {pool['error']}"] if pool["error"] else []
    return "\n".join(printable(line) for line in lines)


def storage_table(pools: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("POOL", "SR", "FREE", "SIZE")
    for pool in pools:
        for sr in pool.get("srs") or ():
            size, free = show_size(sr["size"]), show_size(sr["free"])
            table.add_row(_text(pool["name"]), _text(sr["name"]), free, size)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _text(value: str | None) -> Text:
    return Text(printable(value or ""))


def _in_order(steps: Mapping[str, float]) -> list[str]:
    return [step for step in (*names.STEPS, names.UNDO) if step in steps]
