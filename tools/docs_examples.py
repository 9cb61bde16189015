"""The page of examples: the requests of the cases, which the tests launch."""  # noqa: INP001  tools are no package

from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.support.cases import CASES, Case, read_cases


def examples(_: str) -> Iterator[str]:
    """Each file of cases: what it is about, and its requests, each with what it is for."""
    for file in sorted(CASES.glob("*.yaml")):
        text = file.read_text()
        yield f"### {heading(file, text)}"
        yield ""
        yield "| What | Request | Refused |"
        yield "| --- | --- | --- |"
        for case in read_cases(text):
            cells = (case.name, f"`{shown(case)}`", case.refused or "")
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        yield ""


def heading(file: Path, text: str) -> str:
    """The first sentence of a file's first comment, or its name."""
    first = text.partition("\n")[0]
    said = first.removeprefix("# ").partition(". ")[0].rstrip(".") if first.startswith("# ") else ""
    return said or file.stem.replace("_", " ").capitalize()


def shown(case: Case) -> str:
    """The request on one line, with the template where it is not the usual one."""
    template = {} if case.template == "debian-12" else {"template": case.template}
    return yaml.safe_dump(
        {**template, **case.request}, default_flow_style=True, sort_keys=False, width=10_000
    ).strip()
