"""The fifth step: the chosen host can carry the VM's networks."""

from tasks.bridge import bring_up, is_attached, is_switched
from tasks.netmaking import complete
from xenlaunch.model import Launch
from xenlaunch.xapi.pool import Pool


def network(launch: Launch, pool: Pool) -> Launch:
    """Have each network of the VM reach the host, and bring up there what is not known to be up.

    A network without PIFs gets its bridge so; a network with a PIF on the host gets it plugged.
    """
    assert launch.host is not None  # noqa: S101  a launch is begun with a host
    nics = launch.request.nics or ()
    for nic in nics:
        complete(pool, nic, launch.host.ref)
    host, records = launch.host, pool.records
    known = dict(zip(launch.networks, nics, strict=False))
    switched = {ref for ref, nic in known.items() if is_switched(records, host.ref, nic.kind)}
    for ref in dict.fromkeys(launch.networks):
        if ref in switched or not is_attached(records, ref, host.ref):
            bring_up(pool, ref, host)
    return launch
