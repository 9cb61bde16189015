"""Whatever dies, a launch still ends, and no VM comes up twice."""

from collections import Counter

import pytest

from tasks.bridge import MAC
from tests.flow.conftest import MakeStack
from tests.support.simulators import StartSimulator
from tests.support.stacks import Stack
from tests.support.waiting import wait_until
from tests.support.worker_processes import StartWorker
from workers.embedded import EmbeddedServer


def assert_all_up(stack: Stack, launches: list[str], seconds: float = 90) -> None:
    ended = stack.ended(launches, seconds)

    assert Counter(status.state for status in ended) == {"succeeded": len(launches)}, [
        status.error for status in ended if status.error
    ]
    vms = stack.vms()
    assert sorted(vms) == sorted(status.name for status in ended)
    assert {vm["power_state"] for vm in vms.values()} == {"Running"}
    disks = [row for row in stack.rows("VDI").values() if not row["VBDs"]]
    assert [disk["name_label"] for disk in disks] == ["tools.iso"]
    stack.assert_nothing_held()


def test_a_worker_killed_in_the_middle_of_a_batch(make_stack: MakeStack) -> None:
    stack = make_stack(time_scale=0.02)
    doomed = stack.start_worker()
    launches = stack.submit(20)
    wait_until(
        lambda: sum(
            status.step in ("vbds", "vifs", "start") for status in stack.statuses(launches)
        ),
        20,
        "some launches are half way",
    )
    doomed.kill()
    stack.start_worker()

    assert_all_up(stack, launches)


def test_all_workers_killed_again_and_again(make_stack: MakeStack) -> None:
    stack = make_stack(time_scale=0.02)
    launches: list[str] = []
    for _ in range(3):
        workers = [stack.start_worker(), stack.start_worker()]
        launches += stack.submit(8, name=f"round-{len(launches)}")
        stack.until(launches[-1], "clone")
        for worker in workers:
            worker.kill()
    stack.start_worker()

    assert_all_up(stack, launches)


def test_a_worker_that_knows_nothing_of_the_pool_yet_takes_a_step_over(
    make_stack: MakeStack,
) -> None:
    """What the request names is there, though this process has not read it yet."""
    stack = make_stack()
    stack.pool.faults({"method": "VM.clone", "phase": "row", "action": "delay", "seconds": 1.5})
    doomed = stack.start_worker()
    launches = stack.submit(host="host-2", cpu_speed=500)
    stack.until(launches[0], "clone", "the clone")
    doomed.kill()
    stack.pool.faults({"method": "event.from", "action": "delay", "seconds": 3, "times": 4})
    stack.start_worker()

    assert_all_up(stack, launches)


def test_a_worker_killed_while_the_control_domains_have_vifs_of_ours(
    make_stack: MakeStack,
) -> None:
    """On 8.2, between the plugging and the unplugging that bring a bridge up."""
    stack = make_stack("--profile", "8.2")
    for rule in ({"method": "VIF.plug", "when": "after", "times": 1}, {"method": "VIF.unplug"}):
        stack.pool.faults({**rule, "action": "delay", "seconds": 30})
    doomed = stack.start_worker()
    nics = ({"broadcast": "vswitch"}, {"tunnel": 7}, {"tunnel": 8})
    launches = [stack.submit(name=f"web-{at}", nics=[nic])[0] for at, nic in enumerate(nics)]

    def all_plugged() -> bool:
        vifs = [row for row in stack.rows("VIF").values() if row["MAC"] == MAC]
        return len(vifs) == len(nics) and all(row["currently_attached"] for row in vifs)

    wait_until(all_plugged, 25, "each launch has its VIF plugged in a control domain")
    doomed.kill()
    stack.pool.control("DELETE", "/faults")
    stack.client.cancel(launches[-1])
    stack.start_worker()

    assert [status.state for status in stack.ended(launches)] == [
        *("succeeded", "succeeded", "cancelled")
    ]
    assert_all_up(stack, launches[:-1])
    assert [row for row in stack.rows("VIF").values() if row["MAC"] == MAC] == []


def test_a_message_that_is_lost_costs_seconds(stack: Stack) -> None:
    """Taken out of the queue before a worker sees it."""
    stack.workers[0].stop()
    launches = stack.submit(3)
    queues = ["xenlaunch:xenlaunch.control", "xenlaunch:xenlaunch.pool.lab"]
    stack.ledger.store.redis.delete(*queues)
    stack.start_worker()

    assert_all_up(stack, launches)


def test_xapi_restarts_in_the_middle(make_stack: MakeStack) -> None:
    """Its sessions and tasks are gone, its objects are not."""
    stack = make_stack()
    stack.pool.control("PUT", "/latency", {"VM.start": 3})
    stack.start_worker()
    launches = stack.submit(6)
    for launch in launches:
        stack.until(launch, "start", "the VM to start")
    stack.pool.control("POST", "/restart")

    assert_all_up(stack, launches)


def test_redis_restarts_under_a_half_busy_worker(
    own_redis: EmbeddedServer, own_worker: StartWorker, simulator: StartSimulator
) -> None:
    """Celery 5.7.0's own consumer exits here: `workers/consumer.py` says why ours does not."""
    stack = Stack(own_redis.url, simulator(time_scale=0.05), own_worker)
    worker = stack.start_worker()
    launches = stack.submit(6)
    stack.until(launches[0], "start", "the VM to start")
    own_redis.kill()
    own_redis.start()

    assert_all_up(stack, launches)
    assert worker.running
    assert_all_up(stack, launches + stack.submit(2, name="after"))


@pytest.mark.timeout(240)
def test_two_hundred_launches_wait_on_four_threads(make_stack: MakeStack) -> None:
    """Each start takes 40 s in the pool; nobody asks how they are getting on."""
    stack = make_stack("--host-workers", "64")
    stack.pool.control("PUT", "/latency", {"VM.start": 40})
    stack.pool.settings["host_slots"] = 50
    stack.start_worker(concurrency=4)
    before = Counter(call["method"] for call in stack.pool.calls())
    launches = stack.submit(200, memory="256MiB", vcpus=1)

    wait_until(lambda: pending_starts(stack) >= 150, 60, "150 starts are pending at once")
    assert_all_up(stack, launches, seconds=150)
    asked = Counter(call["method"] for call in stack.pool.calls()) - before
    questions = {name: count for name, count in asked.items() if name.startswith("task.get")}
    assert sum(questions.values()) <= 10, questions


def pending_starts(stack: Stack) -> int:
    tasks = stack.pool.state().get("task", {}).values()
    return sum(
        task["name_label"] == "Async.VM.start_on" and task["status"] == "pending" for task in tasks
    )
