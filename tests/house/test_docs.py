"""The documents point at what is there."""

import re

from tests.support.paths import ROOT, tracked

LINK = re.compile(r"\[[^\]]*\]\((?!https?://|mailto:|#)([^)#\s]+)")
TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
MENTIONED = re.compile(r"`make ([a-z][a-z-]*)")


def test_every_relative_link_resolves() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {link}"
        for path in tracked("*.md")
        for link in LINK.findall(path.read_text())
        if not (path.parent / link).exists()
    ]

    assert broken == []


def test_every_make_target_that_is_mentioned_exists() -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    mentioned = {
        target for path in tracked("*.md") for target in MENTIONED.findall(path.read_text())
    }

    assert mentioned - targets == set()


def test_every_target_is_helped() -> None:
    """A target without a ``##`` is internal and begins with a dot or a folder."""
    makefile = (ROOT / "Makefile").read_text()
    helped = set(re.findall(r"^([a-z][a-z-]*):.*##", makefile, re.MULTILINE))

    assert set(TARGET.findall(makefile)) == helped
