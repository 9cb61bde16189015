"""Several pools are adopted one by one: what one of them cannot tell holds up no other."""

import os
import signal
from typing import Any

import pytest

from tests.flow.test_adopt import request
from tests.support.simulators import SimulatorProcess, StartSimulator
from tests.support.stacks import Stack
from tests.support.waiting import wait_until
from tests.support.worker_processes import StartWorker
from workers.embedded import EmbeddedServer

pytestmark = pytest.mark.timeout(400)


def adopted(stack: Stack) -> dict[str, dict[str, Any]]:
    """What adopting found, by pool."""
    return {pool["name"]: pool for pool in stack.client.adopt(timeout=200)}


def test_a_pool_that_does_not_answer_stands_still_and_the_other_goes_on(
    own_redis: EmbeddedServer, own_worker: StartWorker, simulator: StartSimulator
) -> None:
    attic: SimulatorProcess = simulator()
    stack = Stack(own_redis.url, simulator(), own_worker)
    stack.workers.append(own_worker({"lab": stack.pool, "attic": attic}))
    wait_until(stack.ledger.deployment, 10, "the worker has registered its deployment")
    tokens = {f"{pool}-1": request(f"{pool}-1", pool=pool) for pool in ("lab", "attic")}
    up = [stack.client.submit(one, token=token).id for token, one in tokens.items()]
    before = {status.pool: status.vm_uuid for status in stack.ended(up)}
    stack.ledger.store.redis.flushall()
    wait_until(stack.ledger.deployment, 10, "the worker has registered again")
    os.kill(attic.child.pid, signal.SIGSTOP)
    try:
        told = adopted(stack)
    finally:
        os.kill(attic.child.pid, signal.SIGCONT)

    assert (told["lab"]["succeeded"], told["lab"]["error"]) == (1, None)
    assert told["attic"]["succeeded"] == 0
    assert "attic" in told["attic"]["error"], told
    late = [
        stack.client.submit(request(f"{pool}-2", pool=pool), token=f"{pool}-2").id
        for pool in ("lab", "attic")
    ]
    assert stack.ended(late[:1])[0].state == "succeeded"
    wait_until(lambda: "'xenlaunch adopt'" in stack.ledger.status(late[1]).doing, 30, "it says why")
    again = adopted(stack)
    assert (again["lab"]["was"], again["attic"]["succeeded"]) == ("ours", 1)
    assert again["attic"]["error"] is None
    assert stack.ended(late)[1].state == "succeeded"
    known = [stack.client.submit(one, token=token) for token, one in tokens.items()]
    assert {status.pool: status.vm_uuid for status in known} == before
