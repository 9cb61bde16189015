"""Hunting disks without a mark: what is ours goes, what may be another's is named."""

from typing import Any

import pytest

from tasks.hunt import PATIENCE, hunt, loose_before, named
from tests.unit.core.lives import Lives, call
from tests.unit.core.scripted_session import ScriptedSession, pool_of
from xenlaunch import names
from xenlaunch.errors import Busy, Parked
from xenlaunch.lease import Lease
from xenlaunch.model import Launch, Template, TemplateDisk

LIKE = TemplateDisk(sr="OpaqueRef:sr", name="debian root", size=8 << 30)
NOW = 1000.0


class Disks(ScriptedSession):
    """A pool whose disks are destroyed by a task that has ended before anybody asks."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = {"VDI": {}, "task": {}}
        self.answers["VDI.get_all_records_where"] = lambda: dict(self.rows["VDI"])
        self.answers["Async.VDI.destroy"] = self._destroy

    def add(self, name: str, **fields: Any) -> str:
        row = {"uuid": f"u-{name}", "name_label": LIKE.name, "virtual_size": LIKE.size}
        row |= {"SR": LIKE.sr, "VBDs": [], "is_a_snapshot": False, "other_config": {}}
        self.rows["VDI"][f"OpaqueRef:{name}"] = {**row, **fields}
        return f"OpaqueRef:{name}"

    def _destroy(self) -> str:
        ref = self.calls[-1][2]
        del self.rows["VDI"][ref]
        self.add_task(f"OpaqueRef:task-{ref}", self.marks[-1], "success")
        return f"OpaqueRef:task-{ref}"


@pytest.fixture
def disks() -> Disks:
    return Disks()


@pytest.fixture
def lease(lives: Lives) -> Lease:
    """A launch whose first clone nobody heard of again."""
    lease = lives.leased(names.CLONE)
    lease.intend("clone", call())
    return lease


def launch_of(lease: Lease, *loose: str) -> Launch:
    template = Template(ref="OpaqueRef:t", uuid="u-t", name="debian-12", disks=(LIKE,))
    return lease.launch.but(template=template, loose=loose)


def hunted(disks: Disks, lease: Lease, *loose: str, now: float = NOW) -> None:
    """Hunt, with what it parks for over at once."""
    for _ in range(5):
        try:
            return hunt(launch_of(lease, *loose), pool_of(disks, lease, now))
        except Parked:
            continue
    raise AssertionError("the hunt parks for ever")


def test_a_disk_that_came_with_the_lost_clone_goes(disks: Disks, lease: Lease) -> None:
    disks.add("lost")
    hunted(disks, lease)

    assert disks.rows["VDI"] == {}
    assert named(pool_of(disks, lease)) == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"VBDs": ["OpaqueRef:vbd"]},
        {"is_a_snapshot": True},
        {"name_label": "another"},
        {"virtual_size": 9 << 30},
        {"other_config": {names.OTHER_CONFIG_MARK: "tests/l-x/vdi:0"}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_disk_that_differs_stays(disks: Disks, lease: Lease, fields: dict[str, Any]) -> None:
    disks.add("other", **fields)
    hunted(disks, lease)

    assert disks.sent() == []


def test_a_disk_that_was_there_before_stays(disks: Disks, lease: Lease) -> None:
    before = disks.add("before")
    launch = lease.launch.but(
        template=Template(ref="OpaqueRef:t", uuid="u-t", name="debian-12", disks=(LIKE,))
    )
    seen = loose_before(launch, pool_of(disks, lease))
    hunted(disks, lease, *seen)

    assert seen == (before,)
    assert disks.sent() == []


def test_a_copy_that_still_runs_is_waited_for(disks: Disks, lease: Lease) -> None:
    """Its disk has no VM yet, and will have one in a moment."""
    disks.add("on its way")
    disks.add_task("OpaqueRef:clone", "", name_label="Async.VM.clone")

    with pytest.raises(Busy):
        hunted(disks, lease)
    disks.rows["VDI"]["OpaqueRef:on its way"]["VBDs"] = ["OpaqueRef:vbd"]
    disks.rows["task"]["OpaqueRef:clone"]["status"] = "success"
    hunted(disks, lease)
    assert disks.sent() == []


def test_a_disk_that_comes_after_the_first_look_is_nobody_elses_business(
    disks: Disks, lease: Lease
) -> None:
    disks.add("lost")
    disks.add_task("OpaqueRef:clone", "", name_label="Async.VM.clone")
    with pytest.raises(Busy):
        hunted(disks, lease)
    later = disks.add("later")
    disks.rows["task"].clear()
    hunted(disks, lease)

    assert list(disks.rows["VDI"]) == [later]


def test_more_disks_than_can_be_ours_are_named_in_the_end(disks: Disks, lease: Lease) -> None:
    disks.add("one")
    disks.add("two")

    with pytest.raises(Busy):
        hunted(disks, lease)
    hunted(disks, lease, now=NOW + PATIENCE)
    assert disks.sent() == []
    assert [left.uuid for left in named(pool_of(disks, lease))] == ["u-one", "u-two"]


def test_those_who_lost_a_clone_at_once_are_counted_together(
    lives: Lives, disks: Disks, lease: Lease
) -> None:
    disks.add("one")
    disks.add("two")
    other = lives.leased(names.CLONE)
    other.intend("clone", call())
    with pytest.raises(Busy):
        hunted(disks, lease)
    hunted(disks, other)
    hunted(disks, lease)

    assert disks.rows["VDI"] == {}
    assert named(pool_of(disks, lease)) == named(pool_of(disks, other)) == ()


def test_nobody_hunts_when_the_launch_has_ended(lives: Lives, disks: Disks, lease: Lease) -> None:
    disks.add("one")
    disks.add("two")
    with pytest.raises(Busy):
        hunted(disks, lease)
    key = lives.key("hunting", "lab")
    hunting = lives.redis.hkeys(key)
    hunted(disks, lease, now=NOW + PATIENCE)

    assert hunting == [lease.launch.id]
    assert not lives.redis.exists(key)
