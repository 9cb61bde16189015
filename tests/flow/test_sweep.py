"""What launches have left in a pool is removed, by whoever has the role; nothing else ever is."""

from collections.abc import Callable

import pytest

from tests.support.half_made import half_made_vm, new_disk
from tests.support.simulators import StartSimulator
from tests.support.stacks import Stack
from tests.support.users import FORGOTTEN, detached, lost, users_own, with_disks
from tests.support.waiting import wait_until
from tests.support.worker_processes import StartWorker
from workers.embedded import EmbeddedServer
from xenlaunch import names

FAILING_START = {"method": "VM.start_on", "error": ["BOOTLOADER_FAILED", "vm", "no kernel"]}

Sweeping = Callable[..., Stack]


@pytest.fixture
def sweeping(redis_url: str, simulator: StartSimulator, worker: StartWorker) -> Sweeping:
    """A stack that sweeps all the time, after a second's grace or one that is given."""

    def make(*options: str, grace: float = 1.0) -> Stack:
        every = 0.3
        return Stack(
            redis_url,
            simulator(*options),
            worker,
            sweep_grace_seconds=grace,
            sweep_every_seconds=every,
        )

    return make


def await_passes(stack: Stack, count: int = 4) -> None:
    """Return when the sweeper has listed the pool so many times more."""

    def passes() -> int:
        lists = "VDI.get_all_records_where"
        return sum(call["method"] == lists for call in stack.pool.calls())

    before = passes()
    wait_until(lambda: passes() >= before + count, 30, f"{count} passes of the sweeper")


def is_there(stack: Stack, cls: str, ref: str) -> bool:
    return ref in stack.rows(cls)


def all_of_a_launch(stack: Stack) -> list[tuple[str, str]]:
    """What the test has put there as a launch's remains."""
    vms = [half_made_vm(stack, FORGOTTEN, running=True), half_made_vm(stack, FORGOTTEN, disk=True)]
    vms.append(half_made_vm(stack, FORGOTTEN, marked=False))
    return [*(("VM", ref) for ref in vms), ("VDI", new_disk(stack, FORGOTTEN))]


def test_what_nobody_remembers_goes_after_its_grace(sweeping: Sweeping) -> None:
    stack = sweeping()
    before = stack.lasting()
    remains = all_of_a_launch(stack)
    stack.start_worker()

    wait_until(lambda: stack.lasting() == before, 40, "the pool is as it was")
    assert not any(is_there(stack, *one) for one in remains)


def test_a_vif_that_a_dead_launch_has_left_in_a_control_domain_goes(sweeping: Sweeping) -> None:
    stack = sweeping("--profile", "8.2")
    [dom0, *_] = [ref for ref, row in stack.rows("VM").items() if row["is_control_domain"]]
    [network] = stack.call("network.get_by_name_label", "guest")
    wanted = {"VM": dom0, "network": network, "MAC": "FE:FF:FF:FF:FF:FF", "MTU": "1500"}
    wanted |= {"qos_algorithm_type": "", "qos_algorithm_params": {}}
    mark = {names.OTHER_CONFIG_MARK: f"tests/{FORGOTTEN}/dom0:{network}"}
    ours = stack.call("VIF.create", {**wanted, "device": "0", "other_config": mark})
    users = stack.call("VIF.create", {**wanted, "device": "1", "other_config": {}})
    stack.call("VIF.plug", ours)
    stack.start_worker()

    wait_until(lambda: not is_there(stack, "VIF", ours), 40, "the VIF of the launch is gone")
    assert is_there(stack, "VIF", users)


def test_within_its_grace_nothing_goes_and_another_worker_counts_on(sweeping: Sweeping) -> None:
    stack = sweeping(grace=3600)
    remains = all_of_a_launch(stack)
    first = stack.start_worker()
    await_passes(stack)
    seen = stack.ledger.store.redis.hgetall("xenlaunch:sights:lab")
    first.kill()
    stack.start_worker()
    await_passes(stack)

    assert all(is_there(stack, *one) for one in remains)
    assert set(seen) == {ref for _, ref in remains}
    assert stack.ledger.store.redis.hgetall("xenlaunch:sights:lab") == seen


def test_what_an_undo_could_not_remove_goes_when_it_can_and_is_named_no_more(
    sweeping: Sweeping,
) -> None:
    stack = sweeping()
    stack.start_worker()
    before = stack.lasting()
    stuck = {"method": "VDI.destroy", "error": ["LICENCE_RESTRICTION", "x"]}
    stack.pool.faults([FAILING_START, stuck])
    failed = stack.launch(disks=[{"new": "1GiB"}])
    assert {left.cls for left in failed.leftovers} == {"VM", "VDI"}
    stack.pool.control("DELETE", "/faults")

    wait_until(lambda: stack.lasting() == before, 40, "the pool is as it was")
    wait_until(
        lambda: not stack.ledger.status(failed.id).leftovers, 20, "nothing is named as left over"
    )
    status = stack.ledger.status(failed.id)
    assert status.error is not None
    assert "Left behind" not in status.error.message


