"""Which launch makes a copy, who still uses one, and what its request is."""

import pytest

from tests.unit.core.lives import DEPLOYMENT, POOL, Lives
from xenlaunch import names, states
from xenlaunch.copying import CopyRequest, copy_request, read_request, steps_of
from xenlaunch.errors import BadRequest
from xenlaunch.ledger import Ledger
from xenlaunch.model import LaunchRequest, Template
from xenlaunch.spreading import Copyings
from xenlaunch.users import users

REQUEST = copy_request("debian-12", "u-template", "u-sr", POOL)


@pytest.fixture
def copyings(ledger: Ledger) -> Copyings:
    return Copyings(ledger, DEPLOYMENT, POOL)


@pytest.fixture(autouse=True)
def forget(ledger: Ledger) -> object:
    """What stays for good in a pool that is used goes with this one."""
    yield
    ledger.store.redis.delete(ledger.store.key("copies", POOL))


def test_a_copy_is_asked_for_by_a_request_of_its_own_kind() -> None:
    read = read_request(REQUEST.canonical())
    plain = LaunchRequest(name="web", template="debian-12", other_config={"makes": "template"})

    assert isinstance(read, CopyRequest)
    assert (read, read.digest()) == (REQUEST, REQUEST.digest())
    assert steps_of(read.canonical()) == (names.CONNECT, names.CLONE, names.POLL)
    assert type(read_request(plain.canonical())) is LaunchRequest
    assert steps_of(plain.canonical()) == names.STEPS
    with pytest.raises(BadRequest, match="makes is not a field"):
        LaunchRequest.parse({"name": "web", "template": "debian-12", "makes": "template"})


def test_whoever_asks_while_a_copy_is_under_way_finds_its_launch(
    copyings: Copyings, ledger: Ledger
) -> None:
    first = copyings.begin("debian-12", "u-template", "u-sr", None)
    # Somebody who looked before that, and is slow to ask.
    assert copyings.begin("debian-12", "u-template", "u-sr", None) == first
    elsewhere = copyings.begin("debian-12", "u-template", "u-sr-2", None)

    found = copyings.of("debian-12")
    assert {sr: one.launch for sr, one in found.items()} == {"u-sr": first, "u-sr-2": elsewhere}
    assert copyings.of("debian") == {}
    assert isinstance(ledger.record(first).request, CopyRequest)


def test_of_many_who_see_that_a_copy_is_over_one_begins_the_next(
    copyings: Copyings, ledger: Ledger
) -> None:
    first = copyings.begin("debian-12", "u-template", "u-sr", None)
    ledger.refuse(first, states.FAILED, {"code": "X", "params": [], "message": "No."})
    seen = copyings.of("debian-12")["u-sr"]
    assert seen.record is not None
    assert seen.record.ended
    begun = {copyings.begin("debian-12", "u-template", "u-sr", seen) for _ in range(3)}

    [second] = begun
    assert second != first
    assert copyings.of("debian-12")["u-sr"].launch == second


def test_a_launch_that_was_never_submitted_is_submitted_by_whoever_asks_next(
    copyings: Copyings, ledger: Ledger
) -> None:
    """Its worker died after it had taken the number."""
    ledger.store.run("spread", POOL, "u-sr/debian-12", "")
    seen = copyings.of("debian-12")["u-sr"]
    assert seen.record is None

    assert copyings.begin("debian-12", "u-template", "u-sr", seen) == seen.launch
    assert ledger.record(seen.launch).state == states.WAITING


def test_a_name_with_a_slash_is_the_whole_name(copyings: Copyings) -> None:
    copyings.begin("debian/12", "u-template", "u-sr", None)

    assert list(copyings.of("debian/12")) == ["u-sr"]


def test_who_has_chosen_a_template_and_not_cloned_it_uses_it(lives: Lives, ledger: Ledger) -> None:
    chosen = Template(ref="OpaqueRef:copy", uuid="u-copy", name="debian-12")
    connecting = lives.leased(names.CONNECT)
    since = int(ledger.record(connecting.launch.id).step_since) / 1000
    assert users(ledger, POOL, "OpaqueRef:copy", since) == [connecting.launch.id]
    assert users(ledger, POOL, "OpaqueRef:copy", since - 60) == []

    connecting.advance(connecting.launch.but(template=chosen), names.CLONE)
    assert users(ledger, POOL, "OpaqueRef:copy", since - 60) == [connecting.launch.id]
    assert users(ledger, POOL, "OpaqueRef:original", since - 60) == []

    cloning = lives.lease(connecting.launch.id, names.CLONE)
    cloning.advance(cloning.launch, names.VBDS)
    assert users(ledger, POOL, "OpaqueRef:copy", since) == []


def test_a_copy_goes_before_all_others(copyings: Copyings, ledger: Ledger) -> None:
    launch = copyings.begin("debian-12", "u-template", "u-sr", None)
    ledger.join(launch, POOL, [])
    record = ledger.record(launch)

    assert ledger.waiting(POOL) == [launch]
    assert record.name == "debian-12"
    assert record.priority == "0"
