"""When each SR and each host of a simulated pool worked: from its log of calls, for `bench.plot`.

The log says when a call came and when it ended, not since when the pool has worked on it. But it is
known how the pool works: on one disk of an SR at a time, on four starts of a host, in the order in
which they came. So work on a call began when it came, or when one before it ended.
"""

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

from scheduler.slots import AT_ONCE, HOST, SR

Call = Mapping[str, Any]
State = Mapping[str, Mapping[str, Mapping[str, Any]]]
Came = tuple[float, float]
"""When a call came, and when it ended."""


def worked_on(calls: Iterable[Came], at_once: int) -> list[list[float]]:
    """Since when it was worked on each of the calls, and until when.

    >>> worked_on([(0, 2), (1, 4), (1, 6)], at_once=1)
    [[0, 2], [2, 4], [4, 6]]
    """
    free: list[float] = []  # when each of those at work was done
    spans = []
    for came, ended in sorted(calls):
        began = came if len(free) < at_once else max(came, heapq.heappop(free))
        heapq.heappush(free, ended)
        spans.append([round(began, 3), round(max(began, ended), 3)])
    return spans


def spans(calls: Iterable[Call], state: State, since: float, rows: float) -> dict[str, Any]:
    """What each SR and each host did, in seconds after a moment.

    ``calls`` and ``state`` are the answers of the simulator's control port; ``rows`` what a clone
    takes after its disks ("VM.clone rows"), for the SR is free by then.
    """
    templates = _sr_of_templates(state)
    srs: dict[str, list[Came]] = {name: [] for name in sorted(set(templates.values()))}
    hosts: dict[str, list[Came]] = {row["name_label"]: [] for row in state["host"].values()}
    for call in calls:
        if call["outcome"] != "ok" or call["ended"] is None:
            continue
        came, ended = call["started"] - since, call["ended"] - since
        if call["method"] == "Async.VM.clone":
            srs[templates[call["args"][0]]].append((came, ended - rows))
        elif call["method"] == "Async.VM.start_on":
            hosts[state["host"][call["args"][1]]["name_label"]].append((came, ended))
    return {
        "srs": {name: worked_on(came, AT_ONCE[SR]) for name, came in srs.items()},
        "hosts": {name: worked_on(came, AT_ONCE[HOST]) for name, came in hosts.items()},
    }


def _sr_of_templates(state: State) -> dict[str, str]:
    """The name of the SR that the disks of each template are on."""
    found = {}
    for vbd in state["VBD"].values():
        disk = state["VDI"].get(vbd["VDI"])
        if disk and state["VM"][vbd["VM"]]["is_a_template"] and vbd["type"] == "Disk":
            found[vbd["VM"]] = str(state["SR"][disk["SR"]]["name_label"])
    return found
