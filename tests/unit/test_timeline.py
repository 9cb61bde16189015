"""A launch's timeline, made from what the ledger remembers of it."""

from datetime import UTC, datetime, timedelta

from workers.flowerpage.timeline import Span, Wait, timeline
from xenlaunch.reading import Moment

START = datetime(2026, 11, 24, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def moments(*told: tuple[float, str, str, str, str]) -> list[Moment]:
    return [Moment(at(when), kind, state, step, what) for when, kind, state, step, what in told]


def test_a_launch_on_its_way_has_a_last_span_without_an_end() -> None:
    found = timeline(
        moments(
            (0, "state", "waiting", "connect", ""),
            (2, "state", "running", "connect", ""),
            (3, "step", "running", "connect", ""),
            (4, "step", "running", "clone", ""),
            (5, "parked", "running", "clone", "the clone"),
        )
    )

    assert found == (
        Span("line", at(0), at(2)),
        Span("connect", at(3), at(4)),
        Span("clone", at(4), None, waits=(Wait("the clone", at(5)),)),
    )


def test_a_step_that_is_begun_again_after_its_wait_is_one_span() -> None:
    (found,) = timeline(
        moments(
            (0, "step", "running", "start", ""),
            (1, "retry", "running", "start", "The pool is busy."),
            (3, "step", "running", "start", ""),
            (4, "parked", "running", "start", "the VM to start"),
            (6, "step", "running", "start", ""),
            (7, "state", "succeeded", "start", ""),
        )
    )

    assert found == Span(
        "start",
        at(0),
        at(7),
        waits=(
            Wait("The pool is busy.", at(1), at(3), retry=True),
            Wait("the VM to start", at(4), at(6)),
        ),
    )


def test_a_step_that_was_refused_has_stopped_and_undo_follows() -> None:
    found = timeline(
        moments(
            (0, "step", "running", "vbds", ""),
            (1, "state", "undoing", "undo", ""),
            (2, "step", "undoing", "undo", ""),
            (3, "state", "failed", "undo", ""),
        )
    )

    assert found == (
        Span("vbds", at(0), at(1), stopped=True),
        Span("undo", at(2), at(3)),
    )


def test_another_host_is_waited_for_in_the_line() -> None:
    found = timeline(
        moments(
            (0, "step", "running", "start", ""),
            (1, "retry", "waiting", "network", "the host is full"),
            (4, "state", "running", "network", ""),
            (5, "step", "running", "network", ""),
        )
    )

    refused = Wait("the host is full", at(1), at(1), retry=True)
    assert found == (
        Span("start", at(0), at(1), stopped=True, waits=(refused,)),
        Span("line", at(1), at(4)),
        Span("network", at(5)),
    )


def test_a_launch_that_ends_in_the_line_ends_there() -> None:
    (found,) = timeline(
        moments((0, "state", "waiting", "connect", ""), (9, "state", "cancelled", "connect", ""))
    )

    assert found == Span("line", at(0), at(9), stopped=True)
