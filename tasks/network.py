"""The fifth step: the chosen host can carry the VM's networks."""

from collections.abc import Mapping

from tasks.bridge import bring_up
from tasks.lookup import is_8_2
from tasks.netmaking import complete
from xenlaunch.model import Launch
from xenlaunch.nics import Nic
from xenlaunch.xapi.pool import Pool


def network(launch: Launch, pool: Pool) -> Launch:
    """Have each network of the VM reach the host, and bring up there what is not known to be up.

    A network without PIFs gets its bridge so; a network with a PIF on the host gets it plugged.
    """
    assert launch.host is not None  # noqa: S101  a launch is begun with a host
    nics = launch.request.nics or ()
    for nic in nics:
        complete(pool, nic, launch.host.ref)
    switched = switched_on(pool, launch.host.ref, dict(zip(launch.networks, nics, strict=False)))
    for ref in dict.fromkeys(launch.networks):
        if ref in switched or not is_attached(pool, ref, launch.host.ref):
            bring_up(pool, ref, launch.host)
    return launch


def switched_on(pool: Pool, host: str, nics: Mapping[str, Nic]) -> set[str]:
    """The networks whose bridge 8.2 makes by a VIF of the control domain, as the article has it."""
    if not is_8_2(pool.records, host):
        return set()
    return {ref for ref, nic in nics.items() if nic.kind in ("vswitch", "tunnel")}


def is_attached(pool: Pool, network: str, host: str) -> bool:
    return any(
        row["network"] == network and row["host"] == host and row["currently_attached"]
        for row in pool.records.all("pif").values()
    )
