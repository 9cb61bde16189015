"""Redis lost what it knew: the pool tells, and no token gives a second VM."""

import shutil
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from celery.result import AsyncResult

from tests.flow.test_sweep import await_passes
from tests.support.half_made import half_made_vm, new_disk
from tests.support.simulators import StartSimulator
from tests.support.stacks import Stack
from tests.support.users import FORGOTTEN, detached, lost, users_own, with_disks
from tests.support.waiting import wait_until
from tests.support.worker_processes import StartWorker
from workers.embedded import EmbeddedServer
from xenlaunch import LaunchRequest, names
from xenlaunch.errors import NoWorker, TokenReused, TooLate
from xenlaunch.ledger import launch_id

DISK: dict[str, Any] = {"disks": [{"new": "1GiB"}], "nics": [{"network": "guest"}]}
FAILING_START = {"method": "VM.start_on", "error": ["BOOTLOADER_FAILED", "vm", "no kernel"]}

OTHER = "l-bbbbbbbbbbbbbbbb"

Make = Callable[..., Stack]


@pytest.fixture
def make(own_redis: EmbeddedServer, own_worker: StartWorker, simulator: StartSimulator) -> Make:
    """A stack whose Redis the test may stop and wipe, and which sweeps often."""

    def stack(grace: float = 1.0, time_scale: float = 0.0) -> Stack:
        return Stack(
            own_redis.url,
            simulator(time_scale=time_scale),
            own_worker,
            sweep_grace_seconds=grace,
            sweep_every_seconds=0.3,
        )

    return stack


def request(name: str = "web", **fields: Any) -> LaunchRequest:
    return LaunchRequest.parse({"name": name, "template": "debian-12", **fields})


def wipe(stack: Stack) -> None:
    """Redis loses all that it knew, under its workers."""
    stack.ledger.store.redis.flushall()
    wait_until(stack.ledger.deployment, 10, "a worker has registered again")


def adopt(stack: Stack) -> dict[str, Any]:
    (pool,) = stack.client.adopt(timeout=60)
    assert pool["error"] is None, pool["error"]
    return pool


def await_swept(stack: Stack, seconds: float) -> None:
    """Wait until nothing is half made any more; what still is when it takes too long is told."""
    with suppress(AssertionError):
        wait_until(lambda: unowned(stack) == ["tools.iso"], seconds, "what was half made is swept")
    assert unowned(stack) == ["tools.iso"]


def unowned(stack: Stack) -> list[str]:
    """The VMs with a working name, and the disks without a VM, with what is written on them."""
    names_of_vms = [row["name_label"] for row in stack.rows("VM").values()]
    loose = [
        " ".join([row["name_label"], *row["other_config"].values()])
        for row in stack.rows("VDI").values()
        if not row["VBDs"]
    ]
    return [name for name in names_of_vms if name.startswith("xenlaunch:")] + loose


@pytest.mark.timeout(400)
def test_wiped_in_the_middle_of_a_batch(make: Make) -> None:
    """Every launch of the batch has one running VM in the end, whatever had become of it before."""
    stack = make(grace=5, time_scale=0.05)
    stack.start_worker()
    batch = stack.client.submit_batch(request(**DISK), 50, name="web-{:03}", token="spring")
    wait_until(
        lambda: stack.client.batch_status(batch.id).succeeded >= 10, 120, "some have succeeded"
    )
    wipe(stack)
    told = adopt(stack)
    again = stack.client.submit_batch(request(**DISK), 50, name="web-{:03}", token="spring")

    assert (again.id, again.launches) == (batch.id, batch.launches)
    assert told["succeeded"] >= 10
    ended = stack.ended(again.launches, 200)
    assert Counter(status.state for status in ended) == {"succeeded": 50}, ended
    await_swept(stack, 60)
    vms = stack.vms()
    assert sorted(vms) == [f"web-{number:03}" for number in range(1, 51)]
    assert {vm["power_state"] for vm in vms.values()} == {"Running"}
    assert {vm["uuid"] for vm in vms.values()} == {status.vm_uuid for status in ended}
    assert stack.client.batch_status(batch.id).succeeded == 50
    assert stack.client.batch_status(batch.id).waiting == 0
    stack.assert_nothing_held()


