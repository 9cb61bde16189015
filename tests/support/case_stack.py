"""The cases, launched for somebody who reads what came of them with a client of their own.

``python -m tests.support.case_stack FOLDER`` prints a line of JSON for each file of cases and each
profile of it, when all of it has ended: the file, the profile, where its pool is, and the name and
uuid of each case's VM. On a line of input it has all of them destroyed, and goes on. It ends where
its input does.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.conftest import starter
from tests.flow.test_cases import FILES, POOLS, TRAFFIC, prepare, run
from tests.support.cases import PROFILES, Case
from tests.support.simulators import SimulatorProcess
from tests.support.stacks import Stack
from workers.embedded import EmbeddedServer

USUAL = ("--time-scale", "0", "--srs", "2")


def main(folder: Path) -> None:
    pools: dict[tuple[str, ...], dict[str, list[Case]]] = {}
    for file, cases in FILES.items():
        for profile in PROFILES:
            shown = [one for one in cases if one.profile == profile and not one.refused]
            if shown:
                options = (*POOLS.get(file, USUAL), "--profile", profile)
                pools.setdefault(options, {})[file] = shown
    for number, (options, files) in enumerate(pools.items()):
        if not show_all(folder / str(number), options, files):
            return


def show_all(folder: Path, options: Sequence[str], files: Mapping[str, list[Case]]) -> bool:
    """Show the files of cases that are for one pool, on a stack of its own."""
    folder.mkdir()
    with ExitStack() as closing:
        redis = EmbeddedServer(folder / "redis", appendfsync="everysec")
        closing.enter_context(redis)
        pool = SimulatorProcess(folder / "simulator.log", *options)
        closing.callback(pool.stop)
        pool.child.start()
        stack = Stack(redis.url, pool, starter(redis.url, folder, closing))
        pool.settings["traffic"] = TRAFFIC
        stack.start_worker()
        return all(show(stack, file, cases) for file, cases in files.items())


def show(stack: Stack, file: str, cases: list[Case]) -> bool:
    """Launch the cases of a file, have them read, and destroy them. False: nobody reads on."""
    prepare(stack, cases)
    ended = run(stack, cases, file)
    said = {
        "file": file,
        "profile": cases[0].profile,
        "url": stack.pool.url,
        "password": stack.pool.password,
        "vms": {case: (status.name, status.vm_uuid) for case, status in ended.items()},
    }
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    if not sys.stdin.readline():
        return False
    launches = [status.id for status in ended.values() if status.state == "succeeded"]
    for launch in launches:
        stack.client.destroy(launch)
    return {one.state for one in stack.ended(launches)} == {"destroyed"}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
