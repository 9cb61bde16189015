"""The command line: ``xenlaunch COMMAND``, for people and for scripts.

Exit codes: 0 done; 1 a launch did not succeed, or it is too late; 2 bad input or an unknown ID;
3 Redis could not be reached, or no worker answered; 130 stopped by Ctrl-C.
"""

import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, TextIO

import click
from redis import RedisError

from xenlaunch import show, states
from xenlaunch.batch_file import Asked, Said, read_asked
from xenlaunch.cli_template import template
from xenlaunch.client import LaunchClient
from xenlaunch.errors import (
    BadRequest,
    BadSettings,
    LaunchEnded,
    StillRunning,
    TokenReused,
    TooLate,
    UnknownLaunch,
    XenlaunchError,
)
from xenlaunch.model import LaunchRequest, LaunchStatus
from xenlaunch.progress import Progress, conclude, last_line
from xenlaunch.schema import file_schema, schema
from xenlaunch.shell import (
    BAD_INPUT,
    DONE,
    INTERRUPTED,
    NO_ANSWER,
    NOT_SUCCEEDED,
    as_json_option,
    client_of_environment,
    complain,
    print_table,
)

BATCH_ID: Final = "b-"
"""How the ID of a batch begins."""

_file = click.argument("file", type=click.File(encoding="utf-8"))
_pool = click.option("--pool", metavar="P", help="Launch on this pool, whatever the file says.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Launch VMs on XenServer and XCP-ng pools.

    An ID is that of a launch or of a batch. Redis is found by XENLAUNCH_REDIS_URL.
    """


@cli.command()
@_file
@click.option("--count", type=int, metavar="N", help="Launch a batch of so many VMs.")
@click.option("--name", metavar="PATTERN", help="The VM's name; in a batch like 'web-{:03}'.")
@_pool
@click.option("--min-count", type=int, metavar="N", help="Fewer come up: undo all of the batch.")
@click.option("--tolerate", metavar="N|P%", help="More fail: begin no more of the batch.")
@click.option("--all-or-nothing", is_flag=True, help="One fails: undo all of the batch.")
@click.option("--token", metavar="T", help="The same token again finds the same launch.")
@click.option("--wait", is_flag=True, help="Wait until all have ended, and show how it goes.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Wait at most so long.")
@as_json_option
def launch(
    file: TextIO,
    *,
    count: int | None,
    name: str | None,
    pool: str | None,
    min_count: int | None,
    tolerate: str | None,
    all_or_nothing: bool,
    token: str | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> int:
    """Launch what FILE asks for ('-': standard input)."""
    if timeout is not None and not wait:
        raise click.UsageError("--timeout says how long to wait: it goes with --wait.")
    policy = _policy(min_count, tolerate, all_or_nothing=all_or_nothing)
    asked = read_asked(file, file.name, Said(count, name, pool, policy))
    token = token or str(uuid.uuid4())
    with client_of_environment() as client:
        try:
            batch, launches = _submit(client, asked, token)
        except KeyboardInterrupt:
            complain(f"Stopped while submitting: --token {token} finds what was accepted.")
            return INTERRUPTED
        _say_accepted(batch, launches, asked.name, as_json=as_json)
        return _wait(client, batch or launches[0], len(launches), timeout) if wait else DONE


@cli.command()
@click.argument("id_", metavar="ID")
@as_json_option
def status(id_: str, *, as_json: bool) -> int:
    """Say where a launch or a batch is."""
    with client_of_environment() as client:
        if as_json:
            click.echo(show.as_json(client.statuses(id_)))
        elif id_.startswith(BATCH_ID):
            click.echo(show.batch_text(client.batch_status(id_), client.batch_failures(id_)))
        else:
            click.echo(show.launch_text(client.status(id_)))
    return DONE


@cli.command()
@click.argument("id_", metavar="ID")
def watch(id_: str) -> int:
    """Follow a launch or a batch until it has ended."""
    with client_of_environment() as client:
        return _wait(client, id_, len(client.statuses(id_)), None)


@cli.command()
@click.argument("id_", metavar="ID")
def cancel(id_: str) -> int:
    """Have a launch, or all of a batch, undone."""
    with client_of_environment() as client:
        statuses = client.cancel(id_)
        return _say_changed(client, id_, _cancelling(statuses[0]))


@cli.command()
@click.argument("id_", metavar="ID")
def destroy(id_: str) -> int:
    """Have the VM of a launch that has ended, or of all of a batch, removed with its disks."""
    with client_of_environment() as client:
        statuses = client.destroy(id_)
        return _say_changed(client, id_, _reopened(statuses[0], "will be destroyed"))


@cli.command()
@click.argument("id_", metavar="ID")
def retry(id_: str) -> int:
    """Have a launch that failed or was cancelled, or all such of a batch, begin again."""
    with client_of_environment() as client:
        statuses = client.retry(id_)
        return _say_changed(client, id_, _reopened(statuses[0], "begins again"))


@cli.command()
@click.argument("id_", metavar="ID")
def resume(id_: str) -> int:
    """Launch what is missing of a batch: what failed, was cancelled, or was undone with it."""
    with client_of_environment() as client:
        click.echo(show.batch_text(client.resume(id_)))
    return DONE


@cli.command(name="list")
@click.option("--state", type=click.Choice(states.PUBLIC), help="Only those in this state.")
@click.option("--batch", metavar="ID", help="Only those of this batch.")
@as_json_option
def list_(*, state: str | None, batch: str | None, as_json: bool) -> int:
    """List the launches: a table on a terminal, else an array of JSON."""
    with client_of_environment() as client:
        statuses = client.list(state, batch)
    if as_json or not sys.stdout.isatty():
        click.echo(show.as_json(statuses))
    else:
        print_table(show.launches_table(statuses))
    return DONE


@cli.command()
@_file
@_pool
@as_json_option
def plan(file: TextIO, *, pool: str | None, as_json: bool) -> int:
    """Say what a launch of FILE would do now, and do nothing; exit code 1 where it would fail.

    Of launches that differ in their name alone the first is planned; where several are left, --json
    gives an array.
    """
    asked = read_asked(file, file.name, Said(pool=pool))
    firsts: dict[LaunchRequest, LaunchRequest] = {}
    for request in asked.requests:
        firsts.setdefault(request.but(name=""), request)
    distinct = list(firsts.values())
    with client_of_environment() as client:
        plans = [client.plan(one) for one in distinct]
    if as_json:
        click.echo(json.dumps(plans if len(plans) > 1 else plans[0]))
    else:
        click.echo(show.plans_text([one.name for one in distinct], plans))
    return DONE if all(map(could_succeed, plans)) else NOT_SUCCEEDED


def could_succeed(plan: Mapping[str, Any]) -> bool:
    hosts = plan.get("hosts") or ()
    return not plan.get("error") and (not hosts or any(host["fits"] for host in hosts))


@cli.command()
@as_json_option
def pools(*, as_json: bool) -> int:
    """Say how the pools are, as a worker sees them."""
    with client_of_environment() as client:
        found = client.pools()
    if as_json:
        click.echo(json.dumps(found))
    else:
        print_table(show.pools_table(found))
        print_table(show.storage_table(found))
        for doubt in show.doubts(found):
            click.echo(doubt)
    return DONE


@cli.command()
@as_json_option
def adopt(*, as_json: bool) -> int:
    """Have a worker read the pools back into a Redis that has lost what it knew."""
    with client_of_environment() as client:
        found = client.adopt()
    click.echo(json.dumps(found) if as_json else show.adopted_text(found))
    return NOT_SUCCEEDED if any(pool["error"] for pool in found) else DONE


@cli.group()
def networks() -> None:
    """Look after the networks that were made for launches."""


@networks.command()
@click.option("--pool", metavar="P", help="Only this pool's.")
@click.option("--remove", is_flag=True, help="Remove the idle ones.")
@as_json_option
def prune(*, pool: str | None, remove: bool, as_json: bool) -> int:
    """Say which networks that were made for launches are idle; with --remove, remove them."""
    with client_of_environment() as client:
        found = client.networks(pool, remove=remove)
    click.echo(json.dumps(found) if as_json else show.networks_text(found))
    return NOT_SUCCEEDED if any("error" in network for network in found) else DONE


cli.add_command(template)


@cli.command(name="schema")
@click.option("--file", "of_file", is_flag=True, help="Of a request file, which may be a batch.")
def schema_(*, of_file: bool) -> int:
    """Print the JSON Schema of a request, for editors and programs."""
    click.echo(json.dumps(file_schema() if of_file else schema(), indent=2))
    return DONE


def _policy(
    min_count: int | None, tolerate: str | None, *, all_or_nothing: bool
) -> dict[str, object]:
    """What was said of a batch's policy, as it would stand in the file."""
    said = {
        "min_count": min_count,
        "tolerate": int(tolerate) if tolerate and tolerate.isdecimal() else tolerate,
        "all_or_nothing": all_or_nothing or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _submit(client: LaunchClient, asked: Asked, token: str) -> tuple[str | None, tuple[str, ...]]:
    """Submit one launch, or a batch: the batch's id and the launches'."""
    if not asked.is_batch:
        return None, (client.submit(asked.requests[0], token=token).id,)
    accepted = client.submit_batch(
        asked.requests, name=asked.name, token=token, policy=asked.policy
    )
    return accepted.id, accepted.launches


def _say_accepted(batch: str | None, launches: Sequence[str], name: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"batch": batch, "launches": list(launches)}))
    elif batch:
        click.echo(f"accepted {len(launches)} launches as batch {batch}")
    else:
        click.echo(f"accepted {show.printable(name)} as launch {launches[0]}")
    sys.stdout.flush()


