"""What must hold of every file."""

import ast
import re
import statistics
from pathlib import Path

import pytest

from tests.support.paths import ROOT, tracked

LIMIT = 400

VERBS = {
    "xenlaunch": "SPEAKS",
    "scheduler": "DECIDES",
    "tasks": "DOES",
    "workers": "RUNS",
    "simulator": "PRETENDS",
}

MACHINE_PATH = re.compile(r"(?<![\w.~-])/(work|root|home/\w+)/")
REGISTRY_HOST = re.compile(
    r"\b(pypi\.org|pythonhosted\.org|npmjs\.(org|com)|docker\.io|ghcr\.io|quay\.io|gcr\.io)\b"
)
NOQA = re.compile(r"#\s*noqa\b(?P<codes>:\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*)?(?P<reason>.*)")
TYPE_IGNORE = re.compile(r"#\s*type:\s*ignore(?P<codes>\[[\w, -]+\])?(?P<reason>.*)")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_python_file_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    lines = {named(path): len(path.read_text().splitlines()) for path in tracked("*.py")}
    p90 = statistics.quantiles(lines.values(), n=10)[-1]
    with capsys.disabled():
        print(f" [nine in ten files have at most {p90:.0f} lines] ", end="")  # noqa: T201  a report

    assert {name: count for name, count in lines.items() if count > LIMIT} == {}


def test_nothing_names_a_machine_or_a_registry() -> None:
    found = []
    for path in tracked():
        text = path.read_text(errors="replace")
        if path != Path(__file__) and (MACHINE_PATH.search(text) or REGISTRY_HOST.search(text)):
            found.append(named(path))

    assert found == []


@pytest.mark.parametrize(("room", "verb"), VERBS.items())
def test_each_room_says_its_verb(room: str, verb: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text()))

    assert re.search(rf"\b{verb}\b", (docstring or "").partition("\n")[0])


@pytest.mark.parametrize("exemption", [NOQA, TYPE_IGNORE], ids=["noqa", "type-ignore"])
def test_each_exemption_names_its_rule_and_its_reason(exemption: re.Pattern[str]) -> None:
    bare = [
        f"{named(path)}:{number}"
        for path in tracked("*.py")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (match := exemption.search(line))
        and not (match["codes"] and re.search(r"\w{3}", match["reason"]))
    ]

    assert bare == []


def test_each_rule_that_is_off_has_a_reason() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    ignored = project[project.index("\nignore = [") :].partition("\n]")[0].splitlines()[2:]

    assert [line for line in ignored if "#" not in line] == []


@pytest.mark.parametrize("lock", ["run", "dev", "peers"])
def test_a_lock_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    pins = re.split(r"\n(?=\S)", text.strip())

    assert pins
    assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize("lock", ["run", "dev"])
def test_a_lock_holds_what_the_wheel_needs(lock: str) -> None:
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / f"requirements/{lock}.txt").read_text(), re.M))
    project = (ROOT / "pyproject.toml").read_text()
    needs = re.search(r"\ndependencies = \[(.*?)\n\]", project, re.DOTALL)

    assert needs
    assert {name.lower() for name in re.findall(r'"([\w.-]+)', needs[1])} <= locked