def test_a_launch_that_succeeded_has_succeeded_again(make: Make) -> None:
    stack = make()
    stack.start_worker()
    before = stack.client.submit(request(**DISK), token="order-1").id
    known = stack.ended([before])[0]
    wipe(stack)
    assert adopt(stack)["succeeded"] == 1
    again = stack.client.submit(request(**DISK), token="order-1")

    for field in ("id", "name", "state", "pool", "host", "vm_uuid", "macs", "addresses"):
        assert getattr(again, field) == getattr(known, field), field
    assert abs((again.submitted - known.submitted).total_seconds()) < 1
    with pytest.raises(TokenReused):
        stack.client.submit(request(vcpus=4), token="order-1")
    result: Any = AsyncResult(f"{before}.poll", app=stack.client.celery_app).get(timeout=20)
    assert result["vm_uuid"] == known.vm_uuid
    key = stack.ledger.store.key("launch", before)
    day = 24 * 3600
    wait_until(lambda: stack.ledger.store.redis.ttl(key) > day, 20, "the token is kept for a day")
    assert adopt(stack)["known"] == 1
    assert list(stack.vms()) == ["web"]


@pytest.mark.parametrize("running", [True, False])
def test_what_a_launch_had_half_made_goes_before_it_makes_its_own(
    make: Make,
    running: bool,  # noqa: FBT001  a case
) -> None:
    """With the same MACs as it is about to use: at once, and not after the grace."""
    stack = make(grace=3600)
    launch = launch_id("tests", "order-1")
    half_made_vm(stack, launch, running=running, disk=True)
    stack.start_worker()
    assert stack.client.submit(request(**DISK), token="order-1").id == launch
    status = stack.ended([launch])[0]

    assert status.state == "succeeded", status.error
    await_swept(stack, 20)
    assert [vm["uuid"] for vm in stack.vms().values()] == [status.vm_uuid]


def test_a_kept_vm_is_a_failed_launchs_again(make: Make) -> None:
    """It has never run, and the address that the guest of its template once told is not its own."""
    stack = make()
    stack.start_worker()
    stack.pool.faults(FAILING_START)
    wanted = request(on_failure="keep", template="windows-2022")
    launch = stack.client.submit(wanted, token="order-1").id
    failed = stack.ended([launch])[0]
    wipe(stack)
    assert adopt(stack)["kept"] == 1
    again = stack.client.submit(wanted, token="order-1")

    assert (again.state, again.error) == ("failed", failed.error)
    assert again.addresses == failed.addresses == ()
    assert again.leftovers == failed.leftovers
    assert [vm["uuid"] for vm in stack.vms().values()] == [failed.leftovers[0].uuid]


def test_a_vm_without_its_name_gets_it(make: Make) -> None:
    """Redis died between the VM's last mark and its name."""
    stack = make()
    stack.start_worker()
    stack.pool.faults({"method": "VM.set_name_label", "action": "delay", "seconds": 5})
    launch = stack.client.submit(request(), token="order-1").id
    wait_until(
        lambda: any(
            names.OTHER_CONFIG_FINISHED in row["other_config"] for row in stack.rows("VM").values()
        ),
        20,
        "the VM is marked",
    )
    stack.workers[0].kill()
    stack.pool.control("DELETE", "/faults")
    stack.ledger.store.redis.flushall()
    stack.start_worker()
    adopt(stack)

    assert stack.ledger.status(launch).state == "succeeded"
    assert list(stack.vms()) == ["web"]


def roll_back(stack: Stack, redis: EmbeddedServer, copy: Path, live: Callable[[], None]) -> None:
    """Redis goes back to what it was before something happened."""
    redis.stop()
    shutil.copytree(redis.data_dir, copy)
    redis.start()
    live()
    redis.kill()
    shutil.rmtree(redis.data_dir)
    shutil.copytree(copy, redis.data_dir)
    redis.start()


