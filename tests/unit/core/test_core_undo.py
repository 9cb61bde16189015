"""Undoing: what the launch made goes, in the right order, and nothing else is touched."""

from collections import Counter
from typing import Any

import pytest

from tasks import undo as undoing
from tasks.undo import undo
from tests.unit.core.lives import ERROR, FAILURE, Lives, call, made_vm
from tests.unit.core.scripted_session import pool_of
from tests.unit.core.undone import (
    EXISTING,
    NEW,
    ROOT,
    VM,
    World,
    carry_out,
    fill,
    undo_of,
    vdi_row,
    vm_row,
)
from xenlaunch import names, states
from xenlaunch.deed import Deed
from xenlaunch.errors import Busy, OutcomeUnknown, Parked, Place
from xenlaunch.lease import Made
from xenlaunch.model import LaunchError


@pytest.fixture
def world() -> World:
    return World()


def test_all_that_was_made_goes_and_the_rest_stays(lives: Lives, world: World) -> None:
    lease = undo_of(lives, world)
    left = carry_out(world, lease)

    assert left == ()
    assert world.rows["VM"] == {}
    assert list(world.rows["VDI"]) == [EXISTING]
    assert lease.undone(left)


def test_the_vm_is_stopped_first_and_its_row_goes_after_its_disks(
    lives: Lives, world: World
) -> None:
    carry_out(world, undo_of(lives, world))
    sent = [call[1:3] for call in world.calls if call[0] == "send"]

    assert sent[:3] == [
        ("Async.VM.hard_shutdown", VM),
        ("Async.VDI.destroy", ROOT),
        ("VM.destroy", VM),
    ]
    assert sent[3:] == [("Async.VDI.destroy", NEW)]


def test_a_halted_vm_is_not_stopped(lives: Lives, world: World) -> None:
    lease = undo_of(lives, world)
    world.rows["VM"][VM]["power_state"] = "Halted"
    carry_out(world, lease)

    assert "Async.VM.hard_shutdown" not in world.sent()


def test_it_goes_on_past_what_cannot_be_removed_and_names_it(lives: Lives, world: World) -> None:
    """The VM's row stays with its disk: that bears no mark, so nothing else would tell of it."""
    lease = undo_of(lives, world)
    world.refuses[ROOT] = ["VDI_MISSING", "sr", ROOT]
    left = carry_out(world, lease)

    assert list(world.rows["VM"]) == [VM]
    assert list(world.rows["VDI"]) == [ROOT, EXISTING]
    assert {(one.cls, one.uuid) for one in left} == {("VM", "u-vm"), ("VDI", "u-vdi-root")}
    assert all(one.advice.startswith(f"Remove this {one.cls} by hand: ") for one in left)


def test_a_vm_that_stopped_by_itself_is_no_failure(lives: Lives, world: World) -> None:
    lease = undo_of(lives, world)
    world.refuses[VM] = ["VM_BAD_POWER_STATE", VM, "running", "halted"]
    with pytest.raises(Parked):
        undo(lease.launch, pool_of(world, lease))
    world.rows["VM"][VM]["power_state"] = "Halted"
    del world.refuses[VM]

    assert carry_out(world, lease) == ()
    assert world.rows["VM"] == {}


def test_a_vm_that_runs_again_is_stopped_again(lives: Lives, world: World) -> None:
    """A start that nobody waits for any more may come to its end after the stop."""
    lease = undo_of(lives, world)
    with pytest.raises(Parked):
        undo(lease.launch, pool_of(world, lease))
    with pytest.raises(Parked):
        undo(lease.launch, pool_of(world, lease))
    world.rows["VM"][VM]["power_state"] = "Running"

    assert carry_out(world, lease) == ()
    assert world.sent().count("Async.VM.hard_shutdown") == 2
    assert world.rows["VM"] == {}


def test_a_vm_that_does_not_stop_keeps_its_disks(lives: Lives, world: World) -> None:
    lease = undo_of(lives, world)
    world.refuses[VM] = ["VM_BAD_POWER_STATE", VM, "halted", "running"]
    left = carry_out(world, lease)

    assert ROOT in world.rows["VDI"]
    assert NEW not in world.rows["VDI"]
    assert [one.cls for one in left] == ["VM"]


def test_what_is_gone_already_is_no_failure(lives: Lives, world: World) -> None:
    lease = undo_of(lives, world)
    for ref in (ROOT, NEW):
        del world.rows["VDI"][ref]
        world.refuses[ref] = ["HANDLE_INVALID", "VDI", ref]

    assert carry_out(world, lease) == ()
    assert world.rows["VM"] == {}


