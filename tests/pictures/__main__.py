"""Pictures of our page in Flower, wide and narrow, light and dark: ``make pictures``."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from playwright.sync_api import Browser

from tests.conftest import starter
from tests.support.browsers import CHROMIUM, SCHEMES, WIDTHS, chromium, opened
from tests.support.flowers import FlowerProcess, run_flower
from tests.support.paths import ROOT
from tests.support.simulators import SimulatorProcess
from tests.support.stacks import Stack
from tests.support.waiting import wait_until
from workers.embedded import EmbeddedServer
from xenlaunch import LaunchRequest
from xenlaunch.batches import Batch
from xenlaunch.states import ENDED

FOLDER: Final = ROOT / "docs" / "img"
MISSING: Final = f"{CHROMIUM} is needed: sudo apt-get install chromium"

COUNT: Final = 60
CLONING: Final = range(8, COUNT, 9)
STARTING: Final = range(5, COUNT, 6)
NO_KERNEL: Final = {
    "method": "VM.start_on",
    "error": ["BOOTLOADER_FAILED", "", "no kernel"],
}
STUCK: Final = {"action": "delay", "seconds": 3600}
FATES: Final[Mapping[int, Mapping[str, Any]]] = {
    **dict.fromkeys((3, 19, 33, 46), NO_KERNEL),
    **{number: {"method": "VM.start_on", "phase": "placed", **STUCK} for number in STARTING},
    **{number: {"method": "VM.clone", "phase": "disk", **STUCK} for number in CLONING},
}
"""What befalls which launches of the batch: the others come up."""


def main() -> int:
    if shutil.which(CHROMIUM) is None:
        print(MISSING, file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder, stack_in(Path(folder)) as (stack, flower):
        batch, failed = ask_for_some(stack)
        with chromium() as browser:
            take(browser, flower, batch, failed)
    return 0


@contextmanager
def stack_in(folder: Path) -> Iterator[tuple[Stack, FlowerProcess]]:
    """A pool that takes its time, a worker and Flower."""
    with ExitStack() as ends:
        redis = ends.enter_context(EmbeddedServer(folder / "redis"))
        pool = SimulatorProcess(folder / "simulator.log", "--hosts", "8", "--time-scale", "0.5")
        ends.callback(pool.stop)
        pool.child.start()
        stack = Stack(redis.url, pool, starter(redis.url, folder, ends))
        stack.start_worker(concurrency=32)
        yield stack, ends.enter_context(run_flower(redis.url, folder))


def ask_for_some(stack: Stack) -> tuple[str, str]:
    """Two batches that have ended and one that is under way, and a launch of it that failed."""
    stack.ended(ask(stack, 6, name="db", memory="8GiB", vcpus=4).launches)
    brief = ask(stack, 1, name="brief")
    stack.until(brief.launches[0], "start")
    stack.client.cancel(brief.id)
    web = ask(stack, COUNT, name="web", nics=[{"network": "guest"}], wait_for="address")
    stack.pool.faults(
        [{**fate, "mark": f"*/{web.launches[number]}/*"} for number, fate in FATES.items()]
    )
    going = len({*STARTING, *CLONING})
    wait_until(lambda: count(stack, web, *ENDED) == COUNT - going, 120, "all others have ended")
    return web.id, next(one.id for one in stack.statuses(web.launches) if one.state == "failed")


def ask(stack: Stack, number: int, **fields: Any) -> Batch:
    request = LaunchRequest.parse({"template": "debian-12", **fields})
    return stack.client.submit_batch(request, number)


def count(stack: Stack, batch: Batch, *states: str) -> int:
    return sum(one.state in states for one in stack.statuses(batch.launches))


def take(browser: Browser, flower: FlowerProcess, batch: str, failed: str) -> None:
    """Each page at each width in each scheme."""
    pages = {"launches": f"/launches?batch={batch}", "failed": f"/launches/{failed}"}
    for (what, path), width, scheme in product(pages.items(), WIDTHS, SCHEMES):
        with opened(browser, flower, path, width, scheme) as page:
            page.locator(".batch, .error").first.wait_for()
            picture = FOLDER / f"{what}-{width}-{scheme}.png"
            page.screenshot(path=picture)
            print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size // 1000} kB")


if __name__ == "__main__":
    sys.exit(main())
