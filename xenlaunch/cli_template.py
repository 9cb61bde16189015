"""The commands ``xenlaunch template …``: a template's copies on several SRs."""

import json
import sys
import time
from typing import Any, Final

import click

from xenlaunch import show_copies
from xenlaunch.client import LaunchClient
from xenlaunch.shell import (
    DONE,
    NOT_SUCCEEDED,
    as_json_option,
    client_of_environment,
    complain,
    print_table,
)
from xenlaunch.templates import GOING_ON, Answers

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at copies that are under way."""

THERE: Final = "there"
GONE: Final = "gone"
"""What is said of a copy that was there, or was to be, and of which nothing is left."""

_pool = click.option(
    "--pool", metavar="P", help="The pool; needed where several have the template."
)
_no_wait = click.option("--no-wait", is_flag=True, help="Return as soon as it has begun.")


@click.group()
def template() -> None:
    """Have copies of a template on several SRs, so that more launches can clone at once."""


@template.command(name="list")
@click.argument("name")
@click.option("--pool", metavar="P", help="Only this pool's.")
@as_json_option
def list_(name: str, *, pool: str | None, as_json: bool) -> int:
    """List the copies of the template NAME, those under way included."""
    with client_of_environment() as client:
        found = client.templates.copies(name, pool)
    _say(found, as_json=as_json)
    return DONE if all("sr" in row for row in found) else NOT_SUCCEEDED


@template.command()
@click.argument("name")
@click.option("--to", "srs", metavar="SR", multiple=True, required=True, help="May be repeated.")
@_pool
@_no_wait
@as_json_option
def spread(
    name: str, *, srs: tuple[str, ...], pool: str | None, no_wait: bool, as_json: bool
) -> int:
    """Copy the template NAME to other SRs, and show how far it is.

    A copy that is there, or under way, is not made again. Ctrl-C leaves the copying going on.
    """
    with client_of_environment() as client:
        begun = client.templates.spread(name, srs, pool)
        rows = _follow(client, name, begun, as_json=as_json) if not no_wait else begun
    _say(rows, as_json=as_json)
    return _exit_code(rows, "" if no_wait else THERE)


@template.command()
@click.argument("name")
@click.option("--from", "srs", metavar="SR", multiple=True, required=True, help="May be repeated.")
@_pool
@_no_wait
@as_json_option
def remove(
    name: str, *, srs: tuple[str, ...], pool: str | None, no_wait: bool, as_json: bool
) -> int:
    """Remove copies of the template NAME that 'spread' has made, and stop those it is making.

    The original stays, and so does the last copy. A copy that launches have chosen goes after them.
    """
    with client_of_environment() as client:
        begun = client.templates.remove(name, srs, pool)
        rows = _follow(client, name, begun, as_json=as_json) if not no_wait else begun
    _say(rows, as_json=as_json)
    return _exit_code(rows, "" if no_wait else GONE)


def _follow(client: LaunchClient, name: str, begun: Answers, *, as_json: bool) -> Answers:
    """Show copies until nothing is under way any more; how they stand then."""
    shown = show_copies.Shown(sys.stderr, as_json=as_json)
    rows = begun
    try:
        while any(row.get("state") in GOING_ON for row in rows):
            shown.see(rows)
            time.sleep(LOOK_EVERY)
            rows = _look_again(client, name, begun, rows)
    except KeyboardInterrupt:
        complain(f"Stopped watching; it goes on. 'xenlaunch template list {name}' shows how far.")
        raise
    finally:
        shown.close()
    return rows


def _look_again(client: LaunchClient, name: str, begun: Answers, before: Answers) -> Answers:
    """The copies that were asked for, as they stand now; as before where no pool tells."""
    asked = {(row["pool"], row["sr"]): row for row in begun if "sr" in row}
    [pool] = {pool for pool, _ in asked}
    found = client.templates.copies(name, pool)
    if not any("sr" in row for row in found):
        return before
    now = {(row["pool"], row["sr"]): row for row in found if "sr" in row}
    return [now.get(place, _without(row)) for place, row in asked.items()]


def _without(row: dict[str, Any]) -> dict[str, Any]:
    """The row of a copy that nothing is known of any more; a refusal stays as it is."""
    return row if row["state"] == "failed" else {**row, "state": GONE, "percent": None}


def _say(rows: Answers, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows))
    else:
        print_table(show_copies.copies_table(rows))


def _exit_code(rows: Answers, wanted: str) -> int:
    """Whether nothing failed, and all is as it was wanted."""
    wrong = any(row["error"] or wanted not in ("", row["state"]) for row in rows)
    return NOT_SUCCEEDED if wrong else DONE
