"""What is missing is said in one sentence, before anything is made."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pictures import __main__ as pictures
from tests.support.paths import ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout in which nothing is installed yet."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def make(copy: Path, *words: str) -> tuple[int, str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(
        ["make", "-C", copy, *words],
        env={**outside, "MAKEFLAGS": ""},  # this test may run under `make test`
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return made.returncode, made.stderr


@pytest.mark.parametrize("target", ["demo", "up", "test", "check", "test-all", "bench"])
def test_without_a_new_enough_python_the_apt_line_is_said(copy: Path, target: str) -> None:
    code, said = make(copy, target, "PYTHON=false")

    assert code != 0
    assert "sudo apt-get install python3 python3-venv" in said
    assert not list(copy.glob(".venv*"))


def test_without_the_venv_module_its_apt_line_is_said(copy: Path) -> None:
    python = copy / "python"
    python.write_text('#!/bin/sh\ncase "$2" in *venv*) exit 1;; esac\n')
    python.chmod(0o755)

    code, said = make(copy, "demo", f"PYTHON={python}")

    assert code != 0
    assert "sudo apt-get install python3-venv" in said


def test_conformance_needs_a_reference_that_is_there(copy: Path) -> None:
    missing = copy / "nowhere"

    assert "say where the reference is" in make(copy, "conformance")[1]
    assert f"no reference at {missing}" in make(copy, "conformance", f"REFERENCE={missing}")[1]


def test_conformance_needs_all_of_the_reference(copy: Path) -> None:
    """Else its tests would be left out, and it would say that all is well."""
    (copy / "xapi-datamodel.json").touch()
    (copy / "records").mkdir()
    code, said = make(copy, "conformance", f"REFERENCE={copy}")

    assert code != 0
    assert f"the reference at {copy} lacks wire" in said


def test_pictures_without_a_browser_say_the_apt_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pictures, "CHROMIUM", str(tmp_path / "chromium"))

    assert pictures.main() == 1
    assert "sudo apt-get install chromium" in capsys.readouterr().err
