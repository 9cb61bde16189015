"""An upstream application: ten lines, the wheel alone, and a `tasks.py` of its own beside them."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.stacks import Stack

TASKS = "CHORES = ['sweep', 'mop']\n"

APP = """\
import sys
import tasks
from xenlaunch import LaunchClient, LaunchRequest

with LaunchClient(sys.argv[1]) as client:
    launch = client.submit(LaunchRequest(name="upstream", template="debian-12"))
    result = client.result(launch.id, timeout=60)
    print(result.name, result.vm_uuid, result.host)
    print(*tasks.CHORES)
print(sys.modules["xenlaunch"].__file__)
"""


@pytest.fixture(scope="module")
def own_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, and what the wheel needs.

    What it needs is lent by the environment of this run, so that nothing is fetched; ours comes
    first, and no room of the checkout is in it.
    """
    folder = tmp_path_factory.mktemp("upstream")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("xenlaunch-*.whl")
    venv.create(folder / "env", with_pip=False)
    (site,) = (folder / "env" / "lib").glob("python3*/site-packages")
    with zipfile.ZipFile(wheel) as contents:
        contents.extractall(site)
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "env" / "bin" / "python"


def test_upstream_submits_and_reads_the_result(
    own_python: Path, stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "app.py").write_text(APP)
    ran = subprocess.run(
        [own_python, "app.py", stack.url],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )

    assert ran.returncode == 0, ran.stderr
    launched, chores, package = ran.stdout.splitlines()
    vm = stack.vms()["upstream"]
    assert launched.split()[:2] == ["upstream", vm["uuid"]]
    assert chores == "sweep mop"
    assert Path(package).is_relative_to(own_python.parents[1])