def _wait(client: LaunchClient, which: str, count: int, timeout: float | None) -> int:
    """Show launches until they have ended: whether all succeeded, as an exit code."""
    console = show.console_on(sys.stderr)
    progress = Progress(console, count)
    try:
        with progress:
            statuses = progress.follow(client.watch(which, timeout))
    except StillRunning as late:
        complain(f"{late} 'xenlaunch watch {which}' follows on.")
        return NOT_SUCCEEDED
    except KeyboardInterrupt:
        complain(
            f"Stopped watching; the launches go on. 'xenlaunch watch {which}' follows them again, "
            f"'xenlaunch cancel {which}' has them undone."
        )
        return INTERRUPTED
    succeeded = conclude(console, statuses)
    if which.startswith(BATCH_ID):
        batch = client.batch_status(which)
        succeeded = batch.state == states.SUCCEEDED
        if batch.reason:
            complain(batch.reason)
    console.print(last_line(statuses, count, progress.seconds), soft_wrap=True)
    return DONE if succeeded else NOT_SUCCEEDED


def _cancelling(status: LaunchStatus) -> str:
    if status.has_ended:
        return "cancelled"
    return f"will be cancelled; 'xenlaunch watch {status.id}' shows how what it made is removed"


def _reopened(status: LaunchStatus, said: str) -> str:
    said = status.state if status.has_ended else said
    return f"{said}; 'xenlaunch watch {status.id}' shows how it goes"


