"""What belongs to others, or has come into other hands, is not a launch's to undo."""

from typing import Any

from tests.flow.conftest import MakeStack
from tests.support.by_hand import ByHand
from tests.support.stacks import SMALL, Stack
from tests.support.troubles import aimed
from xenlaunch import names

TOLD = ("LICENCE_RESTRICTION", "this")
NEVER = {"network.destroy", "VLAN.destroy", "PIF.unplug", "VM.power_state_reset"}


def refused_at_the_end(launch: str) -> list[dict[str, Any]]:
    return [aimed(launch, "name", "VM.set_name_label", "answer", TOLD)]


def slow_stack(make_stack: MakeStack) -> Stack:
    """One in which a launch stays in its start long enough for somebody to lay hands on its VM."""
    stack = make_stack()
    stack.pool.control("PUT", "/latency", {"VM.start": 3})
    stack.start_worker()
    return stack


def test_a_failing_launch_leaves_the_fresh_network_to_the_one_beside_it(stack: Stack) -> None:
    """Nobody has used it before: it was attached to the host for these two launches."""
    ByHand(stack.pool).call("network.create", {"name_label": "fresh", "other_config": {}})
    fields: dict[str, Any] = {"nics": [{"network": "fresh"}], "host": "host-1"}
    failing = stack.submit_with(refused_at_the_end, **fields)
    beside = stack.submit(**fields, **SMALL)[0]
    ended = stack.ended([failing, beside])

    assert [status.state for status in ended] == ["failed", "succeeded"]
    (vif,) = [row for row in stack.rows("VIF").values() if row["MAC"] == ended[1].macs[0]]
    assert vif["currently_attached"]
    assert stack.rows("network")[vif["network"]]["name_label"] == "fresh"
    called = {call["method"].removeprefix("Async.") for call in stack.changing_calls()}
    assert "network.attach" in called
    assert not called & NEVER


def test_a_vm_that_somebody_renamed_is_undone_all_the_same(make_stack: MakeStack) -> None:
    stack = slow_stack(make_stack)
    before = stack.lasting()
    launch = stack.submit_with(refused_at_the_end)
    stack.until(launch, "start", "the VM to start")
    (working,) = stack.vms()
    operator = ByHand(stack.pool)
    operator.call("VM.set_name_label", operator.named("VM", working), "mine now")
    ended = stack.ended([launch])

    assert (ended[0].state, ended[0].leftovers) == ("failed", ())
    assert stack.lasting() == before


def test_disks_of_others_survive_whatever_is_written_on_their_vbds(make_stack: MakeStack) -> None:
    """One that the launch attached, and one that somebody has given the VM meanwhile."""
    stack = slow_stack(make_stack)
    operator = ByHand(stack.pool)
    lent, given = new_disk(operator, "lent"), new_disk(operator, "given")
    before = stack.lasting()
    uuid = operator.call("VDI.get_uuid", lent)
    launch = stack.submit_with(refused_at_the_end, disks=[{"vdi": uuid}])
    stack.until(launch, "start", "the VM to start")
    (working,) = stack.vms()
    (vbd,) = operator.call("VDI.get_VBDs", lent)
    operator.call("VBD.remove_from_other_config", vbd, names.OTHER_CONFIG_MARK)
    operator.call("VBD.add_to_other_config", vbd, "owner", "")
    attach(operator, operator.named("VM", working), given)
    ended = stack.ended([launch])

    assert (ended[0].state, ended[0].leftovers) == ("failed", ())
    assert stack.lasting() == before


def test_a_disk_of_ours_that_is_on_a_vm_of_theirs_is_left_and_named(
    make_stack: MakeStack,
) -> None:
    stack = slow_stack(make_stack)
    operator = ByHand(stack.pool)
    theirs = operator.call("VM.clone", operator.named("VM", "Other install media"), "theirs")
    launch = stack.submit_with(refused_at_the_end, disks=[{"new": "1GiB"}], name="ours")
    stack.until(launch, "start", "the VM to start")
    ours = operator.named("VDI", "ours data 0")
    attach(operator, theirs, ours)
    ended = stack.ended([launch])

    left = operator.call("VDI.get_uuid", ours)
    assert ended[0].state == "failed"
    assert [(one.cls, one.uuid) for one in ended[0].leftovers] == [("VDI", left)]
    assert "not of this launch" in ended[0].leftovers[0].advice
    assert stack.vms() == {}


def new_disk(operator: ByHand, name: str) -> str:
    sr = operator.named("SR", "sr-1")
    kind = {"type": "user", "sharable": False, "read_only": False, "other_config": {}}
    return str(
        operator.call("VDI.create", {"name_label": name, "SR": sr, "virtual_size": 1 << 30, **kind})
    )


def attach(operator: ByHand, vm: str, vdi: str) -> None:
    """As other clients do, who write ``owner`` on what they attach."""
    how = {"type": "Disk", "mode": "RW", "bootable": False, "unpluggable": True, "empty": False}
    qos = {"qos_algorithm_type": "", "qos_algorithm_params": {}}
    where = {"VM": vm, "VDI": vdi, "userdevice": "autodetect", "other_config": {"owner": ""}}
    operator.call("VBD.create", {**where, **how, **qos})


def test_a_vm_that_lost_a_disk_on_the_way_is_not_what_was_asked_for(make_stack: MakeStack) -> None:
    stack = make_stack("--latency", "guest.address=600")
    stack.start_worker()
    before = stack.lasting()
    disks = [{"new": "1GiB"}, {"new": "2GiB"}]
    launch = stack.submit(wait_for="address", wait_seconds=8, disks=disks)[0]
    stack.until(launch, "poll", "its address")
    operator = ByHand(stack.pool)
    (vbd,) = operator.call("VDI.get_VBDs", operator.named("VDI", "web-1 data 1"))
    operator.call("VBD.unplug", vbd)
    operator.call("VBD.destroy", vbd)
    status = stack.ended([launch])[0]

    assert status.error is not None
    assert (status.state, status.error.code, status.error.params) == (
        *("failed", "VBDS_CHANGED"),
        ("1",),
    )
    assert stack.lasting() == before
