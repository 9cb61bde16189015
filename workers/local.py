"""The local stack: ``python -m workers.local demo`` shows it, ``… up`` keeps it running."""

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workers.localstack import LocalStack
    from xenlaunch.client import LaunchClient
    from xenlaunch.model import LaunchRequest, LaunchStatus
    from xenlaunch.progress import Progress

FOLDER: Final = Path(__file__).resolve().parents[1] / ".xenlaunch"
TEMPLATES: Final = ("debian-12", "windows-2022")
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_EVERY: Final = 1.0

UP: Final = """\
Redis             {redis}
simulated pool    {pool} (control {control})
Flower            {flower} (user {user}, password {password})
logs, passwords   {folder}

In another shell:

{exports}
    xenlaunch pools

(the same lines are in {env}.) Ctrl-C stops it all."""


class Interrupted(KeyboardInterrupt):
    """Somebody wants this to end: Ctrl-C, or another signal."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.exit_code = 128 + signum


def main(arguments: list[str] | None = None) -> int:
    """Run a command to its end; whatever the end is, nothing is left running."""
    for signum in SIGNALS:
        signal.signal(signum, _interrupt)
    options = _parser().parse_args(arguments)
    # Here and not above, so that Ctrl-C while they load is no traceback.
    try:
        from xenlaunch.errors import XenlaunchError

        try:
            return demo(options) if options.command == "demo" else up(options)
        except XenlaunchError as error:
            print(f"xenlaunch: {error}", file=sys.stderr)
            return 1
    except Interrupted as interrupted:
        print("stopped: nothing is left running", file=sys.stderr)
        return 0 if options.command == "up" else interrupted.exit_code


def demo(options: argparse.Namespace) -> int:
    """Launch a batch and show it live: 0 only when every VM came up."""
    from workers.localstack import LocalStack, folder_of_its_own
    from xenlaunch.client import LaunchClient
    from xenlaunch.progress import Progress, conclude, last_line
    from xenlaunch.show import console_on, results_table

    console = console_on(sys.stdout)
    with folder_of_its_own(options.folder / "demo") as folder:
        stack = LocalStack(folder, say=console.print, time_scale=options.time_scale)
        console.print("starting a Redis-compatible server, a simulated pool and two workers")
        with _running(stack), LaunchClient(stack.redis.url) as client:
            requests = _requests(options.count)
            console.print(f"launching {len(requests)} VMs on a pool of four hosts")
            progress = Progress(console, len(requests))
            with progress:
                batch = client.submit_batch(requests, name="demo").id
                statuses = _follow(client, batch, progress, stack, options.timeout)
            console.print(results_table(s for s in statuses if s.state == "succeeded"))
            succeeded = conclude(console, statuses)
        if not succeeded:
            console.print(f"the logs are in {folder}", soft_wrap=True)
        console.print(last_line(statuses, len(requests), progress.seconds), soft_wrap=True)
    return 0 if succeeded else 1


def up(options: argparse.Namespace) -> int:
    """Keep a stack running until somebody stops it."""
    from workers.localstack import FLOWER_USER, LocalStack, folder_of_its_own

    with folder_of_its_own(options.folder / "up") as folder:
        stack = LocalStack(folder, say=print, time_scale=options.time_scale, flower=True)
        env_file = options.folder / "env"
        with _running(stack):
            exports = "".join(f"export {k}={shlex.quote(v)}\n" for k, v in stack.env.items())
            env_file.write_text(exports)
            shown = UP.format(
                redis=stack.redis.url,
                pool=stack.pool_url,
                control=stack.control_url,
                flower=stack.flower_url,
                user=FLOWER_USER,
                password=stack.flower_password,
                folder=folder,
                exports="".join(f"    {line}\n" for line in exports.splitlines()).rstrip(),
                env=env_file,
            )
            print(shown, flush=True)
            while True:
                time.sleep(LOOK_EVERY)
                stack.look_after()


@contextmanager
def _running(stack: "LocalStack") -> Iterator[None]:
    """The stack, from its start to its end; the end itself cannot be interrupted."""
    try:
        stack.start()
        yield
    finally:
        for signum in SIGNALS:
            signal.signal(signum, signal.SIG_IGN)
        stack.stop()


def _requests(count: int) -> "list[LaunchRequest]":
    from xenlaunch.model import LaunchRequest

    return [
        LaunchRequest(
            name=f"demo-{number:02}",
            template=TEMPLATES[number % len(TEMPLATES)],
            wait_for="address",
        )
        for number in range(1, count + 1)
    ]


def _follow(
    client: "LaunchClient", batch: str, progress: "Progress", stack: "LocalStack", timeout: float
) -> "list[LaunchStatus]":
    """Show the batch to its end, and look after the stack meanwhile."""
    from xenlaunch.errors import StillRunning

    while True:
        try:
            return progress.follow(client.watch(batch, LOOK_EVERY))
        except StillRunning:
            stack.look_after()
            if progress.seconds > timeout:
                raise


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    raise Interrupted(signum)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers.local", description=__doc__)
    parser.add_argument("command", choices=("demo", "up"))
    parser.add_argument("--count", type=int, default=50, help="how many VMs the demo launches")
    parser.add_argument("--time-scale", type=float, default=0.1, help="of the simulated pool")
    parser.add_argument("--timeout", type=float, default=120, help="of the demo, in seconds")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where all its files lie")
    return parser


if __name__ == "__main__":
    sys.exit(main())
