"""Submitting, joining a line and being admitted, over a real server."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.dispatch import CROWD
from tests.unit.core.lives import DEPLOYMENT, ERROR, POOL, Lives, request
from xenlaunch import names, states
from xenlaunch.batch_ledger import batch_status, submit_batch
from xenlaunch.errors import TokenReused, UnknownLaunch
from xenlaunch.ledger import Ledger, launch_id
from xenlaunch.store import Store

MAC = "02:00:00:00:00:01"
NICS = [{"network": "guest", "mac": MAC}]


def test_the_life_of_a_launch(any_redis_url: str) -> None:
    """From submit to success, over each kind of server, with what is told of it on the way."""
    store = Store(any_redis_url)
    lives = Lives(Ledger(store))
    launch = lives.succeeded(nics=NICS)
    status = lives.ledger.status(launch)
    told = [
        (event["kind"], event["state"], event["step"]) for _, event in lives.ledger.events("0", 1)
    ]
    lives.ledger.told(launch)
    store.close()
    store.redis.connection_pool.disconnect()

    assert (status.state, status.step, status.host) == ("succeeded", None, "host-1")
    assert sorted(status.seconds) == sorted(names.STEPS)
    assert told == [
        ("state", "waiting", "connect"),
        ("state", "running", "connect"),
        *(("step", "running", step) for step in names.STEPS),
        ("state", "succeeded", "poll"),
    ]


def test_the_same_token_finds_the_same_launch(lives: Lives) -> None:
    first = lives.ledger.submit(DEPLOYMENT, request(), "order-1")
    again = lives.ledger.submit(DEPLOYMENT, request(), "order-1")
    events = list(lives.ledger.events("0", 1))

    assert first == again == launch_id(DEPLOYMENT, "order-1")
    assert lives.ledger.all_launches() == [first]
    assert len(events) == 1


def test_a_token_is_a_deployments_own(lives: Lives) -> None:
    launches = {lives.ledger.submit(name, request(), "order-1") for name in ("east", "west")}

    assert len(launches) == 2


def test_the_same_token_with_another_request_is_refused(lives: Lives) -> None:
    lives.ledger.submit(DEPLOYMENT, request(), "order-1")

    with pytest.raises(TokenReused, match="The token 'order-1' was used before for another"):
        lives.ledger.submit(DEPLOYMENT, request(vcpus=2), "order-1")


def test_a_repeat_does_not_bring_a_launch_back(lives: Lives) -> None:
    launch = lives.ledger.submit(DEPLOYMENT, request(), "order-1")
    lives.ledger.cancel(launch, ERROR)
    lives.ledger.submit(DEPLOYMENT, request(), "order-1")

    assert lives.state(launch) == states.CANCELLED


def test_a_batch_has_its_launches_in_order(lives: Lives) -> None:
    wanted = [request(f"web-{number}") for number in range(1, 13)]
    batch, launches = submit_batch(lives.ledger, DEPLOYMENT, "web", wanted, "order-2")
    again = submit_batch(lives.ledger, DEPLOYMENT, "web", wanted, "order-2")
    statuses = lives.ledger.statuses(launches)

    assert again == (batch, launches)
    assert lives.ledger.launches_of(batch) == launches
    assert [status.name for status in statuses] == [one.name for one in wanted]
    assert {status.batch for status in statuses} == {batch}
    assert batch_status(lives.ledger, batch).waiting == 12


def test_a_batchs_token_with_another_batch_is_refused(lives: Lives) -> None:
    submit_batch(lives.ledger, DEPLOYMENT, "web", [request("a")], "order-2")

    with pytest.raises(TokenReused, match="'order-2' was used before for another batch"):
        submit_batch(lives.ledger, DEPLOYMENT, "web", [request("a"), request("b")], "order-2")


def test_an_unknown_id_raises(lives: Lives) -> None:
    for read in (lives.ledger.record, lives.ledger.status, lives.ledger.launches_of):
        with pytest.raises(UnknownLaunch, match="has the id 'l-none'"):
            read("l-none")


def test_a_launch_is_its_own_only_launch(lives: Lives) -> None:
    launch = lives.submitted()

    assert lives.ledger.launches_of(launch) == [launch]


def test_a_submitted_launch_is_due_until_it_stands_in_line(lives: Lives) -> None:
    launch = lives.submitted()
    due = lives.ledger.due()
    joined = lives.ledger.join(launch, POOL, [])

    assert (due, joined) == ([launch], "ok")
    assert lives.ledger.due() == []
    assert lives.ledger.waiting(POOL) == [launch]
    assert lives.ledger.line_length(POOL) == 1


def test_joining_twice_is_stale(lives: Lives) -> None:
    launch = lives.joined()

    assert lives.ledger.join(launch, "attic", []) == "stale"
    assert lives.ledger.record(launch).pool == POOL


def test_the_line_goes_by_priority_then_by_arrival(lives: Lives) -> None:
    late = lives.submitted(priority=9)
    usual = [lives.submitted(), lives.submitted()]
    urgent = lives.submitted(priority=0)
    for place, launch in enumerate([late, *usual, urgent]):
        # The clock of the server is in milliseconds: what came first must be told apart.
        lives.redis.hincrby(lives.key("launch", launch), "submitted", place)
    for launch in (usual[1], late, urgent, usual[0]):
        lives.ledger.join(launch, POOL, [])

    assert lives.ledger.waiting(POOL) == [urgent, *usual, late]
    assert lives.ledger.waiting(POOL, 1) == [urgent]


def test_a_mac_is_claimed_once(lives: Lives) -> None:
    lives.joined(nics=NICS)
    other = lives.submitted(nics=NICS)
    free = "02:00:00:00:00:02"

    assert lives.ledger.join(other, POOL, [free, MAC]) == MAC
    assert lives.redis.hkeys(lives.key("macs", POOL)) == [MAC]
    assert lives.ledger.join(other, "attic", [free, MAC]) == "ok"


def test_only_so_many_are_in_flight(lives: Lives) -> None:
    launches = [lives.joined() for _ in range(3)]
    verdicts = [lives.admit(launch, 2) for launch in launches]

    assert verdicts == ["connect", "connect", "full"]
    assert list(lives.ledger.in_flight(POOL)) == launches[:2]
    assert lives.ledger.waiting(POOL) == launches[2:]


def test_while_so_many_wait_for_a_worker_nobody_is_sent_after_them(lives: Lives) -> None:
    """Who is woken to go on would stand behind all of them in the pool's queue."""
    launches = [lives.joined() for _ in range(CROWD + 1)]
    verdicts = [lives.admit(launch, crowd=CROWD) for launch in launches]
    assert verdicts == ["connect"] * CROWD + ["full"]

    lives.redis.delete(lives.key("nudge", POOL))
    taken = 0
    while not lives.redis.exists(lives.key("nudge", POOL)):
        lives.claim(launches[taken])
        taken += 1
    assert 0 < taken < CROWD, "the line is looked at before the workers have nothing to do"
    assert lives.admit(launches[-1], crowd=CROWD) == names.CONNECT


