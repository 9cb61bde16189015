"""What a run of the model has shown: how long it took, who waited, and what stood idle."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.bound import bound
from bench.model.pool import Launch, Pool
from bench.model.station import Station

Owners = Mapping[str, Sequence[Launch]]


def by_owner(launches: Iterable[Launch]) -> dict[str, list[Launch]]:
    found: dict[str, list[Launch]] = {}
    for launch in launches:
        found.setdefault(launch.owner, []).append(launch)
    return found


def makespan(launches: Iterable[Launch]) -> float:
    """From the first submit to the last VM up, in seconds."""
    done = [launch for launch in launches if launch.up >= 0]
    if not done:
        return 0.0
    return max(one.up for one in done) - min(one.submitted for one in done)


def place_of_last(owner: str, owners: Owners) -> int:
    """How many VMs are up when the last of an owner's is, if each has had its share.

    While an owner of weight w gets n VMs, one of weight v gets n x v / w, or all that it wants.
    """
    last = owners[owner][-1]
    place = 0
    for other in owners.values():
        weight, priority = other[-1].weight, other[-1].priority
        if priority == last.priority:
            share = math.ceil(len(owners[owner]) * weight / last.weight)
            place += min(len(other), share)
        elif priority < last.priority:
            place += len(other)
    return place


def predicted(owner: str, owners: Owners, pool: Pool, figures: Mapping[str, float]) -> float:
    """When an owner's last VM is up by its share of the pool, in seconds from the submit."""
    shape, times = pool.shape, pool.times
    ours = 3 * times.send + 2 * times.hear + times.calls + times.wait
    return bound(place_of_last(owner, owners), shape.srs, shape.hosts, figures) + ours


def utilisation(stations: Iterable[Station], seconds: float) -> float:
    """Which part of the time they worked, of all that they could have."""
    stations = list(stations)
    could = seconds * sum(station.at_once for station in stations)
    return sum(station.worked for station in stations) / could if could else 0.0


def spans(pool: Pool) -> dict[str, dict[str, list[list[float]]]]:
    """When each SR and each host worked: what `bench.plot` draws."""
    return {
        kind: {
            name.partition(":")[2]: [[round(at, 3) for at in span] for span in station.spans or ()]
            for name, station in stations.items()
        }
        for kind, stations in (("srs", pool.srs), ("hosts", pool.hosts))
    }


def jain(owners: Owners) -> float:
    """Jain's index of what each owner got for its weight while all had some waiting; 1 is fair."""
    until = min(max(one.up for one in own) for own in owners.values())
    got = [sum(0 <= one.up <= until for one in own) / own[0].weight for own in owners.values()]
    squares = sum(one * one for one in got)
    return sum(got) ** 2 / (len(got) * squares) if squares else 1.0


def of_owner(
    owner: str, owners: Owners, pool: Pool, figures: Mapping[str, float]
) -> dict[str, Any]:
    """How many an owner has up, when its last one was, and when it should be by its share."""
    own = owners[owner]
    last, share = makespan(own), predicted(owner, owners, pool, figures)
    return {
        "launches": len(own),
        "weight": own[0].weight,
        "up": sum(one.up >= 0 for one in own),
        "last_up": round(last, 2),
        "predicted": round(share, 2),
        "off": round(last / share - 1, 4),
    }