def _say_changed(client: LaunchClient, id_: str, of_a_launch: str) -> int:
    """How a batch is now, or what is said of a launch."""
    if id_.startswith(BATCH_ID):
        click.echo(show.batch_text(client.batch_status(id_)))
    else:
        click.echo(f"{id_}: {of_a_launch}")
    return DONE


def _exit_code(error: XenlaunchError) -> int:
    if isinstance(error, BadRequest | TokenReused | UnknownLaunch | BadSettings):
        return BAD_INPUT
    if isinstance(error, TooLate | StillRunning | LaunchEnded):
        return NOT_SUCCEEDED
    return NO_ANSWER


def run(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code; no error comes out as a traceback."""
    try:
        answer: Any = cli.main(arguments, prog_name="xenlaunch", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as wrong:
        wrong.show()
        return BAD_INPUT
    except click.ClickException as wrong:
        complain(f"{wrong.format_message().rstrip('.')}. {_hint(wrong)}".rstrip())
        return BAD_INPUT
    except XenlaunchError as error:
        complain(error.message)
        return _exit_code(error)
    except RedisError as refused:
        complain(f"Redis refused: {refused}.")
        return NO_ANSWER
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return answer if isinstance(answer, int) else DONE


def _hint(wrong: click.ClickException) -> str:
    context = wrong.ctx if isinstance(wrong, click.UsageError) else None
    return f"See '{context.command_path} --help'." if context else ""


def main() -> NoReturn:
    """The command `xenlaunch`."""
    sys.exit(run())


if __name__ == "__main__":
    main()
