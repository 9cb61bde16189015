"""A pool that hangs is left alone, and is felt by nobody but those who wait for it."""

from collections import Counter
from typing import Any, Final

import pytest

from tests.support.agreement import Agreement
from tests.support.simulators import StartSimulator, hung
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until
from tests.support.worker_processes import StartWorker

MANY: Final = 20
SILENT: Final = "the pool attic, which does not answer since"
SAID: Final = "does not answer since"


@pytest.fixture
def pools(redis_url: str, simulator: StartSimulator, worker: StartWorker) -> tuple[Stack, Stack]:
    """Two pools of one ledger, and one worker of both that has few threads."""
    slow = ("--latency", "guest.boot=600")
    lab = Stack(redis_url, simulator(), worker)
    attic = Stack(redis_url, simulator(*slow), worker, name="attic")
    worker({"lab": lab.pool, "attic": attic.pool}, concurrency=4)
    wait_until(lab.ledger.deployment, 10, "the worker has registered its deployment")
    return lab, attic


def described(stack: Stack) -> dict[str, dict[str, Any]]:
    return {pool["name"]: pool for pool in stack.client.pools()}


@pytest.mark.timeout(300)
def test_a_pool_that_hangs_keeps_no_thread_from_the_other(pools: tuple[Stack, Stack]) -> None:
    lab, attic = pools
    before = {stack: stack.lasting() for stack in (lab, attic)}
    guest = {"wait_for": "address", "wait_seconds": 600, **SMALL}
    [doomed] = attic.submit(pool="attic", name="doomed", **guest)
    attic.until(doomed, "poll", "its address", 60)
    with hung(attic.pool):
        there = attic.submit(MANY, pool="attic", **SMALL)
        here = lab.submit(MANY, pool="lab", **SMALL)
        ended = {lab: lab.ended(here, 100)}
        wait_until(
            lambda: all(SAID in status.doing for status in attic.statuses(there)),
            60,
            "all that wait for the hung pool say so",
        )
        shown = described(lab)
        ended[lab] += lab.ended(lab.submit(name="anywhere", **SMALL))
        attic.client.cancel(doomed)
        attic.until(doomed, "undo", SILENT, 60)
    ended[attic] = attic.ended([*there, doomed], 100)

    assert Counter(status.state for status in ended[lab]) == {"succeeded": MANY + 1}
    assert {status.pool for status in ended[lab]} == {"lab"}
    assert (shown["lab"]["error"], shown["lab"]["breaker_open_since"]) == (None, None)
    assert shown["attic"]["breaker_open_since"] in shown["attic"]["error"]
    assert SAID in shown["attic"]["error"]
    assert ended[attic].pop().state == "cancelled"
    assert Counter(status.state for status in ended[attic]) == {"succeeded": MANY}
    assert described(lab)["attic"]["breaker_open_since"] is None
    for stack, statuses in ended.items():
        Agreement(stack, before[stack], statuses).assert_holds()
