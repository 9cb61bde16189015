"""One word, one meaning: the docs keep to their glossary."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, prose
from tests.support.paths import ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"
ENTRY = re.compile(
    r"^- \*\*(?P<word>[\w -]+)\*\*: .*? "
    r"\*In the code:\* (?P<code>.+?)\. \*Never:\* (?P<never>.+)\.$",
    re.MULTILINE,
)
OF_OTHERS = re.compile(
    r"Redis-compatible server|one server and not a cluster|no cluster|Redis Cluster|Windows Server"
    r"|Workers, simulators and servers are processes"
)
"""Where such a word is somebody else's."""

ENTRIES = list(ENTRY.finditer(GLOSSARY.read_text()))
ALSO_NEVER = {"server", "rollback", "instance", "job"}

CODE = "\n".join(
    path.read_text()
    for room in ("xenlaunch", "tasks", "scheduler", "workers")
    for kind in ("*.py", "*.lua")
    for path in sorted((ROOT / room).rglob(kind))
)


def test_every_line_is_an_entry() -> None:
    assert len(ENTRIES) == GLOSSARY.read_text().count("\n- **")


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["word"] for entry in ENTRIES])
def test_a_word_is_used_in_code_and_docs(entry: re.Match[str]) -> None:
    missing = [
        name
        for name in re.findall(r"`(\w+)`", entry["code"])
        if not re.search(rf"\b{name}\b", CODE)
    ]
    elsewhere = " ".join(page.read_text().lower() for page in PAGES if page != GLOSSARY)

    assert missing == []
    assert entry["word"].lower() in elsewhere


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p != GLOSSARY], ids=lambda page: str(page.relative_to(ROOT))
)
def test_no_page_says_what_the_glossary_never_says(page: Path) -> None:
    never = {word.strip() for entry in ENTRIES for word in entry["never"].split(",")} | ALSO_NEVER
    text = OF_OTHERS.sub("", prose(page)).lower()

    assert [word for word in sorted(never) if re.search(rf"\b{word.lower()}s?\b", text)] == []
