"""The pages of the docs, and what stands in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.make_docs import MADE, pages

from tests.support.paths import ROOT

PAGES = [*pages(), ROOT / "CONTRIBUTING.md"]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]

_BLOCK = re.compile(r"^```(?P<kind>\w*) ?(?P<file>\S*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block: what it is, the file that it would be, and where it stands."""

    page: Path
    kind: str
    file: str
    text: str

    @property
    def id(self) -> str:
        line = self.page.read_text().partition(self.text)[0].count("\n")
        return f"{self.page.name}:{line}"


def blocks(*kinds: str, page: Path | None = None) -> Iterator[Block]:
    """The blocks of these kinds that somebody wrote, of one page or of all."""
    for one in PAGES if page is None else [page]:
        for found in _BLOCK.finditer(MADE.sub("", one.read_text())):
            if found["kind"] in kinds:
                yield Block(one, found["kind"], found["file"], found["text"])


def prose(page: Path) -> str:
    """What somebody wrote, without blocks, code and made parts."""
    text = _BLOCK.sub("", MADE.sub("", page.read_text()))
    return re.sub(r"`[^`\n]*`|\]\([^)]*\)", "", text)
