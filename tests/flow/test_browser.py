"""The page of launches in a browser: live, read by keyboard, at both widths, dark and light."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.flow.conftest import MakeStack
from tests.support.browsers import PATIENCE_MS, SCHEMES, WIDTHS, chromium, opened
from tests.support.flowers import FlowerProcess, run_flower
from tests.support.stacks import Stack
from xenlaunch import LaunchRequest

pytestmark = [pytest.mark.full("chromium"), pytest.mark.timeout(300)]

LOST = {"name": "lost", "disks": [{"vdi": "6a7c0000-0000-0000-0000-000000000000"}]}
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def stack(make_stack: MakeStack) -> Stack:
    """A pool that takes its time, so that there is something to watch."""
    made = make_stack(time_scale=0.1)
    made.start_worker()
    return made


@pytest.fixture
def flower(stack: Stack, tmp_path: Path) -> Iterator[FlowerProcess]:
    with run_flower(stack.url, tmp_path) as process:
        yield process


def test_a_batch_is_watched_to_its_end_without_a_reload(
    browser: Browser, stack: Stack, flower: FlowerProcess
) -> None:
    with opened(browser, flower, "/launches") as page:
        page.evaluate("window.sameDocument = true")
        batch = stack.client.submit_batch(LaunchRequest(name="web", template="debian-12"), 30)
        card = page.locator(f"li[data-key={batch.id}]")
        expect(card).to_contain_text("of 30 succeeded")
        bar = card.get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", re.compile(r"[1-9]|[12]\d"))
        expect(card).to_contain_text("30 of 30 succeeded")

        expect(bar).to_have_attribute("aria-valuenow", "30")
        expect(page.locator(".row .chip.succeeded")).to_have_count(30)
        assert page.evaluate("window.sameDocument") is True


def test_a_failed_launch_is_found_and_read(
    browser: Browser, stack: Stack, flower: FlowerProcess
) -> None:
    stack.launch()
    failed = stack.launch(**LOST)
    with opened(browser, flower, "/launches") as page:
        page.get_by_role("link", name="failed 1").click()
        expect(page.locator(".row")).to_have_count(1)
        page.get_by_role("link", name="lost-1").click()

        expect(page.get_by_role("heading", name="lost-1")).to_contain_text("failed")
        why = page.get_by_role("region", name="Why it failed")
        expect(why).to_contain_text("The pool has no disk with uuid '6a7c0000")
        expect(why).to_contain_text("VDI_NOT_FOUND")
        steps = page.locator(".timeline .step")
        assert steps.all_inner_texts() == ["in the line", "connect", "undo"]
        assert page.url.endswith(failed.id)


def test_a_launch_is_cancelled_by_keyboard_alone(
    browser: Browser, make_stack: MakeStack, tmp_path: Path
) -> None:
    slow = make_stack("--latency", "VM.start=3000", time_scale=0.1)
    slow.start_worker()
    with run_flower(slow.url, tmp_path) as flower:
        launch = slow.submit(name="brief")[0]
        slow.until(launch, "start", "VM to start", seconds=60)
        with opened(browser, flower, "/launches") as page:
            tab_to(page, "brief-1")
            page.keyboard.press("Enter")
            expect(page.locator(".timeline")).to_contain_text("parked on the VM to start")
            page.locator("#live[data-state=live]").wait_for()
            tab_to(page, "Cancel")
            page.keyboard.press("Enter")
            expect(page.get_by_role("dialog")).to_be_visible()
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_be_hidden()
            assert slow.ledger.status(launch).state == "running"
            tab_to(page, "Cancel")
            page.keyboard.press("Enter")
            tab_to(page, "Cancel the launch")
            page.keyboard.press("Enter")

            expect(page.get_by_role("heading", name="brief-1")).to_contain_text("cancelled")
            expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        assert [one.state for one in slow.ended([launch])] == ["cancelled"]


def tab_to(page: Page, words: str) -> None:
    """Press Tab until what has these words is focused, and the focus can be seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == words:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none"
            return
    pytest.fail(f"{words!r} cannot be reached by Tab")


def test_the_page_comes_back_to_life_when_flower_does(
    browser: Browser, stack: Stack, flower: FlowerProcess
) -> None:
    stack.launch(name="before")
    with opened(browser, flower, "/launches", breaks=True) as page:
        expect(page.locator(".row")).to_have_count(1)
        flower.stop()
        expect(page.locator("#live")).to_have_attribute("data-state", "lost")
        expect(page.locator(".row")).to_have_count(1)
        flower.child.start(timeout=60)
        expect(page.locator("#live")).to_have_attribute("data-state", "live")
        stack.launch(name="after")

        expect(page.locator(".row")).to_have_count(2)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nobody_is_shut_out(
    browser: Browser, stack: Stack, flower: FlowerProcess, width: int, scheme: str
) -> None:
    """No serious finding of axe-core, nothing wider than the window, the colours of the system."""
    batch = stack.client.submit_batch(LaunchRequest(name="web", template="debian-12"), 3)
    failed = stack.launch(**LOST)
    list(stack.client.watch(batch.id, 60))
    good = batch.launches[0]
    for path in ("/launches", f"/launches/{failed.id}", f"/launches/{good}"):
        with opened(browser, flower, path, width, scheme) as page:
            findings = Axe().run(page, context="#main-content").response["violations"]
            wide = page.evaluate("document.documentElement.scrollWidth")
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")

            assert [
                serious(one) for one in findings if one["impact"] in {"serious", "critical"}
            ] == []
            assert wide <= width
            light = sum(int(part) for part in re.findall(r"\d+", ground)[:3]) > 3 * 128
            assert light == (scheme == "light")


def serious(finding: dict[str, Any]) -> str:
    return json.dumps([finding["id"], [node["html"][:120] for node in finding["nodes"][:3]]])
