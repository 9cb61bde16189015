"""A launch that hosts have refused, and whose clone no other host can have, is cloned anew."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scheduler.dispatch import dispatch
from scheduler.inventory import Inventory
from scheduler.placement import Need
from tasks.undo import own_disks
from tests.unit.core.lives import ERROR, FAILURE, POOL, Lives, call, made_vm
from tests.unit.core.test_core_adopting import deed_of, found
from tests.unit.core.test_core_dispatch import GIB, Shelf, make_room
from xenlaunch import names, states
from xenlaunch.adopting import adopt
from xenlaunch.lease import DONE, Lease
from xenlaunch.model import LaunchRequest

MAC = "02:00:00:00:00:01"
REFUSED = "host-1: it is full"


def refused(lives: Lives, launch: str) -> None:
    """Have a launch clone its VM, and its host refuse that."""
    connected = lives.lease(launch)
    connected.advance(connected.launch, names.CLONE)
    lease = lives.lease(launch, names.CLONE)
    made_vm(lease)
    lease.advance(lease.launch.but(vm="OpaqueRef:vm"), names.START)
    lives.lease(launch, names.START).another_host(names.NETWORK, "u-host-1", REFUSED)


def undone_to_begin_anew(lives: Lives, **fields: object) -> Lease:
    launch = lives.running(**fields)
    refused(lives, launch)
    assert lives.ledger.refuse(launch, states.WAITING, FAILURE) == "undo"
    return lives.lease(launch, names.UNDO)


def test_it_begins_anew_in_its_pool_and_keeps_what_it_claims(lives: Lives) -> None:
    lease = undone_to_begin_anew(lives, nics=[{"network": "guest", "mac": MAC}])
    launch = lease.launch.id
    assert lease.again(names.CONNECT, ["clone"])
    record = lives.ledger.record(launch)

    assert (record.state, record.step, record.pool, record.learnt) == (
        "waiting",
        "connect",
        POOL,
        {},
    )
    assert record.avoid == {"u-host-1": REFUSED}
    assert lives.ledger.status(launch).error is None
    assert lives.ledger.waiting(POOL) == [launch]
    assert lives.redis.hget(lives.key("macs", POOL), MAC) == launch
    assert lives.admit(launch) == names.CONNECT
    assert lives.lease(launch).launch.vm == ""


def test_nothing_of_it_stays_claimed_after_its_end(lives: Lives) -> None:
    lease = undone_to_begin_anew(lives, nics=[{"network": "guest", "mac": MAC}])
    launch = lease.launch.id
    lease.again(names.CONNECT, ["clone"])
    lives.ledger.cancel(launch, ERROR)
    assert lives.lease(launch, names.UNDO).undone(())

    assert not lives.redis.exists(lives.key("macs", POOL), lives.key("inflight", POOL))
    assert not lives.redis.exists(lives.key("fair", POOL), lives.key("waiting", POOL))


def test_its_owner_has_it_tried_again_anywhere(lives: Lives) -> None:
    lease = undone_to_begin_anew(lives)
    launch = lease.launch.id
    lives.ledger.cancel(launch, ERROR)
    assert lease.undone(())
    assert lives.ledger.reopen(launch, states.WAITING) == "undoing"
    assert lives.lease(launch, names.UNDO).again(names.CONNECT, ["clone"])

    assert (lives.ledger.record(launch).pool, lives.ledger.record(launch).avoid) == ("", {})


def test_of_its_second_life_nobody_of_the_first_says_anything(lives: Lives) -> None:
    """A worker that stalled before it wrote how its clone had ended wakes up after the undo."""
    lease = undone_to_begin_anew(lives)
    launch = lease.launch.id
    lease.again(names.CONNECT, ["clone"])
    late = replace(call(), state=DONE, value="OpaqueRef:gone")
    lives.ledger.store.run("outcome", launch, "clone", late.to_json())
    lives.admit(launch)

    assert lives.lease(launch).calls["clone"].state == "failed"


def test_its_finished_vm_wins_where_redis_is_older(lives: Lives) -> None:
    launch = undone_to_begin_anew(lives).launch.id

    assert adopt(lives.ledger, found(deed_of(lives, launch))) == "won"
    status = lives.ledger.status(launch)
    assert (status.state, status.error) == ("succeeded", None)
    lives.ledger.told(launch)


def test_its_batch_is_looked_at_again(lives: Lives) -> None:
    """More of its batch may have failed while it was being undone, and was not to be stopped."""
    lease = undone_to_begin_anew(lives)
    lives.redis.hset(lives.key("launch", lease.launch.id), "batch", "b-1")
    lives.redis.hset(lives.key("batch", "b-1"), "id", "b-1")
    lease.again(names.CONNECT, ["clone"])

    assert lives.redis.hget(lives.key("batch", "b-1"), "waiting") == "1"
    assert lives.redis.zrange(lives.key("due_batches"), 0, -1) == ["b-1"]


class OneStorageEach(Shelf):
    """Hosts none of which has what another one's clone lies on."""

    def need(self, request: LaunchRequest, avoid: Mapping[str, str], *made: str) -> Need:
        need = super().need(request, avoid)
        return Need(100 * GIB, avoid=need.avoid) if any(made) else need


@pytest.mark.parametrize(("kept", "outcome"), [("", "waiting"), ("1", "failed")])
def test_a_vm_that_was_kept_for_its_owner_is_not_removed_for_another(
    lives: Lives, kept: str, outcome: str
) -> None:
    launch = lives.running()
    refused(lives, launch)
    if kept:
        lives.redis.hset(lives.key("launch", launch), "kept", kept)
    shelf = OneStorageEach(make_room("host-1", 16), make_room("host-2", 16))
    dispatch(lives.ledger, POOL, cast("Inventory", shelf), lambda *_: None, 400)
    record = lives.ledger.record(launch)

    assert (record.state, record.outcome) == (states.UNDOING, outcome)
    lives.redis.flushall()


def test_a_vm_that_is_gone_on_with_is_known_as_such(lives: Lives) -> None:
    launch = lives.failed()
    lives.ledger.reopen(launch, states.WAITING)
    lives.lease(launch, names.UNDO).again(names.START, [])

    assert lives.ledger.record(launch).kept == "1"


@pytest.mark.parametrize(
    ("vm", "goes"), [("OpaqueRef:vm", ["OpaqueRef:cloned"]), ("OpaqueRef:other", None)]
)
def test_all_disks_are_a_vms_that_the_ledger_knows_by_the_pool_alone(
    vm: str, goes: list[str] | None
) -> None:
    """Of the launch's own VM somebody may have changed a disk since those were written down."""
    drive = {"type": "Disk", "other_config": {"owner": ""}}
    drives = {
        "a": {**drive, "VDI": "OpaqueRef:cloned"},
        "b": {**drive, "VDI": "OpaqueRef:of-somebody"},
    }
    record = {"uuid": "u-vm", "other_config": {names.OTHER_CONFIG_MARK: "tests/l-1/u-vm"}}
    answers = {"VM.get_record": record, "VBD.get_all_records_where": drives}
    pool: Any = SimpleNamespace(
        read=lambda method, *_: answers[method],
        made=lambda _: ["OpaqueRef:cloned"],
        failed_at=names.START,
        vm="OpaqueRef:vm",
        lent=(),
    )

    found = own_disks(pool, vm)
    assert found == (goes or ["OpaqueRef:cloned", "OpaqueRef:of-somebody"])