def test_an_older_copy_of_redis_learns_what_became_of_its_launches(
    make: Make, own_redis: EmbeddedServer, tmp_path: Path
) -> None:
    """One waits in it that has a VM by now; one has begun, and does not know of its half VM."""
    stack = make()
    worker = stack.start_worker()
    wait_until(lambda: "claimed:lab" in stack.ledger.claims(), 10, "the pool is claimed")
    worker.kill()
    won, lost = (
        stack.client.submit(request(name, **DISK), token=name).id for name in ("won", "lost")
    )

    def live() -> None:
        again = stack.start_worker()
        stack.ended([won, lost])
        again.kill()

    roll_back(stack, own_redis, tmp_path / "copy", live)
    have_begun(stack, lost)
    stack.start_worker()
    told = adopt(stack)

    assert (told["was"], told["succeeded"], told["undone"]) == ("rolled back", 1, 1)
    up, undone = stack.ended([won, lost])
    assert (up.state, undone.state) == ("succeeded", "failed")
    assert undone.error is not None
    assert undone.error.code == "LEDGER_ROLLED_BACK"
    await_swept(stack, 30)
    assert [vm["uuid"] for vm in stack.vms().values()] == [up.vm_uuid]
    stack.assert_nothing_held()


def have_begun(stack: Stack, launch: str) -> None:
    """A launch is under way in Redis, and has half a VM in the pool that it does not know of."""
    redis = stack.ledger.store.redis
    fields = {"state": "running", "step": "vbds", "pool": "lab"}
    redis.hset(stack.ledger.store.key("launch", launch), mapping=fields)
    redis.zrem("xenlaunch:state:waiting", launch)
    redis.zadd("xenlaunch:state:running", {launch: 1})
    vm = next(ref for ref, row in stack.rows("VM").items() if row["name_label"] == "lost")
    unfinish(stack, vm, launch)


def unfinish(stack: Stack, vm: str, launch: str) -> None:
    """Take a VM back to before its launch was sure to succeed."""
    finished = names.OTHER_CONFIG_FINISHED
    stack.call("VM.remove_from_other_config", vm, finished)
    stack.call("VM.set_name_label", vm, names.working_name("tests", launch, 1))
    for ref, row in stack.rows("VDI").items():
        if f"/{launch}/" in row["other_config"].get(names.OTHER_CONFIG_MARK, ""):
            stack.call("VDI.remove_from_other_config", ref, finished)


@pytest.mark.parametrize(
    ("method", "nth"),
    [
        ("VDI.get_all_records_where", 1),
        ("pool.remove_from_other_config", 1),
        ("pool.add_to_other_config", 1),
        ("pool.add_to_other_config", 2),
        ("pool.add_to_other_config", 3),
    ],
)
def test_an_adoption_that_is_killed_half_way_is_done_again(
    make: Make, method: str, nth: int
) -> None:
    stack = make(grace=3600)
    stack.start_worker()
    before = stack.client.submit(request(**DISK), token="order-1").id
    stack.ended([before])
    wipe(stack)
    waiting = stack.client.submit(request("more"), token="order-2").id
    wait_until(lambda: "adopt" in stack.ledger.status(waiting).doing, 20, "the second launch waits")
    fault = {"method": method, "nth": nth, "action": "delay", "seconds": 8, "when": "after"}
    stack.pool.faults({**fault, "times": 1})
    asked = threading.Thread(target=adopt_in_vain, args=(stack,))
    asked.start()
    wait_until(lambda: struck(stack), 20, "the pool holds the call back")
    stack.workers[0].kill()
    asked.join()
    stack.start_worker()
    adopt(stack)

    assert [status.state for status in stack.ended([before, waiting])] == ["succeeded"] * 2
    assert sorted(stack.vms()) == ["more", "web"]


def adopt_in_vain(stack: Stack) -> None:
    with suppress(NoWorker):
        stack.client.adopt(timeout=8)


def struck(stack: Stack) -> bool:
    return any(rule.get("struck", 0) for rule in stack.pool.control("GET", "/faults"))


