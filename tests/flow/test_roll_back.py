"""Redis goes back to an older copy of itself, under its workers and in the middle of a batch."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flow.test_adopt import DISK, Make, adopt, await_swept, request
from tests.flow.test_adopt import make as make  # noqa: PLC0414  a fixture
from tests.support.stacks import SMALL, Stack
from tests.support.waiting import wait_until
from workers.embedded import EmbeddedServer
from xenlaunch import LaunchStatus

pytestmark = pytest.mark.timeout(400)

WANTED = {**DISK, **SMALL}


class Copy:
    """What a Redis had written to its disk at one moment, and may be made to hold again.

    It writes each word there before it answers, so what lies there is whole at any time.
    """

    def __init__(self, server: EmbeddedServer, folder: Path) -> None:
        shutil.copytree(server.data_dir, folder)
        self._server, self._folder = server, folder

    def restore(self) -> None:
        self._server.kill()
        shutil.rmtree(self._server.data_dir)
        shutil.copytree(self._folder, self._server.data_dir)
        self._server.start()


def succeeded(stack: Stack, batch: str, count: int) -> Callable[[], bool]:
    return lambda: stack.client.batch_status(batch).succeeded >= count


def a_minute_passes(stack: Stack) -> None:
    """The epoch grows once a minute, if there is work: have that minute be over now."""
    known = epoch(stack)
    key = stack.ledger.store.key("deployment")

    def has_grown() -> bool:
        stack.ledger.store.redis.hset(key, "wished:lab", 0)
        return epoch(stack) > known

    wait_until(has_grown, 20, "the epoch has grown")


def epoch(stack: Stack) -> int:
    claims = stack.ledger.claims()
    return 0 if "wish:lab" in claims else int(claims.get("epoch:lab", 0))


def say_why(stack: Stack, launches: tuple[str, ...]) -> bool:
    """Whether each of these that goes on says that it stands still, and nothing else does."""
    going_on = [one for one in stack.statuses(launches) if not one.has_ended]
    return bool(going_on) and all("older copy" in one.doing for one in going_on)


def vms_agree(stack: Stack, ended: list[LaunchStatus]) -> None:
    """A launch that succeeded has its one VM; one that did not says why, and has none."""
    up = [status for status in ended if status.state == "succeeded"]
    undone = [status for status in ended if status.state != "succeeded"]
    vms = stack.vms()

    assert {vm["uuid"] for vm in vms.values()} == {status.vm_uuid for status in up}
    assert len(vms) == len(up)
    assert {vm["power_state"] for vm in vms.values()} == {"Running"}
    assert {one.error.code for one in undone if one.error} <= {"LEDGER_ROLLED_BACK"}
    assert all(one.error for one in undone)


def test_redis_goes_back_in_the_middle_of_a_batch(
    make: Make, own_redis: EmbeddedServer, tmp_path: Path
) -> None:
    """All stand still and say why; once adopted, a repeated token finds its VM, or the reason."""
    stack = make(grace=5, time_scale=0.05)
    stack.start_worker()
    stack.start_worker()
    batch = stack.client.submit_batch(request(**WANTED), 50, name="web-{:03}", token="spring")
    wait_until(succeeded(stack, batch.id, 3), 120, "some have succeeded")
    copy = Copy(own_redis, tmp_path / "copy")
    late = stack.client.submit(request("late", **WANTED), token="late").id
    wait_until(succeeded(stack, batch.id, 20), 120, "many have succeeded")
    a_minute_passes(stack)
    copy.restore()
    wait_until(lambda: say_why(stack, batch.launches), 60, "all that go on say why they do not")
    before = stack.changing_calls()
    after = stack.client.submit(request("after", **WANTED), token="after").id
    wait_until(lambda: say_why(stack, (after,)), 60, "a new one says why it does not begin")

    assert stack.changing_calls() == before
    told = adopt(stack)
    again = stack.client.submit_batch(request(**WANTED), 50, name="web-{:03}", token="spring")
    assert again.launches == batch.launches
    assert stack.client.submit(request("late", **WANTED), token="late").id == late
    ended = stack.ended([*again.launches, late, after], 200)
    states = Counter(status.state for status in ended)
    assert told["was"] == "rolled back"
    assert states["succeeded"] >= 20, states
    await_swept(stack, 60)
    vms_agree(stack, ended)
    stack.assert_nothing_held()
    clones = [call for call in stack.changing_calls() if call["method"] == "Async.VM.clone"]
    # Who goes on has what it had half made removed, and clones once more.
    assert len(clones) <= 52 + told["half_made"] + told["going_on"]
