"""The parts of the docs that are made from the code: ``python -m tools.make_docs [--check]``.

A page has such a part between two comments, ``<!-- made: NAME ARGUMENT -->`` and ``<!-- end -->``;
what stands between them is written anew. `tools.docs_parts` says what each name makes.
"""  # noqa: INP001  tools are run from the checkout, and are no package

import re
import sys
from pathlib import Path
from typing import Final

from bench.schedule import PICTURE, picture
from tools.docs_parts import PARTS
from tools.request_schema import SCHEMA, schema_text

ROOT: Final = Path(__file__).resolve().parents[1]

MADE: Final = re.compile(
    r"^<!-- made: (?P<name>[a-z-]+)(?: (?P<argument>[^\n]+?))? -->$.*?^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def remade(page: str) -> str:
    """The page with every made part as the code has it now."""
    return MADE.sub(_make, page)


def _make(found: re.Match[str]) -> str:
    name, argument = found["name"], found["argument"] or ""
    text = "\n".join(PARTS[name](argument)).lstrip("\n").rstrip()
    opening = f"<!-- made: {name} {argument}".rstrip()
    return f"{opening} -->\n\n{text}\n\n<!-- end -->"


def made_anew() -> dict[Path, str]:
    """What each page, the schema of a request, and the picture of the model should say."""
    made = {page: remade(page.read_text()) for page in pages()}
    return {**made, SCHEMA: schema_text(), PICTURE: picture()}


def stale() -> dict[Path, str]:
    """The files that say something else than the code, with what they should say."""
    return {
        file: text
        for file, text in made_anew().items()
        if not file.exists() or file.read_text() != text
    }


def main(arguments: list[str]) -> int:
    found = stale()
    for file, text in found.items():
        sys.stdout.write(f"{file.relative_to(ROOT)}\n")
        if "--check" not in arguments:
            file.write_text(text)
    return 1 if found and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
