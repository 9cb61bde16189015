"""Launches on their way, live: on a terminal a bar and the launches in flight, elsewhere lines."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from xenlaunch import names, states
from xenlaunch.model import LaunchStatus
from xenlaunch.show import STATE_STYLES, doing, printable, sentence, steps_table

LINE_EVERY: Final = 2.0
"""Seconds between two lines where the output is no terminal."""

ROWS: Final = 14
"""The most launches in flight that are shown at once."""


class Progress:
    """Shows launches from what is `seen` of them; ``count`` is how many there are."""

    def __init__(
        self, console: Console, count: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console
        self.count = count
        self.clock = clock
        self.began = clock()
        self.statuses: dict[str, LaunchStatus] = {}
        self._last_line = ""
        self._last_line_at = self.began - LINE_EVERY
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._picture, console=console, refresh_per_second=8, transient=True
            )

    @property
    def seconds(self) -> float:
        return self.clock() - self.began

    def follow(self, changes: Iterable[LaunchStatus]) -> list[LaunchStatus]:
        """Show launches until they have all ended, and return them."""
        for status in changes:
            self.see(status)
        return self.all_seen()

    def see(self, status: LaunchStatus) -> None:
        self.statuses[status.id] = status
        complete = len(self.statuses) == self.count
        if self._live is None and complete and self.clock() - self._last_line_at >= LINE_EVERY:
            self._say_line()

    def all_seen(self) -> list[LaunchStatus]:
        return list(self.statuses.values())

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif kind is None:
            self._say_line()

    def _say_line(self) -> None:
        line = self.line()
        self._last_line_at = self.clock()
        if line != self._last_line:
            self._last_line = line
            self.console.print(f"{self.seconds:4.0f} s  {line}", soft_wrap=True)

    def line(self) -> str:
        """The whole in one line: ``12 of 50 running; clone 3, start 5, waiting 30``."""
        seen = self.all_seen()
        at = Counter(
            status.step or status.state if status.state != states.WAITING else states.WAITING
            for status in seen
            if not status.has_ended
        )
        order = [*names.STEPS, names.UNDO, states.RUNNING, states.UNDOING, states.WAITING]
        busy = ", ".join(f"{name} {at[name]}" for name in order if at[name])
        return f"{tally(seen, self.count)}{'; ' if busy else ''}{busy}"

    def _picture(self) -> Group:
        seen = self.all_seen()
        ended = sum(status.has_ended for status in seen)
        head = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, self.count), completed=ended, width=30)
        head.add_row(bar, Text(f"{self.seconds:.0f} s", "dim"), Text(self.line()))
        return Group(head, self._in_flight(seen))

    def _in_flight(self, seen: Sequence[LaunchStatus]) -> Table:
        going_on = [s for s in seen if s.state in {states.RUNNING, states.UNDOING}]
        waiting = [s for s in seen if s.state == states.WAITING]
        rows = max(1, min(ROWS, self.console.height - 4))
        table = Table.grid(padding=(0, 2))
        for status in (going_on + waiting)[:rows]:
            state = Text(status.state, STATE_STYLES.get(status.state, "dim"))
            what = Text(doing(status), overflow="ellipsis", no_wrap=True)
            table.add_row(Text(printable(status.name)), state, Text(status.host or ""), what)
        hidden = len(going_on) + len(waiting) - rows
        if hidden > 0:
            table.add_row(Text(f"and {hidden} more", "dim"))
        return table


def tally(statuses: Sequence[LaunchStatus], count: int) -> str:
    """How many of the VMs are running, and how many never will.

    >>> tally([], 50)
    '0 of 50 running'
    """
    states_of = Counter(status.state for status in statuses)
    parts = [f"{states_of[states.SUCCEEDED]} of {count} running"]
    parts += [f"{states_of[s]} {s}" for s in (states.FAILED, states.CANCELLED) if states_of[s]]
    return ", ".join(parts)


def conclude(console: Console, statuses: Sequence[LaunchStatus]) -> bool:
    """Say how long the steps took and what did not come up. Whether all did."""
    if any(status.seconds for status in statuses):
        console.print(steps_table(statuses))
    for status in statuses:
        if status.state != states.SUCCEEDED:
            line = f"{printable(status.name)} ({status.id}) {status.state}: {sentence(status)}"
            console.print(Text(line, STATE_STYLES.get(status.state, "")), soft_wrap=True)
    return all(status.state == states.SUCCEEDED for status in statuses)


def last_line(statuses: Sequence[LaunchStatus], count: int, seconds: float) -> str:
    """``50 of 50 running in 12 s``, with what failed where something did."""
    return f"{tally(statuses, count)} in {seconds:.0f} s"
