"""Pruning: the networks that this deployment has made and nobody is on any more.

A network is idle when no VIF is on it, plugged or not (XAPI would destroy those that are not with
the network, whoever's they are), and no launch that lives is to be on it. Before one is removed it
is claimed in the ledger, from where launches see that they must wait; then the pool is looked at
once more. A launch that comes later finds no network, and makes one.
"""

from collections.abc import Mapping
from typing import Any, Final

from scheduler.overview import Sight
from xenlaunch import names
from xenlaunch.errors import PoolError, Refused
from xenlaunch.ledger import Ledger
from xenlaunch.xapi.pending import mark_headers
from xenlaunch.xapi.reach import Reach

Row = Mapping[str, Any]

CLAIM_MS: Final = 60_000
"""For how long a claim keeps launches off a network, should whoever prunes it die."""


class Pruning:
    """The networks of one pool that this deployment has made."""

    def __init__(self, ledger: Ledger, reach: Reach, deployment: str) -> None:
        self._ledger = ledger
        self._reach = reach
        self._deployment = deployment

    def report(self, *, remove: bool) -> list[dict[str, Any]]:
        """Each network: pool, name, uuid, bridge, why it stays ('' where idle), and removed."""
        used = self._ledger.networks_used(self._reach.name)
        rows = self._reach.records.all("network")
        ours = {ref: row for ref, row in rows.items() if self._is_ours(row)}
        found = []
        for ref, row in sorted(ours.items(), key=lambda pair: str(pair[1]["name_label"])):
            stays = self.why_it_stays(ref, row, used.get(row["bridge"], []))
            stays = stays or (self.remove(ref, row) if remove else "")
            found.append(
                {
                    "pool": self._reach.name,
                    "name": row["name_label"],
                    "uuid": row["uuid"],
                    "bridge": row["bridge"],
                    "stays": stays,
                    "removed": remove and not stays,
                }
            )
        return found

    def _is_ours(self, row: Row) -> bool:
        return bool(row["other_config"].get(names.OTHER_CONFIG_NETWORK) == self._deployment)

    def why_it_stays(self, ref: str, row: Row, launches: list[str]) -> str:
        """Who is on a network, or is to be; '' where nobody is."""
        vifs = self._read("VIF.get_all_records_where", f'field "network"="{ref}"')
        if vifs:
            holders = sorted({self._name_of(vif["VM"]) for vif in vifs.values()})
            return f"has {len(vifs)} VIFs, of {', '.join(holders[:3])}"
        if launches:
            return f"is wanted by {', '.join(sorted(launches)[:3])}"
        return "" if row["managed"] else "is not managed"

    def _name_of(self, vm: str) -> str:
        row = self._reach.records.get("vm", vm)
        return str(row["name_label"]) if row else "a VM"

    def remove(self, ref: str, row: Row) -> str:
        """Remove an idle network, with what joins the hosts to it; '' or why it stays."""
        pool, bridge = self._reach.name, row["bridge"]
        launch = self._ledger.claim_pruning(pool, bridge, CLAIM_MS)
        if launch:
            return f"is wanted by {launch}"
        try:
            self._reach.permit()
            # A launch that was quicker than the claim has its VIF by now, or has none for ever.
            stays = self.why_it_stays(ref, self._read("network.get_record", ref), [])
            if not stays:
                self._take_apart(ref)
        except PoolError as error:
            if isinstance(error, Refused) and error.code == "HANDLE_INVALID":
                return ""
            stays = error.message
        self._ledger.pruned(pool, bridge)
        return stays

    def _take_apart(self, network: str) -> None:
        """The VLANs and tunnels host by host, then the network: XAPI refuses where one is used."""
        pifs = self._read("PIF.get_all_records_where", f'field "network"="{network}"')
        for row in pifs.values():
            for tunnel in row["tunnel_access_PIF_of"]:
                self._send("tunnel.destroy", tunnel)
            if int(row["VLAN"]) >= 0:
                self._send("VLAN.destroy", row["VLAN_master_of"])
        self._send("network.destroy", network)

    def _read(self, method: str, *params: Any) -> Any:
        return self._reach.session.read(method, *params)

    def _send(self, method: str, ref: str) -> None:
        session = self._reach.session
        headers = mark_headers(f"{self._deployment}/prune/{method}/{ref}")
        session.send(method, ref, as_login=session.login, headers=headers)


def prune(
    sight: Sight, deployment: str, reach: Any, pool: str | None, *, remove: bool
) -> list[dict[str, Any]]:
    """The networks of all pools, or of one; a pool that does not answer says so in its place."""
    found: list[dict[str, Any]] = []
    for name in [pool] if pool else sight.pools:
        try:
            sight.inventory(name)
            found += Pruning(sight.ledger, reach(name), deployment).report(remove=remove)
        except PoolError as error:
            found.append({"pool": name, "error": error.message})
    return found