def test_a_disk_of_which_nobody_heard_goes_too(lives: Lives, world: World) -> None:
    """The pool made it and forgot the task that would have said so."""
    lease = lives.leased(names.VBDS, disks=[{"new": "1GiB"}])
    lease.advance(lease.launch.but(sources=("OpaqueRef:sr",)), names.VIFS)
    lease = lives.lease(lease.launch.id, names.VIFS)
    lease.intend("vdi:0", call("Async.VDI.create"))
    lease.sent("vdi:0", "OpaqueRef:vanished")
    mark = {names.OTHER_CONFIG_MARK: f"tests/{lease.launch.id}/vdi:0"}
    world.rows = {
        "VM": {},
        "VBD": {},
        "VDI": {
            NEW: vdi_row(NEW, SR="OpaqueRef:sr", other_config=mark),
            EXISTING: vdi_row(EXISTING, SR="OpaqueRef:sr"),
        },
    }
    lease.turn_to_undo(states.FAILED, FAILURE)
    left = carry_out(world, lives.lease(lease.launch.id, names.UNDO))

    assert left == ()
    assert list(world.rows["VDI"]) == [EXISTING]


def test_a_vm_that_is_gone_already_is_no_failure(lives: Lives, world: World) -> None:
    lease = undo_of(lives, world)
    world.rows |= {"VM": {}, "VBD": {}}

    assert carry_out(world, lease) == ()
    assert list(world.rows["VDI"]) == [ROOT, EXISTING]


@pytest.mark.parametrize(
    "fields",
    [
        {"other_config": {names.OTHER_CONFIG_MARK: "tests/l-1/u-original"}},
        {"other_config": {names.OTHER_CONFIG_MARK: "other/l-1/u-vm"}},
        {"is_a_snapshot": True},
    ],
    ids=["a copy", "another deployment's", "a snapshot"],
)
def test_a_vm_that_only_looks_like_ours_is_not_touched(
    lives: Lives, world: World, fields: dict[str, Any]
) -> None:
    lease = undo_of(lives, world)
    world.rows["VM"][VM] |= fields
    left = carry_out(world, lease)

    assert left == ()
    assert list(world.rows["VM"]) == [VM]
    assert world.rows["VM"][VM]["power_state"] == "Running"
    assert ROOT in world.rows["VDI"]


def test_a_vm_that_nobody_wrote_down_is_found_by_its_working_name(
    lives: Lives, world: World
) -> None:
    lease = lives.leased(names.CLONE)
    lease.intend("clone", call("Async.VM.clone"))
    name = names.working_name("tests", lease.launch.id, 1)
    world.rows = {"VM": {VM: vm_row(None, name_label=name, power_state="Halted")}, "VBD": {}}
    lease.turn_to_undo(states.FAILED, FAILURE)
    lease = lives.lease(lease.launch.id, names.UNDO)
    carry_out(world, lease)

    assert world.rows["VM"] == {}
    assert ("end", "login-1") in world.calls


def test_what_is_to_be_kept_is_kept_and_named(lives: Lives, world: World) -> None:
    lease = undo_of(lives, world, on_failure="keep")
    mark = {names.OTHER_CONFIG_MARK: f"tests/{lease.launch.id}/vdi:0"}
    world.rows["VDI"][NEW]["other_config"] = mark
    left = [carry_out(world, lease) for _ in range(2)]

    assert left[0] == left[1]
    assert [(one.cls, one.uuid) for one in left[0]] == [("VM", "u-vm")]
    assert world.sent() == ["VDI.add_to_other_config", "VM.add_to_other_config"]
    assert world.rows["VDI"][NEW]["other_config"][names.OTHER_CONFIG_KEPT] == lease.launch.id
    deed = Deed.read(world.rows["VM"][VM]["other_config"][names.OTHER_CONFIG_KEPT], lease.launch.id)
    assert deed is not None
    assert deed.error == LaunchError.model_validate(FAILURE)


def test_a_cancelled_launch_keeps_nothing(lives: Lives, world: World) -> None:
    lease = lives.leased(names.VBDS, on_failure="keep")
    made_vm(lease, VM)
    fill(world, lease)
    lives.ledger.cancel(lease.launch.id, ERROR)
    lease.turn_to_undo(states.CANCELLED, ERROR)
    carry_out(world, lives.lease(lease.launch.id, names.UNDO))

    assert world.rows["VM"] == {}


def test_a_launch_that_has_changed_nothing_asks_nothing_of_the_pool(
    lives: Lives, world: World
) -> None:
    lease = lives.leased()
    lease.turn_to_undo(states.FAILED, FAILURE)
    left = undo(lease.launch, pool_of(world, lives.lease(lease.launch.id, names.UNDO)))

    assert (left, world.calls) == ((), [])


def test_a_pool_that_is_busy_is_tried_again_for_a_while(lives: Lives, world: World) -> None:
    lease = undo_of(lives, world)
    world.refuses[ROOT] = ["VDI_IN_USE", ROOT, "destroy"]

    with pytest.raises(Busy):
        carry_out(world, lease)
    assert NEW not in world.rows["VDI"]
    often = {"retried_for": "VDI_IN_USE", "in_a_row": str(undoing.PATIENCE)}
    lease.record.fields = {**lease.record.fields, **often}
    left = carry_out(world, lease)
    assert {one.cls for one in left} == {"VM", "VDI"}


