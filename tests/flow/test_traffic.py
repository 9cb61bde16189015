"""Which network a kind of traffic means: the pools file's word, else what the hosts have."""

from tests.flow.conftest import MakeStack
from tests.support.stacks import SMALL

MANAGEMENT = "Pool-wide network associated with eth0"
KINDS = ("guest", "public", "management", "storage")


def test_the_pools_file_says_it_and_where_it_does_not_the_hosts_addresses(
    make_stack: MakeStack,
) -> None:
    stack = make_stack("--hosts", "2")
    stack.pool.settings["traffic"] = f'{{guest = "guest", public = "{MANAGEMENT}"}}'
    second = [ref for ref, row in stack.rows("PIF").items() if row["device"] == "eth1"]
    for number, pif in enumerate(second, 1):
        address = (f"10.9.0.{number}", "255.255.255.0", "", "")
        stack.call("PIF.reconfigure_ip", pif, "Static", *address)
    stack.start_worker()

    status = stack.launch(**SMALL, nics=[{"traffic": kind} for kind in KINDS])

    assert (status.state, status.error) == ("succeeded", None)
    vm = next(row for row in stack.vms().values() if row["uuid"] == status.vm_uuid)
    vifs = (stack.rows("VIF")[vif] for vif in vm["VIFs"])
    placed = {row["device"]: stack.rows("network")[row["network"]]["name_label"] for row in vifs}
    found = {kind: placed[str(device)] for device, kind in enumerate(KINDS)}
    assert found == {
        "guest": "guest", "public": MANAGEMENT, "management": MANAGEMENT, "storage": "guest",
    }  # fmt: skip
