"""The checker, of a launch with other disks than its source's, and when that was destroyed."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.storm.batches import make_source
from tests.storm.checker import Expected, Findings, check
from tests.storm.lives import BY_NAME
from tests.storm.owner import Owner
from tests.storm.rig import DEPLOYMENT, Rig
from tests.support.waiting import wait_until
from xenlaunch.ledger import launch_id

LAUNCH = launch_id(DEPLOYMENT, "told")
TOLD = BY_NAME["is copied and told"].request("told", "")

Pool = dict[str, dict[str, dict[str, Any]]]


class Seen:
    """A rig on which such a launch has succeeded, and is destroyed when ``destroy`` is called."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        owner = Owner(rig.pool)
        make_source(rig, owner)
        owner.close()
        self.before = rig.pool.state()
        rig.client.submit(TOLD, token="told")
        self._see("the launch has ended")
        self.after = rig.pool.state()

    def destroy(self) -> None:
        self.rig.client.destroy(LAUNCH)
        self._see("the launch was destroyed")

    def _see(self, what: str) -> None:
        wait_until(lambda: not self.rig.untold([LAUNCH]), 60, what)

    def check(self, after: Pool, end: str = "succeeded") -> Findings:
        rig, expected = self.rig, Expected(frozenset({end}), request=TOLD)
        return check(self.before, after, rig.ledger, rig.redis.url, {LAUNCH: expected})


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with Rig(tmp_path_factory.mktemp("told"), time_scale=0, workers=1) as rig:
        rig.begin()
        yield Seen(rig)


def the_vm(pool: Pool) -> dict[str, Any]:
    return next(row for row in pool["VM"].values() if row["name_label"] == "told")


def disk(pool: Pool, device: str) -> dict[str, Any]:
    drives = (pool["VBD"][vbd] for vbd in the_vm(pool)["VBDs"])
    return pool["VDI"][next(row["VDI"] for row in drives if row["userdevice"] == device)]


def with_a_drive_more(pool: Pool) -> None:
    vm = the_vm(pool)
    pool["VBD"]["another"] = {**pool["VBD"][vm["VBDs"][0]], "userdevice": "1", "uuid": "another"}
    vm["VBDs"].append("another")


WRONG: dict[str, Callable[[Pool], object]] = {
    "a moved disk of its old size": lambda pool: disk(pool, "0").update(virtual_size=8 << 30),
    "a moved disk that was not": lambda pool: disk(pool, "0").update(SR=disk(pool, "2")["SR"]),
    "a disk that did not grow": lambda pool: disk(pool, "2").update(virtual_size=1 << 30),
    "a disk without its new name": lambda pool: disk(pool, "2").update(name_label="old"),
    "a disk that tells something else": lambda pool: disk(pool, "0").update(name_description=""),
    "a drive that was left out, or to go": with_a_drive_more,
    "no GPU": lambda pool: the_vm(pool).update(VGPUs=[]),
    "no word in xenstore": lambda pool: the_vm(pool).update(xenstore_data={}),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_what_is_not_as_asked_is_found(seen: Seen, change: Callable[[Pool], object]) -> None:
    after = copy.deepcopy(seen.after)
    assert seen.check(after).all() == []
    change(after)

    assert seen.check(after).all() != []


def test_what_the_ledger_still_knows_of_the_guest_is_a_leak(seen: Seen) -> None:
    redis, key = seen.rig.ledger.store.redis, seen.rig.ledger.store.key("launch", LAUNCH)
    redis.hset(key, "setup", "{}")
    found = seen.check(seen.after)
    redis.hdel(key, "setup")

    assert len(found.leaks) == 1


def test_what_is_left_of_a_launch_that_was_destroyed_is_a_leak(seen: Seen) -> None:
    """Last, for there is nothing after it."""
    seen.destroy()
    found = seen.check(seen.after, "destroyed")

    assert seen.check(seen.rig.pool.state(), "destroyed").all() == []
    assert {leak.split()[0] for leak in found.leaks} >= {"VM", "VBD", "VDI", "VIF", "VGPU"}
    assert seen.check(seen.rig.pool.state()).wrong != ()