def test_a_leftover_that_its_owner_has_removed_is_named_no_more(sweeping: Sweeping) -> None:
    stack = sweeping()
    stack.start_worker()
    stack.pool.faults(FAILING_START)
    kept = stack.launch(on_failure="keep", disks=[{"new": "1GiB"}])
    await_passes(stack)
    assert [left.cls for left in stack.ledger.status(kept.id).leftovers] == ["VM"]
    vm = next(iter(stack.vms().values()))
    ref = stack.call("VM.get_by_uuid", vm["uuid"])
    stack.call("VM.destroy", ref)

    wait_until(lambda: not stack.ledger.status(kept.id).leftovers, 20, "it is named no more")


def test_what_users_make_of_our_vms_is_theirs(sweeping: Sweeping) -> None:
    """Clone, copy, snapshot and template, of a finished VM and of half-made ones; a kept VM too."""
    stack = sweeping()
    made = {"halted": half_made_vm(stack, FORGOTTEN, disk=True)}
    theirs = users_own(stack, "halted", made["halted"])
    theirs.append(("VM", half_made_vm(stack, "l-bbbbbbbbbbbbbbbb", deployment="others")))
    theirs.append(("VDI", new_disk(stack, "l-bbbbbbbbbbbbbbbb", deployment="others")))
    taken = half_made_vm(stack, "l-cccccccccccccccc", disk=True)
    stack.call("VM.set_name_label", taken, "mine now")
    theirs.append(("VM", taken))
    copied = stack.call("VDI.clone", new_disk(stack, FORGOTTEN), {})
    theirs.append(("VDI", copied))
    stack.start_worker()
    up = stack.launch(name="up", disks=[{"new": "1GiB"}])
    assert up.state == "succeeded", up.error
    finished = stack.call("VM.get_by_uuid", up.vm_uuid)
    stack.call("VM.hard_shutdown", finished)
    theirs += [*users_own(stack, "up", finished), ("VM", finished), detached(stack, finished)]
    stack.pool.faults(FAILING_START)
    kept = stack.launch(name="kept", on_failure="keep", disks=[{"new": "1GiB"}])
    vm = stack.call("VM.get_by_uuid", kept.leftovers[0].uuid)
    theirs += [("VM", vm), detached(stack, vm)]
    theirs = with_disks(stack, theirs)
    before = stack.pool.state()

    wait_until(lambda: not is_there(stack, "VM", made["halted"]), 40, "the half-made VM is swept")
    await_passes(stack)
    assert lost(stack, theirs, before) == []


def test_a_sweeper_that_is_killed_half_way_is_succeeded(sweeping: Sweeping) -> None:
    stack = sweeping(grace=0)
    before = stack.lasting()
    for number in range(8):
        half_made_vm(stack, f"l-{'abcdefgh'[number] * 16}", disk=True, running=number % 2 == 0)
    stack.pool.faults({"method": "VDI.destroy", "action": "delay", "seconds": 0.5})
    worker = stack.start_worker()
    wait_until(lambda: len(stack.vms()) < 7, 40, "some are swept")
    worker.kill()
    assert stack.vms()
    stack.start_worker()

    wait_until(lambda: stack.lasting() == before, 60, "the pool is as it was")


def test_one_deployment_sweeps_and_another_one_launches(
    sweeping: Sweeping, own_redis: EmbeddedServer, own_worker: StartWorker
) -> None:
    """For longer than the grace the other one's VMs are half made."""
    mine = sweeping(grace=0)
    theirs = Stack(own_redis.url, mine.pool, own_worker, deployment="others")
    mine.start_worker()
    theirs.start_worker()
    mine.pool.faults({"method": "VM.start_on", "action": "delay", "seconds": 4})
    launches = theirs.submit(4, disks=[{"new": "1GiB"}])
    for launch in launches:
        theirs.until(launch, "start", "the VM to start")
    await_passes(mine)

    assert [status.state for status in theirs.ended(launches)] == ["succeeded"] * 4
    assert mine.ledger.all_launches() == []


def test_a_launch_that_lives_is_let_live(sweeping: Sweeping) -> None:
    stack = sweeping(grace=0)
    stack.start_worker()
    stack.pool.faults({"method": "VM.start_on", "action": "delay", "seconds": 4})
    launches = stack.submit(3, disks=[{"new": "1GiB"}])
    for launch in launches:
        stack.until(launch, "start", "the VM to start")
    await_passes(stack)

    assert [status.state for status in stack.ended(launches)] == ["succeeded"] * 3


def test_a_pool_that_is_anothers_is_not_swept(sweeping: Sweeping) -> None:
    stack = sweeping(grace=0)
    remains = half_made_vm(stack, FORGOTTEN)
    ref = next(iter(stack.rows("pool")))
    stack.call("pool.add_to_other_config", ref, names.generation_key("tests"), "another")
    worker = stack.start_worker()
    wait_until(lambda: "sweep:lab: The pool lab was" in worker.log(), 20, "the sweeper says so")

    assert is_there(stack, "VM", remains)


def test_facts_that_come_after_the_end_are_swept(sweeping: Sweeping) -> None:
    """A call of a worker that everybody took for dead comes out late."""
    stack = sweeping()
    stack.start_worker()
    before = stack.lasting()
    stack.pool.faults(FAILING_START)
    failed = stack.launch()
    assert stack.lasting() == before
    half_made_vm(stack, failed.id, disk=True)

    wait_until(lambda: stack.lasting() == before, 40, "the pool is as it was")
    assert stack.ledger.status(failed.id).leftovers == ()
