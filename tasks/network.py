"""The fifth step: the chosen host can carry the VM's networks."""

from xenlaunch.model import Launch
from xenlaunch.xapi.pool import Pool


def network(launch: Launch, pool: Pool) -> Launch:
    """Attach to the host each network of the VM that is not known to be there already.

    A network without PIFs gets its bridge so; a network with a PIF on the host gets it plugged.
    """
    assert launch.host is not None  # noqa: S101  a launch is begun with a host
    for ref in dict.fromkeys(launch.networks):
        if not is_attached(pool, ref, launch.host.ref):
            pool.do(f"network:{launch.host.uuid}:{ref}", "network.attach", ref, launch.host.ref)
    return launch


def is_attached(pool: Pool, network: str, host: str) -> bool:
    return any(
        row["network"] == network and row["host"] == host and row["currently_attached"]
        for row in pool.records.all("pif").values()
    )
