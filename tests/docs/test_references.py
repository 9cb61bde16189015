"""What the docs name is there: pages, headings, files, commands, options."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import IDS, PAGES, blocks
from tests.support.paths import ROOT, tracked
from xenlaunch.cli import cli

LINK = re.compile(r"\]\((?!https?://)(?P<path>[^)#\s]*)(?:#(?P<heading>[^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FILE = re.compile(r"`([\w./-]+/[\w.-]+\.(?:py|lua|md|toml|txt))`")
COMMAND = re.compile(r"\bxenlaunch ([a-z]+)((?: (?:--?[a-z]+|[\w.'{}:$-]+))*)")
CHANGELOG = ROOT / "CHANGELOG.md"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.finditer(page.read_text()):
        target = (page.parent / link["path"]).resolve() if link["path"] else page
        if not target.exists() or (link["heading"] and link["heading"] not in anchors(target)):
            broken.append(link[0])

    assert broken == []


def anchors(page: Path) -> set[str]:
    headings = HEADING.findall(page.read_text())
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, CHANGELOG], ids=[*IDS, "CHANGELOG.md"])
def test_every_file_that_is_named_is_there(page: Path) -> None:
    named = FILE.findall(page.read_text())
    missing = {name for name in named if not any(ROOT.glob(name))}

    assert missing - {"requirements/*.in"} == set()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_that_is_named_is_there(page: Path) -> None:
    wrong = []
    written = re.findall(r"`([^`\n]+)`", page.read_text())
    for text in [*written, *(block.text for block in blocks("console", page=page))]:
        for name, words in COMMAND.findall(text):
            options = set(re.findall(r"--[a-z]+", words))
            if name not in cli.commands:
                wrong.append(name)
            else:
                known = {o for p in cli.commands[name].params for o in p.opts} | {"--help"}
                wrong += [f"{name} {option}" for option in options - known]

    assert sorted(set(wrong) - planned(page)) == []


def planned(page: Path) -> set[str]:
    """The commands that a page says are not there yet."""
    not_yet = page.read_text().partition("## Not yet")[2]
    return set(re.findall(r"`(?:xenlaunch )?([a-z]+)`", not_yet))


def test_every_picture_is_shown_or_linked_and_is_small() -> None:
    linked = {
        (page.parent / link["path"]).resolve()
        for page in PAGES
        for link in LINK.finditer(page.read_text())
        if link["path"]
    }
    pictures = tracked("docs/img")

    assert pictures
    assert [path.name for path in pictures if path not in linked] == []
    assert [path.name for path in pictures if path.stat().st_size > 150_000] == []


def test_every_picture_says_in_words_what_it_shows() -> None:
    bare = re.compile(r"!\[\s*\]\(")

    assert [page.name for page in PAGES if bare.search(page.read_text())] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = (link["path"] for link in LINK.finditer(page.read_text()) if link["path"])
        ahead += [(page.parent / link).resolve() for link in links]

    assert set(tracked("docs/*.md")) <= seen


def test_no_page_is_long() -> None:
    assert [page.name for page in PAGES if len(page.read_text().splitlines()) > 400] == []