@pytest.mark.parametrize("count", [1, 2, 7])
def test_each_disk_that_will_not_go_is_tried_once_a_round(
    lives: Lives, world: World, count: int
) -> None:
    lease = undo_of(lives, world)
    disks = [f"OpaqueRef:vdi-{number}" for number in range(count)]
    for vdi in disks:
        lease.came_to_know(Made("VDI", vdi))
        world.rows["VDI"][vdi] = vdi_row(vdi)
        world.refuses[vdi] = ["SR_BACKEND_FAILURE_46", "", "not now", ""]

    for tries in (1, 2):
        with pytest.raises(Busy, match="not now"):
            carry_out(world, lease)
        sent = Counter(call[2] for call in world.calls if call[1] == "Async.VDI.destroy")
        assert {vdi: sent[vdi] for vdi in disks} == dict.fromkeys(disks, tries)

    world.refuses[disks[0]] = ["SR_BACKEND_FAILURE_80", "", "never", ""]
    for vdi in disks[1:]:
        del world.refuses[vdi]
    assert [one.uuid for one in carry_out(world, lease)] == ["u-vdi-0"]
    assert [vdi for vdi in disks if vdi in world.rows["VDI"]] == disks[:1]


@pytest.mark.parametrize(
    "refused",
    [
        ["CANNOT_CONTACT_HOST", "OpaqueRef:h1"],
        ["HOST_OFFLINE", "OpaqueRef:h1"],
        ["SR_BACKEND_FAILURE_46", "", "not now", ""],
    ],
)
def test_what_may_pass_by_itself_is_tried_again(
    lives: Lives, world: World, refused: list[str]
) -> None:
    lease = undo_of(lives, world)
    world.refuses[ROOT] = refused
    with pytest.raises((Busy, OutcomeUnknown, Place)):
        carry_out(world, lease)
    del world.refuses[ROOT]

    assert carry_out(world, lease) == ()
    assert list(world.rows["VDI"]) == [EXISTING]


def test_what_the_pool_calls_gone_but_still_has_is_named(lives: Lives, world: World) -> None:
    lease = undo_of(lives, world)
    world.refuses[NEW] = ["HANDLE_INVALID", "VDI", NEW]

    assert [(one.cls, one.uuid) for one in carry_out(world, lease)] == [("VDI", "u-vdi-new")]


# What is somebody else's


def test_a_disk_that_was_there_before_stays_even_where_it_bears_owner(
    lives: Lives, world: World
) -> None:
    lease = lives.leased(names.CONNECT, disks=[{"vdi": "7a0e62d6-0d4b-4fb7-9b3c-2f0e8e6f6a11"}])
    lease.advance(lease.launch.but(sources=(EXISTING,)), names.CLONE)
    lease = lives.lease(lease.launch.id, names.CLONE)
    made_vm(lease, VM)
    fill(world, lease)
    world.rows["VBD"]["3"]["other_config"] = {"owner": ""}
    lease.turn_to_undo(states.FAILED, FAILURE)
    left = carry_out(world, lives.lease(lease.launch.id, names.UNDO))

    assert left == ()
    assert list(world.rows["VDI"]) == [NEW, EXISTING]  # the new one is in no fact here


def test_a_disk_that_somebody_has_put_in_the_place_of_ours_stays(
    lives: Lives, world: World
) -> None:
    """With `owner` on its VBD, as other clients write it; ours goes all the same."""
    lease = lives.leased(names.VBDS)
    made_vm(lease, VM)
    lease.came_to_know(Made("VDI", ROOT))
    fill(world, lease)
    lease.advance(lease.launch.but(vm=VM), names.VIFS)
    lease = lives.lease(lease.launch.id, names.VIFS)
    world.rows["VBD"]["1"]["VDI"] = EXISTING
    del world.rows["VBD"]["3"]
    lease.turn_to_undo(states.FAILED, FAILURE)
    left = carry_out(world, lives.lease(lease.launch.id, names.UNDO))

    assert left == ()
    assert list(world.rows["VDI"]) == [NEW, EXISTING]


def test_a_disk_that_somebody_has_attached_to_a_vm_of_theirs_is_left_and_named(
    lives: Lives, world: World
) -> None:
    lease = undo_of(lives, world)
    world.rows["VBD"]["5"] = {"VM": "theirs", "type": "Disk", "VDI": NEW, "other_config": {}}
    world.rows["VDI"][NEW]["VBDs"] = ["2", "5"]
    left = carry_out(world, lease)

    assert [(one.cls, one.uuid) for one in left] == [("VDI", "u-vdi-new")]
    assert "not of this launch" in left[0].advice
    assert list(world.rows["VDI"]) == [NEW, EXISTING]


def test_an_undo_that_is_taken_over_goes_on_where_it_was(lives: Lives, world: World) -> None:
    lease = undo_of(lives, world)
    with pytest.raises(Parked):
        undo(lease.launch, pool_of(world, lease))
    lives.redis.hset(lives.key("launch", lease.launch.id), "lease_until", 0)
    carry_out(world, lives.lease(lease.launch.id, names.UNDO))

    assert world.sent().count("Async.VM.hard_shutdown") == 1
    assert world.rows["VM"] == {}
