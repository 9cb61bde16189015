"""The wheel carries xenlaunch and nothing else, and nobody else carries a room's name."""

import subprocess
import sys
from importlib.metadata import packages_distributions
from zipfile import ZipFile

import pytest

from tests.support.paths import ROOT, tracked

TOP_LEVEL = {"xenlaunch", "scheduler", "tasks", "workers", "simulator", "tests", "bench"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in a wheel built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    [path] = folder.glob("*.whl")
    with ZipFile(path) as archive:
        return archive.namelist()


def test_it_ships_xenlaunch_alone(wheel: list[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    info = {top for top in tops if top.endswith(".dist-info")}

    assert tops - info == {"xenlaunch"}


def test_it_ships_all_of_xenlaunch(wheel: list[str]) -> None:
    """Lua scripts and the mark of types too."""
    ours = {str(path.relative_to(ROOT)) for path in tracked("xenlaunch")}

    assert {name for name in wheel if name.startswith("xenlaunch/")} == ours
    assert "xenlaunch/py.typed" in ours


def test_no_installed_distribution_owns_a_rooms_name() -> None:
    owners = {
        top: set(distributions) - {"xenlaunch"}
        for top, distributions in packages_distributions().items()
        if top in TOP_LEVEL
    }

    assert {top: others for top, others in owners.items() if others} == {}


def test_importing_xenlaunch_is_light() -> None:
    """An upstream app pays for what it uses."""
    heavy = {"celery", "kombu", "redis", "pydantic", "click", "rich", "urllib3", "yaml"}
    modules = subprocess.run(
        [sys.executable, "-c", "import sys, xenlaunch; print(*sys.modules)"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()

    assert heavy & set(modules) == set()
