"""What all commands of the command line share: exit codes, options, the client, and how they talk.

What programs read goes to stdout, progress and errors go to stderr.
"""

import os
import sys
from typing import Final

import click
from rich.console import RenderableType

from xenlaunch import show
from xenlaunch.client import LaunchClient
from xenlaunch.errors import BadSettings
from xenlaunch.password_file import PASSWORD_FILE, URL, with_password

DONE: Final = 0
NOT_SUCCEEDED: Final = 1
BAD_INPUT: Final = 2
NO_ANSWER: Final = 3
INTERRUPTED: Final = 130

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def client_of_environment() -> LaunchClient:
    """A client of the Redis that the environment names."""
    url = os.environ.get(URL, "")
    if not url:
        raise BadSettings(f"Set {URL} to the workers' Redis, such as redis://127.0.0.1:6379/0.")
    return LaunchClient(with_password(url, os.environ.get(PASSWORD_FILE)))


def print_table(table: RenderableType) -> None:
    show.console_on(sys.stdout).print(table)


def complain(message: str) -> None:
    """Say to people what is wrong, or what goes on without them."""
    for line in message.split("\n"):
        click.echo(f"xenlaunch: {show.printable(line)}", err=True)
