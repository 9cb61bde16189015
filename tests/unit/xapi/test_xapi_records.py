"""Records kept fresh by events: resyncs, lost deletions, barriers."""

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from tests.support.waiting import wait_until
from xenlaunch.errors import Busy, PoolError, SessionLost
from xenlaunch.xapi.fields import FIELDS
from xenlaunch.xapi.records import ADD, DEL, MOD, Event, Records, back_off
from xenlaunch.xapi.session import Session

Batch = dict[str, Any]


def event(operation: str, cls: str, ref: str, **snapshot: object) -> Batch:
    told: Batch = {"operation": operation, "class": cls, "ref": ref}
    return told if operation == DEL else told | {"snapshot": snapshot}


def batch(generation: int, *events: Batch, **counts: int) -> Batch:
    return {
        "token": f"{generation:020d},{0:020d}",
        "events": list(events),
        "valid_ref_counts": counts,
    }


class ScriptedSession:
    """Answers each poll with what the test has put in; waits when there is nothing."""

    name = "lab"

    def __init__(self) -> None:
        self.answers: queue.Queue[Batch | PoolError] = queue.Queue()
        self.tokens: list[str] = []
        self.injected = ""

    def long_poll(self, classes: Sequence[str], token: str, seconds: float) -> Batch:
        assert set(classes) == set(FIELDS)
        assert seconds > 0
        self.tokens.append(token)
        answer = self.answers.get()
        if isinstance(answer, PoolError):
            raise answer
        return answer

    def read(self, method: str, *params: object) -> str:
        assert (method, params) == ("event.inject", ("pool", "OpaqueRef:pool"))
        return self.injected


@pytest.fixture
def session() -> ScriptedSession:
    return ScriptedSession()


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def records(session: ScriptedSession, now: list[float]) -> Iterator[Records]:
    records = Records(
        cast("Session", session),
        pauses=lambda: iter([0.0] * 99),
        resync_seconds=5.0,
        clock=lambda: now[0],
    )
    records.start()
    yield records
    records.stop()
    session.answers.put(SessionLost("SESSION_INVALID"))
    records._thread.join(5)
    assert not records._thread.is_alive()


FIRST = batch(
    10,
    event(ADD, "pool", "OpaqueRef:pool", uuid="p"),
    event(ADD, "vm", "OpaqueRef:1", uuid="1", power_state="Halted", last_booted_record="long"),
    event(ADD, "vm", "OpaqueRef:2", uuid="2", power_state="Halted"),
)


@pytest.fixture
def told(session: ScriptedSession, records: Records) -> list[Event]:
    """The events that a subscriber was told, after the first full read."""
    session.answers.put(FIRST)
    wait_until(lambda: records.all("pool"), 5, "the first full read")
    events: list[Event] = []
    records.subscribe(events.append)
    return events


def test_the_first_read_is_whole_and_keeps_what_is_needed(
    records: Records, session: ScriptedSession, told: list[Event]
) -> None:
    records.ready(1)

    assert session.tokens[0] == ""
    assert records.all("vm").keys() == {"OpaqueRef:1", "OpaqueRef:2"}
    assert records.get("vm", "OpaqueRef:1") == {"uuid": "1", "power_state": "Halted"}
    assert records.get("vm", "OpaqueRef:9") is None
    assert records.all("sr") == {}


def test_events_bring_it_up_to_date_and_are_told(
    records: Records, session: ScriptedSession, told: list[Event]
) -> None:
    session.answers.put(
        batch(
            12,
            event(MOD, "VM", "OpaqueRef:1", uuid="1", power_state="Running"),
            event(MOD, "vm", "OpaqueRef:3", uuid="3"),
            event(MOD, "pool", "OpaqueRef:pool", uuid="p", crash_dump_SR="not kept"),
            event(ADD, "task", "OpaqueRef:t", uuid="t"),
            event(DEL, "vm", "OpaqueRef:2"),
            event(DEL, "vm", "OpaqueRef:8"),
        )
    )
    wait_until(lambda: len(told) == 3, 5, "three events")

    assert [(it.operation, it.ref) for it in told] == [
        (MOD, "OpaqueRef:1"),
        (ADD, "OpaqueRef:3"),
        (DEL, "OpaqueRef:2"),
    ]
    assert told[0].record == {"uuid": "1", "power_state": "Running"}
    assert told[2].record == {"uuid": "2", "power_state": "Halted"}
    assert records.all("vm").keys() == {"OpaqueRef:1", "OpaqueRef:3"}


def test_a_snapshot_is_one_moment(
    records: Records, session: ScriptedSession, told: list[Event]
) -> None:
    before = records.all("vm")
    session.answers.put(batch(11, event(DEL, "vm", "OpaqueRef:1")))
    wait_until(lambda: told, 5, "the deletion")

    assert "OpaqueRef:1" in before
    assert "OpaqueRef:1" not in records.all("vm")


