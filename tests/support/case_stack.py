"""The cases, launched for somebody who reads what came of them with a client of their own.

``python -m tests.support.case_stack FOLDER`` prints a line of JSON for each file of cases, when all
of it has ended: the file, where its pool is, and the name and uuid of each case's VM. On a line of
input it has all of them destroyed, and goes on with the next file. It ends where its input does.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.conftest import starter
from tests.flow.test_cases import FILES, POOLS, TRAFFIC, prepare, run
from tests.support.cases import Case
from tests.support.simulators import SimulatorProcess
from tests.support.stacks import Stack
from workers.embedded import EmbeddedServer


def main(folder: Path) -> None:
    pools = dict.fromkeys(POOLS.get(file, ()) for file in FILES)
    for number, options in enumerate(pools):
        files = {file: cases for file, cases in FILES.items() if POOLS.get(file, ()) == options}
        if not show_all(folder / str(number), options, files):
            return


def show_all(folder: Path, options: Sequence[str], files: Mapping[str, Sequence[Case]]) -> bool:
    """Show the files of cases that are for one pool, on a stack of its own."""
    folder.mkdir()
    with ExitStack() as closing:
        redis = EmbeddedServer(folder / "redis", appendfsync="everysec")
        closing.enter_context(redis)
        usual = ("--time-scale", "0", "--srs", "2")
        pool = SimulatorProcess(folder / "simulator.log", *(options or usual))
        closing.callback(pool.stop)
        pool.child.start()
        stack = Stack(redis.url, pool, starter(redis.url, folder, closing))
        pool.settings["traffic"] = TRAFFIC
        stack.start_worker()
        for file, cases in files.items():
            wanted = [one for one in cases if one.profile == "current" and not one.refused]
            if wanted and not show(stack, file, wanted):
                return False
    return True


def show(stack: Stack, file: str, cases: list[Case]) -> bool:
    """Launch the cases of a file, have them read, and destroy them. False: nobody reads on."""
    prepare(stack, cases)
    ended = run(stack, cases, file)
    vms = {case: (status.name, status.vm_uuid) for case, status in ended.items()}
    said = {"file": file, "url": stack.pool.url, "password": stack.pool.password, "vms": vms}
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