def test_an_admitted_launch_has_its_host_and_reservation(lives: Lives) -> None:
    launch = lives.running()
    record = lives.ledger.record(launch)

    assert record.state == states.RUNNING
    assert record.host is not None
    assert record.host.name == "host-1"
    assert lives.ledger.in_flight(POOL) == {launch: {"host": "OpaqueRef:h1", "memory": 1 << 30}}


def test_who_stands_in_no_line_is_not_admitted(lives: Lives) -> None:
    verdicts = [lives.admit(launch) for launch in (lives.submitted(), lives.running(), "l-none")]

    assert verdicts == ["stale", "stale", "stale"]


def test_who_goes_on_waits_for_that_no_more(lives: Lives) -> None:
    """It has found a pool, then room; when another host is looked for it waits for its turn."""
    launch = lives.submitted()
    lives.ledger.say_why({launch: "waiting for a pool: none answers"})
    lives.ledger.join(launch, POOL, [])
    seen = [lives.ledger.status(launch).doing]
    lives.ledger.say_why({launch: "waiting for room: host-1 is full"})
    lives.admit(launch)
    lives.lease(launch).another_host(names.CONNECT, "u-h1", "is full")
    seen.append(lives.ledger.status(launch).doing)

    assert seen == ["waiting for its turn"] * 2


