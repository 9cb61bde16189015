"""When a pool worked is read from its log of calls."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.model.clock import Clock
from bench.model.station import Station
from bench.spans import spans, worked_on

works = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=30, unique_by=lambda one: one[0]
)

STATE: dict[str, dict[str, dict[str, Any]]] = {
    "host": {"h1": {"name_label": "host-1"}, "h2": {"name_label": "host-2"}},
    "SR": {"s1": {"name_label": "sr-1"}, "s2": {"name_label": "sr-2"}},
    "VM": {"t1": {"is_a_template": True}, "t2": {"is_a_template": True}},
    "VDI": {"d1": {"SR": "s1"}, "d2": {"SR": "s2"}},
    "VBD": {
        "v1": {"VM": "t1", "VDI": "d1", "type": "Disk"},
        "v2": {"VM": "t2", "VDI": "d2", "type": "Disk"},
    },
}


def call(method: str, args: list[str], started: float, ended: float | None) -> dict[str, Any]:
    outcome = "ok" if ended else "running"
    return {
        "method": method,
        "args": args,
        "started": started,
        "ended": ended,
        "outcome": outcome,
    }


@settings(deadline=None)
@given(works, st.integers(1, 4))
def test_when_a_part_worked_is_told_by_when_calls_came_and_ended(
    pieces: list[tuple[int, int]], at_once: int
) -> None:
    clock = Clock()
    station = Station(clock, at_once, remembers=True)
    came: list[tuple[float, float]] = []

    def ended(at: int) -> None:
        came.append((at, clock.now))

    for at, seconds in pieces:
        clock.after(at, station.work, seconds, ended, at)
    clock.run()

    assert worked_on(came, at_once) == [list(span) for span in station.spans or ()]


def test_a_clone_is_its_srs_and_a_start_its_hosts() -> None:
    calls = [
        call("Async.VM.clone", ["t1", "xenlaunch:bench:l-1:1"], 100.0, 102.2),
        call("Async.VM.clone", ["t1", "xenlaunch:bench:l-2:1"], 100.5, 104.2),
        call("Async.VM.clone", ["t2", "xenlaunch:bench:l-3:1"], 100.5, None),
        call("VM.get_record", ["x"], 102.0, 102.1),
        call("Async.VM.start_on", ["vm", "h2", "False", "True"], 103.0, 108.0),
    ]

    assert spans(calls, STATE, since=100.0, rows=0.2) == {
        "srs": {"sr-1": [[0.0, 2.0], [2.0, 4.0]], "sr-2": []},
        "hosts": {"host-1": [], "host-2": [[3.0, 8.0]]},
    }
