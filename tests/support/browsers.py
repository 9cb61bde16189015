"""A browser that looks at Flower: the Chromium of the system, driven by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.flowers import FlowerProcess
from workers.flowerpage.options import USER

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
WIDTHS: Final = {1600: 1000, 360: 780}
SCHEMES: Final = ("light", "dark")
PATIENCE_MS: Final = 60_000


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser,
    flower: FlowerProcess,
    path: str,
    width: int = 1600,
    scheme: str = "light",
    *,
    breaks: bool = False,
) -> Iterator[Page]:
    """A page of Flower, logged in and live, in a window of its own.

    It may ask nobody else, and may log no error, but where the line to Flower ``breaks``.
    """
    context = browser.new_context(
        base_url=flower.url,
        viewport={"width": width, "height": WIDTHS[width]},
        color_scheme="dark" if scheme == "dark" else "light",
        http_credentials={"username": USER, "password": flower.password},
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    elsewhere: list[str] = []
    page.on("request", lambda asked: elsewhere.append(asked.url))
    try:
        page.goto(path, wait_until="domcontentloaded")
        page.locator("#live[data-state=live]").wait_for()
        yield page
        assert breaks or errors == []
        assert [url for url in elsewhere if not url.startswith((flower.url, "data:"))] == []
    finally:
        context.close()
