"""A pool's line with real workers: each owner has its share, and who waits in vain is told."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flow.conftest import MakeStack
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until
from tests.support.worker_processes import write_pools

SETTINGS = 'in_flight = 2\n[owners."some"]\nweight = 2\n'
WAITING = {"many": 12, "few": 2, "some": 4}


def begun(stack: Stack) -> list[str]:
    """The names of the launches in the order in which they have begun."""
    events = (event for _, event in stack.ledger.events("0", 1))
    return [
        event["name"] for event in events if (event["kind"], event["state"]) == ("state", "running")
    ]


def of_owners(names: list[str]) -> dict[str, int]:
    return {owner: sum(name.startswith(owner) for name in names) for owner in WAITING}


@pytest.mark.timeout(180)
def test_each_owner_has_its_share_however_many_it_has_waiting(
    make_stack: MakeStack, tmp_path: Path
) -> None:
    stack = make_stack()
    (tmp_path / "fair").mkdir()
    pools = write_pools(tmp_path / "fair", {"lab": stack.pool})
    pools.write_text(pools.read_text() + SETTINGS)
    stack.start_worker(env={"XENLAUNCH_POOLS": str(pools)})
    stack.pool.control("PUT", "/latency", {"guest.boot": 600})
    first = stack.submit(2, name="first", wait_for="address", wait_seconds=600, **SMALL)
    for launch in first:
        stack.until(launch, "poll")
    launches = [
        launch
        for owner, many in WAITING.items()
        for launch in stack.submit(many, name=owner, owner=owner, **SMALL)
    ]
    wait_until(lambda: stack.ledger.line_length("lab") == 18, 20, "all wait in line")
    for launch in first:
        stack.client.cancel(launch)
    ended = stack.ended(launches, 120)
    order = begun(stack)[2:]

    assert {status.state for status in ended} == {"succeeded"}
    assert of_owners(order[:4]) == {"many": 1, "few": 1, "some": 2}
    assert of_owners(order[:8]) == {"many": 2, "few": 2, "some": 4}
    for owner, many in WAITING.items():
        own = [name for name in order if name.startswith(owner)]
        assert own == [f"{owner}-{number}" for number in range(1, many + 1)]
    stack.ended(first)
    stack.assert_nothing_held()


def gone(stack: Stack) -> Callable[[], object]:
    """Nobody listens any more."""
    stack.pool.stop()
    return lambda: None


def hung(stack: Stack) -> Callable[[], object]:
    """Connections are accepted, and nothing is answered."""
    os.kill(stack.pool.child.pid, signal.SIGSTOP)
    return lambda: os.kill(stack.pool.child.pid, signal.SIGCONT)


@pytest.mark.timeout(150)
@pytest.mark.parametrize("befall", [gone, hung])
def test_who_has_not_begun_in_time_fails_though_its_pool_does_not_answer(
    stack: Stack, befall: Callable[[Stack], Callable[[], object]]
) -> None:
    before = stack.launch(name="before", **SMALL)
    come_back = befall(stack)
    try:
        status = stack.ended(stack.submit(start_within=5, **SMALL), 100)[0]
    finally:
        come_back()

    assert before.state == "succeeded"
    assert (status.state, status.vm_uuid) == ("failed", None)
    assert status.error is not None
    assert status.error.code == "WAITED_TOO_LONG"
    assert status.error.params[0] == "5"
    assert status.error.params[1].startswith("waiting for ")
    stack.assert_nothing_held()
