"""What the ledger takes from a pool that knows more than it, over a real server."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.adopt import Adoption
from tests.unit.core.lives import DEPLOYMENT, ERROR, POOL, Lives, call, made_vm, request
from xenlaunch import names, states
from xenlaunch.adopting import Found, adopt, roll_back, unknown_to
from xenlaunch.batch_ledger import batch_status, submit_batch
from xenlaunch.deed import Deed
from xenlaunch.errors import TokenReused
from xenlaunch.lease import Made, Unclaimed
from xenlaunch.ledger import Times, launch_id
from xenlaunch.model import Host
from xenlaunch.slots import PoolSlots

HOST = Host(ref="OpaqueRef:h1", uuid="u-h1", name="host-1")
VM = Made("VM", "OpaqueRef:vm", "u-vm")


def found(deed: Deed, **fields: Any) -> Found:
    seen: Mapping[str, Any] = {"ref": "OpaqueRef:vm", "uuid": "u-vm", "host": HOST}
    network = {"macs": ("02:00:00:00:00:01",), "addresses": ("10.0.0.1",)}
    return Found(deed, POOL, **{**seen, **network, **fields})


def deed_of(lives: Lives, launch: str) -> Deed:
    deed = Deed.read(Deed.of(lives.ledger.record(launch), 2000).to_text(), launch)
    assert deed is not None
    return deed


def forget(lives: Lives) -> None:
    lives.redis.flushall()


def test_a_deed_says_all_that_a_record_needs(lives: Lives) -> None:
    launch = lives.succeeded()
    before = lives.ledger.status(launch)
    deed = deed_of(lives, launch)
    forget(lives)

    assert adopt(lives.ledger, found(deed)) == "new"
    status = lives.ledger.status(launch)
    assert (status.state, status.vm_uuid, status.host) == ("succeeded", "u-vm", "host-1")
    assert (status.macs, status.addresses) == (("02:00:00:00:00:01",), ("10.0.0.1",))
    assert (status.name, status.submitted) == (before.name, before.submitted)
    assert lives.ledger.record(launch).result.vm_uuid == "u-vm"
    assert lives.ledger.due() == [launch]
    lives.ledger.told(launch)


def test_the_token_of_a_launch_that_was_adopted_finds_it(lives: Lives) -> None:
    ledger, wanted = lives.ledger, request()
    launch = ledger.submit(DEPLOYMENT, wanted, "order-1")
    deed = deed_of(lives, launch)
    forget(lives)
    adopt(ledger, found(deed))

    assert ledger.submit(DEPLOYMENT, wanted, "order-1") == launch
    assert ledger.status(launch).state == "succeeded"
    with pytest.raises(TokenReused):
        ledger.submit(DEPLOYMENT, request(vcpus=2), "order-1")
    ledger.told(launch)
    day = 24 * 3600 * 1000
    assert lives.redis.pttl(lives.key("launch", launch)) > day


def test_a_token_is_kept_for_a_day_at_least_after_the_end(lives: Lives) -> None:
    launch = lives.failed()
    lives.ledger.told(launch)

    assert Times().keep >= 24 * 3600 * 1000
    assert lives.redis.pttl(lives.key("launch", launch)) > 24 * 3600 * 1000


def test_a_batch_is_made_anew_of_what_came_up_and_a_repeat_adds_the_rest(lives: Lives) -> None:
    ledger = lives.ledger
    wanted = [request(f"web-{number}") for number in (1, 2, 3)]
    batch, launches = submit_batch(ledger, DEPLOYMENT, "web", wanted, "spring")
    deeds = [deed_of(lives, launch) for launch in launches[:2]]
    forget(lives)
    for deed in reversed(deeds):
        adopt(ledger, found(deed, uuid=f"u-{deed.launch}"))
    assert ledger.launches_of(batch) == launches[:2]
    status = batch_status(ledger, batch)
    assert (status.state, status.succeeded, status.unknown) == ("partial", 2, 1)
    with pytest.raises(TokenReused):
        submit_batch(ledger, DEPLOYMENT, "web", wanted[:2], "spring")
    again = submit_batch(ledger, DEPLOYMENT, "web", wanted, "spring")

    assert again == (batch, launches)
    assert ledger.launches_of(batch) == launches
    status = batch_status(ledger, batch)
    assert (status.waiting, status.succeeded, status.unknown) == (1, 2, 0)
    ledger.cancel(launches[2], ERROR)
    for launch in launches:
        ledger.told(launch)


@pytest.mark.parametrize("state", [states.WAITING, states.RUNNING])
def test_a_finished_vm_wins_over_a_launch_that_seems_to_live(lives: Lives, state: str) -> None:
    """Nothing of it is held any more: no slot, no claim, no place in the line, no lease."""
    launch = lives.at(state)
    lease = lives.lease(launch) if state == states.RUNNING else None

    assert adopt(lives.ledger, found(deed_of(lives, launch))) == "won"
    assert lives.ledger.status(launch).state == "succeeded"
    assert lives.ledger.in_flight(POOL) == {}
    assert lives.ledger.waiting(POOL) == []
    assert not lives.redis.exists(lives.key("macs", POOL))
    assert lives.ledger.renew({launch: lease.fence} if lease else {}) == [launch] * bool(lease)
    lives.ledger.told(launch)


@pytest.mark.parametrize("state", [states.FINISHING, states.UNDOING])
def test_a_launch_that_knows_better_is_left_to_itself(lives: Lives, state: str) -> None:
    launch = lives.at(state)

    assert adopt(lives.ledger, found(deed_of(lives, launch))) == "lives"
    assert lives.state(launch) == state
    lives.redis.flushall()


def test_adopting_again_changes_nothing(lives: Lives) -> None:
    launch = lives.succeeded()
    deed = deed_of(lives, launch)
    forget(lives)
    verdicts = [adopt(lives.ledger, found(deed)) for _ in range(2)]

    assert verdicts == ["new", "known"]
    assert adopt(lives.ledger, found(deed, uuid="u-other")) == "differs"
    lives.ledger.told(launch)


@pytest.mark.parametrize("before", ["", states.WAITING])
def test_more_that_were_adopted_are_destroyed_at_once_than_there_are_slots(
    lives: Lives, before: str
) -> None:
    """They have stood in no line of this Redis, and wait in that of a slot like all others."""
    deeds = [deed_of(lives, lives.submitted() if before else lives.succeeded()) for _ in range(3)]
    if not before:
        forget(lives)
    for number, deed in enumerate(deeds):
        assert adopt(lives.ledger, found(deed, uuid=f"u-{number}")) == ("won" if before else "new")
    leases = []
    for deed in deeds:
        assert lives.ledger.reopen(deed.launch, states.DESTROYED) == "undoing"
        leases.append(lives.lease(deed.launch, names.UNDO))
    taken = [lease.slot("undo:stop:vm:1", {"host:h1": 1}, "its turn", 60) for lease in leases]

    assert taken == ["host:h1", "", ""]
    assert PoolSlots(lives.ledger, POOL).in_use() == {"host:h1": (1, 2)}
    lives.redis.flushall()


def test_a_kept_vm_is_a_failed_launchs_with_its_error(lives: Lives) -> None:
    lease = lives.undoing(on_failure="keep")
    deed = Deed.read(Deed.of(lease.record, 2000).to_text(), lease.launch.id)
    assert deed is not None
    forget(lives)
    adopt(lives.ledger, found(deed, kept=True))
    status = lives.ledger.status(lease.launch.id)

    assert status.state == "failed"
    assert status.error is not None
    assert status.error.code == "VDI_MISSING"
    assert [left.uuid for left in status.leftovers] == ["u-vm"]
    lives.ledger.told(status.id)


def test_what_is_no_deed_tells_nothing() -> None:
    assert Deed.read(None, "l-7f3k") is None
    assert Deed.read("l-7f3k", "l-7f3k") is None
    deed = Deed(launch="l-7f3k", name="web", digest="d", submitted=1, ended=2)
    assert Deed.read(deed.to_text(), "l-else") is None
    assert Deed.read(deed.to_text(), "l-7f3k") == deed


# Launches that seem to live


def unknown(lives: Lives, launch: str, *there: Made) -> list[Made]:
    return unknown_to(lives.ledger, lives.ledger.record(launch), there or (VM,))


def test_a_launch_that_has_begun_nothing_need_not_know(lives: Lives) -> None:
    launch = lives.running()

    assert unknown(lives, launch) == []
    lives.ledger.cancel(launch, ERROR)
    lives.ledger.told(launch)


def test_what_a_launch_has_made_or_is_making_it_knows(lives: Lives) -> None:
    lease = lives.leased(names.CLONE)
    launch = lease.launch.id
    assert unknown(lives, launch) == [VM]
    lease.intend("clone", call(makes="VM"))
    assert unknown(lives, launch) == []
    assert unknown(lives, launch, Made("VDI", "OpaqueRef:vdi")) != []
    made_vm(lease)

    assert unknown(lives, launch) == []
    assert unknown(lives, launch, Made("VM", "OpaqueRef:other")) != []
    lives.redis.flushall()


def test_a_launch_of_which_the_pool_holds_more_is_undone_with_all_of_it(lives: Lives) -> None:
    lease = lives.leased(names.CLONE)
    launch = lease.launch.id

    assert roll_back(lives.ledger, launch, [VM]) == "undo"
    assert roll_back(lives.ledger, launch, [VM]) == "undoing"
    assert lives.claim(launch, names.CLONE) == Unclaimed("stale")
    undo = lives.lease(launch, names.UNDO)
    assert undo.made == {VM}
    assert undo.undone(())
    status = lives.ledger.status(launch)
    assert (status.state, status.error and status.error.code) == ("failed", "LEDGER_ROLLED_BACK")
    assert roll_back(lives.ledger, launch, [VM]) == "stale"
    assert roll_back(lives.ledger, launch_id(DEPLOYMENT, "nobody's"), [VM]) == "stale"
    lives.ledger.told(launch)


# What is half made


@pytest.mark.parametrize("is_the_vm_finished", [False, True])
def test_a_disk_is_its_owners_only_when_its_vm_is(*, is_the_vm_finished: bool) -> None:
    """A ledger that went back to before the disk was made would have another made beside it."""
    launch, finished = "l-aaaaaaaaaaaaaaaa", {names.OTHER_CONFIG_FINISHED: "…"}
    mark = {names.OTHER_CONFIG_MARK: f"{DEPLOYMENT}/{launch}/u-vm"}
    vm = {
        "uuid": "u-vm",
        "name_label": names.working_name(DEPLOYMENT, launch, 1),
        "is_a_snapshot": False,
        "other_config": mark | (finished if is_the_vm_finished else {}),
    }
    disk_mark = {names.OTHER_CONFIG_MARK: f"{DEPLOYMENT}/{launch}/vdi:0"}
    disk = {"uuid": "u-vdi", "is_a_snapshot": False, "other_config": disk_mark | finished}
    drive_mark = {names.OTHER_CONFIG_MARK: f"{DEPLOYMENT}/{launch}/vbd:0"}
    drive = {"VM": "vm", "VDI": "vdi", "type": "Disk", "other_config": drive_mark}
    answers = {"VBD.get_all_records_where": {"vbd": drive}, "VDI.get_record": disk}
    reach: Any = SimpleNamespace(session=SimpleNamespace(read=lambda method, _: answers[method]))
    nobody: Any = None
    adoption = Adoption(nobody, nobody, DEPLOYMENT, nobody)

    found = adoption.half_made(reach, {"vm": vm}, {})

    both = {launch: [Made("VM", "vm", "u-vm"), Made("VDI", "vdi", "u-vdi")]}
    assert found == ({} if is_the_vm_finished else both)
