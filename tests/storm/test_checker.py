"""The checker finds what is wrong: it is shown a pool after a launch, changed in one thing."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.storm.checker import Expected, Findings, check, in_the_log
from tests.storm.lives import BY_NAME
from tests.storm.owner import Owner
from tests.storm.rig import DEPLOYMENT, Rig
from tests.support.waiting import wait_until
from xenlaunch.ledger import launch_id

ENDS = Expected(frozenset({"succeeded"}))
LAUNCH = launch_id(DEPLOYMENT, "checked")

Pool = dict[str, dict[str, dict[str, Any]]]


class Seen:
    """A rig on which one launch with everything has succeeded."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        owner = Owner(rig.pool)
        existing = owner.make_disk("somebody's disk", "sr-2")
        owner.close()
        self.before = rig.pool.state()
        rig.client.submit(BY_NAME["rich"].request("checked", existing), token="checked")
        wait_until(lambda: not rig.untold([LAUNCH]), 60, "the launch has ended")
        self.after = rig.pool.state()

    def check(self, change: Callable[[Pool], object], expected: Expected = ENDS) -> Findings:
        after = copy.deepcopy(self.after)
        change(after)
        rig = self.rig
        return check(self.before, after, rig.ledger, rig.redis.url, {LAUNCH: expected})


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with Rig(tmp_path_factory.mktemp("checked"), time_scale=0, workers=1) as rig:
        rig.begin()
        yield Seen(rig)


def the_vm(pool: Pool) -> dict[str, Any]:
    return next(row for row in pool["VM"].values() if row["name_label"] == "checked")


def drive(pool: Pool, index: int) -> dict[str, Any]:
    mark = f"{DEPLOYMENT}/{LAUNCH}/vbd:{index}"
    return next(row for row in pool["VBD"].values() if row["other_config"].get("xenlaunch") == mark)


def add(pool: Pool, cls: str, like: dict[str, Any], **fields: Any) -> None:
    """Another object like this one."""
    number = len(pool[cls])
    pool[cls][f"OpaqueRef:{number}"] = {**copy.deepcopy(like), "uuid": f"uuid-{number}", **fields}


def test_what_is_right_is_right(seen: Seen) -> None:
    assert seen.check(lambda _: None).all() == []


WRONG: dict[str, Callable[[Pool], object]] = {
    "another name": lambda pool: the_vm(pool).update(name_label="other"),
    "not running": lambda pool: the_vm(pool).update(power_state="Halted"),
    "less memory": lambda pool: the_vm(pool).update(memory_dynamic_min=1),
    "fewer CPUs": lambda pool: the_vm(pool).update(VCPUs_max=1),
    "no mark": lambda pool: the_vm(pool)["other_config"].pop("xenlaunch"),
    "not marked as finished": lambda pool: the_vm(pool)["other_config"].pop("xenlaunch-finished"),
    "no affinity": lambda pool: the_vm(pool).update(affinity="OpaqueRef:NULL"),
    "a drive too few": lambda pool: the_vm(pool)["VBDs"].pop(),
    "an interface too few": lambda pool: the_vm(pool)["VIFs"].pop(),
    "another size of disk": lambda pool: pool["VDI"][drive(pool, 0)["VDI"]].update(virtual_size=1),
    "another disk": lambda pool: drive(pool, 1).update(VDI=drive(pool, 0)["VDI"]),
    "a full drive": lambda pool: drive(pool, 3).update(empty=False),
    "another device": lambda pool: drive(pool, 3).update(userdevice="9"),
    "another MAC": lambda pool: pool["VIF"][the_vm(pool)["VIFs"][0]].update(
        MAC="02:00:00:00:00:01"
    ),
    "another MTU": lambda pool: pool["VIF"][the_vm(pool)["VIFs"][1]].update(MTU=1500),
    "a host that differs": lambda pool: the_vm(pool).update(resident_on="OpaqueRef:NULL"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_vm_that_is_not_as_asked_is_found(seen: Seen, change: Callable[[Pool], object]) -> None:
    assert seen.check(change).all() != []


def test_a_second_vm_is_a_duplicate(seen: Seen) -> None:
    found = seen.check(lambda pool: add(pool, "VM", the_vm(pool), VBDs=[], VIFs=[], consoles=[]))

    assert len(found.duplicates) == 1


@pytest.mark.parametrize("cls", ["VM", "VBD", "VIF", "VDI"])
def test_an_object_that_is_nobodys_is_a_leak(seen: Seen, cls: str) -> None:
    def change(pool: Pool) -> None:
        like = next(iter(pool[cls].values()))
        add(pool, cls, {**like, "other_config": {}, "VBDs": [], "VIFs": []})

    assert len(seen.check(change).leaks) == 1


@pytest.mark.parametrize("cls", ["VM", "VDI", "host", "network", "SR"])
def test_what_was_there_before_and_is_touched_is_found(seen: Seen, cls: str) -> None:
    ref = next(iter(seen.before[cls]))

    assert seen.check(lambda pool: pool[cls][ref].update(name_label="touched")).wrong != ()
    assert seen.check(lambda pool: pool[cls].pop(ref)).all() != []


def test_a_launch_that_ended_otherwise_is_found(seen: Seen) -> None:
    assert seen.check(lambda _: None, Expected(frozenset({"failed"}))).wrong != ()


@pytest.mark.parametrize("key", ["inflight:lab", "parked:lab", "macs:lab", "nobody"])
def test_a_key_that_stays_is_a_leak(seen: Seen, key: str) -> None:
    redis = seen.rig.ledger.store.redis
    redis.hset(f"xenlaunch:{key}", "left", "1")
    found = seen.check(lambda _: None)
    redis.delete(f"xenlaunch:{key}")

    assert found.leaks != ()


def test_a_result_that_is_not_told_is_lost(seen: Seen) -> None:
    redis, key = seen.rig.ledger.store.redis, f"xenlaunch:celery-task-meta-{LAUNCH}.poll"
    kept = redis.dump(key)
    redis.delete(key)
    found = seen.check(lambda _: None)
    redis.restore(key, 600_000, kept)

    assert found.lost != ()


def call(method: str, session: str, started: float, ended: float) -> dict[str, Any]:
    return {
        "method": method,
        "object": "vm",
        "outcome": "ok",
        "session_uuid": session,
        "started": started,
        "ended": ended,
    }


def test_a_second_start_is_seen_in_the_log() -> None:
    calls = [call("Async.VM.start_on", "a", 1, 2), call("VM.start", "a", 3, 4)]

    assert in_the_log(calls[:1]).all() == []
    assert len(in_the_log(calls).duplicates) == 1


def test_two_sessions_at_one_time_are_seen_in_the_log() -> None:
    first, then = call("VM.set_memory", "a", 1, 3), call("VM.set_name_label", "b", 3, 4)

    assert in_the_log([first, then]).all() == []
    assert len(in_the_log([first, {**then, "started": 2}]).wrong) == 1
