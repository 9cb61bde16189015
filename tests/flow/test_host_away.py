"""A host that is down for a moment is waited for, and is not said to lack what it will have."""

from typing import Any

import pytest

from tests.flow.conftest import MakeStack
from tests.support.stacks import SMALL
from tests.support.waiting import wait_until

AWAY: dict[str, dict[str, Any]] = {
    "a VLAN that is not there yet": {"nics": [{"network": "guest", "vlan": 100}]},
    "a tunnel that is not there yet": {"nics": [{"tunnel": 7}]},
    "a disk on its own storage": {"disks": [{"new": "1GiB", "sr": "local-1"}]},
}


@pytest.mark.parametrize("fields", AWAY.values(), ids=AWAY)
def test_a_host_that_is_down_is_waited_for(make_stack: MakeStack, fields: dict[str, Any]) -> None:
    stack = make_stack("--pool", "generation-8.2")
    stack.pool.control("POST", "/master/host-2")
    stack.pool.control("POST", "/hosts/host-1/kill")
    stack.start_worker()

    [launch] = stack.submit(host="host-1", pin=True, **SMALL, **fields)

    def waits_for_it() -> bool:
        status = stack.ledger.status(launch)
        return status.has_ended or "host-1: is not live" in status.doing

    wait_until(waits_for_it, 20, "the launch says that it waits for its host")
    assert stack.ledger.status(launch).error is None
    assert stack.changing_calls() == []

    stack.pool.control("POST", "/hosts/host-1/revive")

    [ended] = stack.ended([launch])
    assert (ended.state, ended.host, ended.error) == ("succeeded", "host-1", None)