def test_after_a_lost_session_all_is_read_again_and_only_what_changed_is_told(
    records: Records, session: ScriptedSession, told: list[Event]
) -> None:
    session.answers.put(SessionLost("SESSION_INVALID"))
    session.answers.put(
        batch(
            3,
            event(ADD, "pool", "OpaqueRef:pool", uuid="p"),
            event(ADD, "vm", "OpaqueRef:2", uuid="2", power_state="Running"),
        )
    )
    wait_until(lambda: len(told) == 2, 5, "what changed")

    assert session.tokens[:3] == ["", FIRST["token"], ""]
    assert [(it.operation, it.ref) for it in told] == [(DEL, "OpaqueRef:1"), (MOD, "OpaqueRef:2")]


def test_what_was_known_stays_known_while_the_pool_is_away(
    records: Records, session: ScriptedSession, told: list[Event], now: list[float]
) -> None:
    session.answers.put(Busy("POOL_UNREACHABLE", [], "The pool lab is away."))
    wait_until(lambda: len(session.tokens) == 3, 5, "the next try")
    now[0] += 40

    assert records.get("vm", "OpaqueRef:1") is not None
    assert records.age() == 40


def test_a_count_that_does_not_fit_is_a_reason_to_read_all_again(
    records: Records, session: ScriptedSession, told: list[Event], now: list[float]
) -> None:
    now[0] += 6
    session.answers.put(batch(600, vm=1))
    session.answers.put(batch(601, event(ADD, "vm", "OpaqueRef:2", uuid="2"), vm=1))
    wait_until(lambda: records.all("vm").keys() == {"OpaqueRef:2"}, 5, "the lost deletion")

    assert session.tokens[:3] == ["", FIRST["token"], ""]


def test_counts_that_never_fit_do_not_make_it_read_all_the_time(
    records: Records, session: ScriptedSession, told: list[Event]
) -> None:
    for generation in (11, 12, 13):
        session.answers.put(batch(generation, vm=7))
    wait_until(lambda: len(session.tokens) == 5, 5, "all answers are read")

    assert session.tokens.count("") == 1


def begin_barrier(records: Records, done: threading.Event) -> threading.Thread:
    """Wait for a barrier in a thread, which says when it is through."""

    def wait() -> None:
        records.barrier(5)
        done.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    return waiting


def test_a_barrier_waits_for_what_the_pool_had_done(
    records: Records, session: ScriptedSession, told: list[Event]
) -> None:
    session.injected = batch(20)["token"]
    done = threading.Event()
    waiting = begin_barrier(records, done)
    session.answers.put(batch(19, event(DEL, "vm", "OpaqueRef:1")))
    wait_until(lambda: told, 5, "an earlier change")
    assert not done.is_set()

    session.answers.put(batch(20))

    assert done.wait(5)
    waiting.join()


def test_a_barrier_waits_for_those_who_are_called_back(
    records: Records, session: ScriptedSession, told: list[Event]
) -> None:
    session.injected = batch(20)["token"]
    done = threading.Event()
    passed: list[bool] = []
    records.subscribe(lambda _: passed.append(done.wait(0.3)))
    waiting = begin_barrier(records, done)
    session.answers.put(batch(20, event(DEL, "vm", "OpaqueRef:1")))

    assert done.wait(5)
    waiting.join()
    assert passed == [False]


def test_a_barrier_that_is_not_reached_is_busy(
    records: Records, session: ScriptedSession, told: list[Event]
) -> None:
    session.injected = batch(20)["token"]

    with pytest.raises(Busy, match="have not come within 0 s"):
        records.barrier(0)


def test_ready_says_why_it_is_not(records: Records, session: ScriptedSession) -> None:
    session.answers.put(Busy("POOL_UNREACHABLE", [], "Nothing listens there."))
    wait_until(lambda: len(session.tokens) == 2, 5, "the first try")

    with pytest.raises(Busy, match="The pool lab is not followed: Nothing listens there"):
        records.ready(0)


def test_waiting_ends_with_what_was_found(
    records: Records, session: ScriptedSession, told: list[Event]
) -> None:
    session.answers.put(batch(11, event(ADD, "sr", "OpaqueRef:sr", uuid="s")))

    assert records.wait_for(lambda: records.get("sr", "OpaqueRef:sr"), 5) == {"uuid": "s"}
    assert records.wait_for(lambda: records.get("sr", "OpaqueRef:no"), 0) is None


def test_pauses_grow_and_end_growing() -> None:
    pauses = back_off(1.0, 8.0, jitter=lambda: 1.0)

    assert [next(pauses) for _ in range(5)] == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert next(back_off(1.0, jitter=lambda: 0.0)) == 0.5


def test_every_field_that_is_kept_is_a_published_one(published: dict[str, Any]) -> None:
    classes = {name.lower(): cls for name, cls in published["classes"].items()}
    unknown = {
        (cls, field)
        for cls, fields in FIELDS.items()
        for field in set(fields) - {it["name"] for it in classes[cls]["fields"]}
    }

    assert unknown == set()


def test_every_class_keeps_its_uuid() -> None:
    assert all("uuid" in fields for fields in FIELDS.values())
    assert set(FIELDS) == {
        *("pool", "host", "host_metrics", "host_cpu", "sr", "sm", "pbd"),
        *("vm", "vm_guest_metrics", "vbd", "vif", "network", "pif"),
        *("vgpu", "vgpu_type", "gpu_group", "pgpu"),
    }