def test_all_who_wait_in_a_line_that_stands_still_are_told_why(lives: Lives) -> None:
    """Whoever else waits is told so as well; who is on the way, or ended, is told nothing."""
    waiting, running, nowhere = lives.joined(), lives.running(), lives.submitted()
    many = [lives.joined() for _ in range(250)]
    lives.ledger.say_why({waiting: "waiting for room: host-1 is full"})
    lives.ledger.say_why_all(POOL, "waiting for the pool lab: it does not answer")
    told = {status.doing for status in lives.ledger.statuses([waiting, *many])}
    others = [lives.ledger.status(launch).doing for launch in (running, nowhere)]
    lives.ledger.say_why_all(POOL, "")

    assert told == {"waiting for the pool lab: it does not answer"}
    assert others == ["", "waiting for its turn"]
    assert lives.ledger.status(waiting).doing == "waiting for room: host-1 is full"
    assert lives.ledger.status(many[-1]).doing == "waiting for its turn"


def test_a_launch_says_why_it_waits(lives: Lives) -> None:
    launch = lives.joined()
    before = lives.ledger.status(launch).doing
    lives.ledger.say_why({launch: "waiting for room: host-1 is full"})

    assert before == "waiting for its turn"
    assert lives.ledger.status(launch).doing == "waiting for room: host-1 is full"


@pytest.mark.parametrize("state", states.STATES)
def test_the_status_of_a_launch_has_the_fields_of_the_design(lives: Lives, state: str) -> None:
    status = json.loads(lives.ledger.status(lives.at(state)).model_dump_json())

    assert list(status) == [
        *("id", "name", "state", "step", "pool", "host", "vm_uuid", "addresses"),
        *("error", "batch", "submitted", "ended"),
    ]


def test_what_is_absent_from_a_status_is_null(lives: Lives) -> None:
    launch = lives.submitted()
    status = json.loads(lives.ledger.status(launch).model_dump_json())
    submitted = datetime.fromisoformat(status.pop("submitted"))

    assert submitted.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - submitted) < timedelta(minutes=1)
    assert status == {
        "id": launch,
        "name": "web",
        "state": "waiting",
        "addresses": [],
        **dict.fromkeys(("step", "pool", "host", "vm_uuid", "error", "batch", "ended")),
    }


def test_the_status_of_a_failed_launch_says_why(lives: Lives) -> None:
    status = json.loads(lives.ledger.status(lives.at(states.FAILED)).model_dump_json())

    assert status["error"] == {
        "code": "VDI_MISSING",
        "params": ["u-1"],
        "message": "The disk is gone.",
    }
    assert datetime.fromisoformat(status["ended"]).utcoffset() == timedelta(0)


def test_launches_are_listed_oldest_first_and_by_state(lives: Lives) -> None:
    waiting, running = lives.submitted(), lives.running()

    assert set(lives.ledger.all_launches()) == {waiting, running}
    assert lives.ledger.all_launches(states.WAITING) == [waiting]
    assert lives.ledger.all_launches(states.RUNNING) == [running]


def test_events_follow_a_position(lives: Lives) -> None:
    none = lives.ledger.last_event()
    launch = lives.submitted(name="web-7")
    position = lives.ledger.last_event()
    lives.joined()
    first, *_ = lives.ledger.events(none, 1)
    later = [event["launch"] for _, event in lives.ledger.events(position, 1)]

    assert none == "0"
    assert first[0] == position
    assert first[1] == {
        "launch": launch,
        "name": "web-7",
        "kind": "state",
        "state": "waiting",
        "step": "connect",
        **dict.fromkeys(("batch", "pool", "what"), ""),
    }
    assert launch not in later
    assert len(later) == 1


def test_a_deployment_keeps_its_first_generation(ledger: Ledger) -> None:
    before = ledger.deployment()
    first = ledger.register("lab-east", "g1", ["lab"])
    second = ledger.register("lab-east", "g2", ["lab", "attic"])

    assert before is None
    assert (first.generation, second.generation) == ("g1", "g1")
    assert second.pools == ("lab", "attic")
    assert ledger.deployment() == second
