"""A template's copies as people read them, and how far they are while they are made."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, TextIO

import click
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from xenlaunch.show import console_on, printable

Rows = list[dict[str, Any]]

STYLES: Final = {"there": "green", "failed": "red", "copying": "cyan", "removing": "magenta"}


def copies_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("POOL", "SR", "HOSTS", "STATE", "MADE HERE", "UUID", "LAUNCH", ""):
        table.add_column(column, overflow="fold")
    for row in rows:
        told = "sr" in row
        hosts = f"{row['hosts']} of {row['hosts_total']}" if told else ""
        ours = ("yes" if row["made_here"] else "no") if told else ""
        state = Text(progress(row), STYLES.get(row.get("state", ""), ""))
        plain = (row.get("uuid", ""), row.get("launch", ""), row["error"])
        table.add_row(*_texts(row["pool"], row.get("sr", ""), hosts), state, *_texts(ours, *plain))
    return table


def progress(row: Mapping[str, Any]) -> str:
    """The state of a copy, with how much of it is there.

    >>> progress({"state": "copying", "percent": 43})
    'copying 43 %'
    """
    percent = row.get("percent")
    return str(row.get("state", "")) + ("" if percent is None else f" {percent} %")


def line(rows: Iterable[Mapping[str, Any]]) -> str:
    """All copies in one line: ``nfs-1 copying 43 %, nfs-2 there``."""
    told = [f"{row['sr']} {progress(row)}" for row in rows if "sr" in row]
    return printable(", ".join(told))


class Shown:
    """Shows copies that are under way: bars on a terminal, else a line when something changes.

    For programs each change is an array of JSON, in a line of the standard output.
    """

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._console = console_on(stream)
        self._as_json = as_json
        self._last = ""
        self._live: Live | None = None
        if self._console.is_terminal and not (as_json or self._console.is_dumb_terminal):
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    def see(self, rows: Rows) -> None:
        if self._live is not None:
            self._live.update(_bars(rows), refresh=True)
            return
        said = json.dumps(rows) if self._as_json else line(rows)
        if said == self._last:
            return
        self._last = said
        if self._as_json:
            click.echo(said)
        else:
            self._console.print(said, soft_wrap=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()


def _bars(rows: Rows) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in rows:
        bar = ProgressBar(total=100, completed=row.get("percent") or 0, width=30)
        table.add_row(*_texts(str(row.get("sr", row["pool"]))), bar, Text(progress(row)))
    return table


def _texts(*values: str) -> list[Text]:
    return [Text(printable(value)) for value in values]
