"""Groups: VMs that are to be kept together on one host, or apart on several. Pure.

A group is what it keeps and a name, as one word. Its members are the launches in flight that ask
for it, and the VMs that are up and bear its mark. Whoever asks for it and cannot have it waits.
"""

from collections.abc import Mapping

from xenlaunch.groups import APART, Group

Members = Mapping[str, int]
"""How many there are on a host, by group."""


def bound(group: Group | None, hosts: Mapping[str, Members]) -> dict[str, str]:
    """By host why a VM of this group has to stay away from it."""
    if group is None or group.best_effort:
        return {}
    there = [host for host, members in hosts.items() if members.get(group.mark)]
    if group.keep == APART:
        return dict.fromkeys(there, f"has a VM of the group {group.name!r}, which is kept apart")
    if not there:
        return {}
    where = " and ".join(sorted(there))
    sentence = f"is not where the group {group.name!r} is kept together, which is {where}"
    return {host: sentence for host in hosts if host not in there}


def liking(group: Group | None, members: Members) -> int:
    """How much a VM of this group would rather be where it has these members."""
    count = members.get(group.mark, 0) if group else 0
    return -count if group and group.keep == APART else count


def joined(group: Group | None, members: Members) -> Members:
    return members if group is None else {**members, group.mark: members.get(group.mark, 0) + 1}
