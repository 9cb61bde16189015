"""What people are shown of launches on their way, on a terminal and elsewhere."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from xenlaunch.model import LaunchError, LaunchStatus, Leftover
from xenlaunch.progress import Progress, conclude, last_line
from xenlaunch.show import console_on, launch_text, results_table

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def status(number: int, state: str, step: str | None = None, **fields: object) -> LaunchStatus:
    ended = NOON if state in {"succeeded", "failed", "cancelled"} else None
    given = {"id": f"l-{number}", "name": f"web-{number}", "state": state, "step": step}
    return LaunchStatus.model_validate(given | {"submitted": NOON, "ended": ended} | fields)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def file() -> io.StringIO:
    return io.StringIO()


def test_without_a_terminal_a_line_is_said_now_and_then(file: io.StringIO) -> None:
    clock = Clock()
    with Progress(console_on(file), 3, clock=clock) as progress:
        for seconds, seen in [
            (0, status(1, "waiting")),
            (0, status(2, "waiting")),
            (0, status(3, "waiting")),
            (1, status(1, "running", "clone")),
            (3, status(2, "running", "start")),
            (4, status(1, "succeeded")),
            (4, status(2, "failed")),
            (5, status(3, "cancelled")),
        ]:
            clock.now = 100.0 + seconds
            progress.see(seen)

    assert file.getvalue().splitlines() == [
        "   0 s  0 of 3 running; waiting 3",
        "   3 s  0 of 3 running; clone 1, start 1, waiting 1",
        "   5 s  1 of 3 running, 1 failed, 1 cancelled",
    ]


def test_on_a_terminal_the_launches_in_flight_are_shown_and_wiped_away() -> None:
    terminal = Terminal()
    console = Console(file=terminal, force_terminal=True, width=80, height=24)
    seen = [status(n, "waiting", doing="waiting for its turn") for n in range(1, 31)]
    seen[1] = status(2, "running", "start", host="host-1", doing="waiting for \x1b[2Jboot")
    with Progress(console, 30) as progress:
        progress.follow(iter(seen))

    shown = terminal.getvalue()
    assert "0 of 30 running" in shown
    assert "start, waiting for \\x1b[2Jboot" in shown
    assert "and 16 more" in shown
    assert shown.rstrip().endswith("\x1b[2K"), "the last thing done is to clear the picture"


def test_a_plain_console_writes_no_control_code(
    file: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = console_on(file)
    ended = [
        status(1, "succeeded", seconds={"clone": 1.0, "start": 3.0}, host="host-1"),
        status(2, "failed", seconds={"clone": 2.0}, error=LaunchError(code="X", message="[b]No.")),
    ]

    console.print(results_table(ended))
    assert not conclude(console, ended)
    assert conclude(console, ended[:1])

    said = file.getvalue()
    assert said.replace("\n", "").isprintable()
    assert "web-2 (l-2) failed: [b]No. (X)" in said
    assert "clone  1.50 s  2.00 s" in said


def test_the_last_line_says_how_many_are_running() -> None:
    good, bad = status(1, "succeeded"), status(2, "failed")

    assert last_line([good] * 50, 50, 12.4) == "50 of 50 running in 12 s"
    assert last_line([good, bad], 2, 9.6) == "1 of 2 running, 1 failed in 10 s"


def test_all_about_one_launch() -> None:
    shown = launch_text(
        status(
            1,
            "failed",
            pool="lab",
            host="host-1",
            vm_uuid="6a7c",
            macs=("02:16:3e:00:00:01",),
            addresses=("10.0.0.2", "fd00::2"),
            error=LaunchError(code="SR_FULL", message="The SR is full."),
            batch="b-1",
            seconds={"undo": 0.25, "clone": 2.0},
            leftovers=(Leftover(cls="VDI", uuid="9f", advice="destroy it by hand"),),
        )
    )

    assert shown.splitlines() == [
        "web-1 (l-1)",
        "  state      failed",
        "  pool       lab",
        "  host       host-1",
        "  vm         6a7c",
        "  macs       02:16:3e:00:00:01",
        "  addresses  10.0.0.2, fd00::2",
        "  error      The SR is full. (SR_FULL)",
        "  batch      b-1",
        "  submitted  2026-11-22T12:00:00Z",
        "  ended      2026-11-22T12:00:00Z",
        "  seconds    clone 2.0, undo 0.2",
        "  left over  VDI 9f: destroy it by hand",
    ]