def test_adopting_what_is_well_changes_nothing(make: Make) -> None:
    stack = make(grace=0, time_scale=0.05)
    stack.start_worker()
    launches = stack.submit(12, **DISK)
    stack.until(launches[0], "start", "the VM to start", 60)
    told = adopt(stack)

    assert (told["was"], told["undone"], told["kept"]) == ("ours", 0, 0)
    ended = stack.ended(launches, 100)
    assert [status.state for status in ended] == ["succeeded"] * 12
    assert sorted(stack.vms()) == sorted(status.name for status in ended)


def test_a_second_stack_that_adopts_stops_the_first(
    make: Make, redis_url: str, worker: StartWorker
) -> None:
    first = make()
    first.start_worker()
    known = first.launch(name="first")
    second = Stack(redis_url, first.pool, worker)
    second.start_worker()
    assert adopt(second)["succeeded"] == 1
    waiting = first.submit(name="late")[0]
    wait_until(lambda: "adopt" in first.ledger.status(waiting).doing, 20, "the first says why")

    assert second.ledger.status(known.id).vm_uuid == known.vm_uuid
    assert second.launch(name="second").state == "succeeded"
    assert sorted(first.vms()) == ["first-1", "second-1"]


def test_what_users_made_of_our_vms_outlives_a_loss_of_redis(make: Make) -> None:
    """Clone, copy, snapshot and template, of a finished VM, a kept one, and half-made ones."""
    stack = make()
    stack.start_worker()
    up = stack.client.submit(request("up", **DISK), token="up").id
    stack.pool.faults({**FAILING_START, "nth": 2})
    (uuid,) = [status.vm_uuid for status in stack.ended([up])]
    kept = stack.client.submit(request("kept", on_failure="keep", **DISK), token="kept").id
    (left,) = stack.ended([kept])[0].leftovers
    finished, failed = (stack.call("VM.get_by_uuid", vm) for vm in (uuid, left.uuid))
    stack.call("VM.hard_shutdown", finished)
    half, unmarked = (
        half_made_vm(stack, FORGOTTEN, disk=True),
        half_made_vm(stack, OTHER, marked=False),
    )
    theirs = [("VM", finished), ("VM", failed)]
    for vm in (finished, failed, half, unmarked):
        theirs += users_own(stack, vm, vm)
    theirs += [detached(stack, finished), detached(stack, failed)]
    theirs.append(("VDI", stack.call("VDI.clone", new_disk(stack, FORGOTTEN), {})))
    theirs = with_disks(stack, theirs)
    before = stack.pool.state()
    wipe(stack)
    told = adopt(stack)
    halves = {half, unmarked}
    wait_until(lambda: not halves & set(stack.rows("VM")), 40, "the half-made VMs are swept")
    await_passes(stack)
    again = stack.client.submit(request("up", **DISK), token="up")

    assert (told["succeeded"], told["kept"]) == (1, 1)
    assert (again.state, again.vm_uuid) == ("succeeded", uuid)
    gone = lost(stack, theirs, before)
    assert gone == [], " | ".join(gone)


@pytest.mark.parametrize("found", ["succeeded", "kept"])
def test_what_was_read_back_can_be_destroyed(make: Make, found: str) -> None:
    """But for the disks that may have come with the template: nobody knows that any more."""
    stack = make()
    stack.start_worker()
    if found == "kept":
        stack.pool.faults(FAILING_START)
    launch = stack.client.submit(request(**DISK, on_failure="keep"), token="order-1").id
    [before] = stack.ended([launch])
    assert before.state == {"kept": "failed"}.get(found, found)
    wipe(stack)
    assert adopt(stack)[found] == 1
    with pytest.raises(TooLate, match="only its VM tells of it"):
        stack.client.retry(launch)
    stack.client.destroy(launch)
    [ended] = stack.ended([launch])

    assert ended.state == "destroyed"
    assert stack.vms() == {}
    left = {row["uuid"]: row for row in stack.rows("VDI").values() if not row["VBDs"]}
    named = [(one.cls, left[one.uuid]["virtual_size"]) for one in ended.leftovers]
    assert named == [("VDI", 8 << 30)]
    assert len(left) == 2, "that disk, and the ISO"
