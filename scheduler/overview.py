"""A pool in figures, for whoever asks."""

from typing import Any, Final, Protocol

from scheduler.inventory import Inventory
from xenlaunch.breaker import Breaker
from xenlaunch.errors import PoolError
from xenlaunch.ledger import Ledger

ANSWER_SECONDS: Final = 3.0
"""Who asks for all pools waits so long for one that is about to be found silent."""


class Sight(Protocol):
    """What those who only look need."""

    @property
    def pools(self) -> tuple[str, ...]: ...

    @property
    def ledger(self) -> Ledger: ...

    def inventory(self, pool: str) -> Inventory: ...

    def permit(self, pool: str) -> None: ...

    def breaker(self, pool: str) -> Breaker | None: ...


def overview(pool: str, sight: Sight) -> dict[str, Any]:
    """One pool: who is master, what it has and has free (bytes), and how many launches it holds."""
    breaker = sight.breaker(pool)
    figures: dict[str, Any] = {
        "name": pool,
        "reachable": False,
        "master": None,
        "version": None,
        "hosts": 0,
        "hosts_live": 0,
        "memory_total": 0,
        "memory_free": 0,
        "srs": [],
        "waiting": sight.ledger.line_length(pool),
        "in_flight": len(sight.ledger.in_flight(pool)),
        "breaker_open_since": breaker.time if breaker else None,
        "error": None,
    }
    try:
        figures |= _seen(pool, sight)
        sight.permit(pool)
    except PoolError as error:
        return figures | {"error": error.message}
    return figures


def _seen(pool: str, sight: Sight) -> dict[str, Any]:
    inventory = sight.inventory(pool)
    # The cache would go on looking healthy for a while: whether the pool answers, only it can say.
    inventory.read("pool.get_all", seconds=ANSWER_SECONDS)
    records = inventory.records
    hosts = inventory.hosts(sight.ledger.in_flight(pool))
    master = records.get("host", next(iter(records.all("pool").values()))["master"]) or {}
    usable = [host for host in hosts.values() if host.usable]
    return {
        "reachable": True,
        "master": master.get("name_label"),
        "version": master.get("software_version", {}).get("product_version"),
        "hosts": len(hosts),
        "hosts_live": len(usable),
        "memory_total": sum(host.memory for host in usable),
        "memory_free": sum(host.free for host in usable),
        "srs": _storage(inventory),
    }


def _storage(inventory: Inventory) -> list[dict[str, Any]]:
    rows = (row for row in inventory.records.all("sr").values() if row["content_type"] != "iso")
    return sorted(
        (
            {
                "name": row["name_label"],
                "size": int(row["physical_size"]),
                "free": int(row["physical_size"]) - int(row["physical_utilisation"]),
            }
            for row in rows
            if int(row["physical_size"]) > 0
        ),
        key=lambda storage: storage["name"],
    )
