"""What comes of the cases, read with the official SDK and with Ansible, not with our client.

Their stack runs in the project's own environment, which this one knows nothing of.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import XenAPI

from tests.peers import ansible_sight
from tests.support.cases import CASES, Case, Sight, read_cases
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[dict[str, Any]]]:
    """One file of cases after another, each while its VMs are there."""
    folder = tmp_path_factory.mktemp("cases")
    python = str(ROOT / ".venv-dev/bin/python")
    command = [python, "-m", "tests.support.case_stack", str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as stack:
        assert stack.stdin is not None
        assert stack.stdout is not None

        def each() -> Iterator[dict[str, Any]]:
            while line := stack.stdout.readline():  # type: ignore[union-attr]  # it is a pipe
                yield json.loads(line)
                print("next", file=stack.stdin, flush=True)

        yield each()
        stack.stdin.close()
        assert stack.wait(30) == 0


@pytest.mark.timeout(400)
def test_every_case_is_what_it_says_to_the_sdk_and_to_ansible(
    shown: Iterator[dict[str, Any]],
) -> None:
    files = {file.stem: read_cases(file.read_text()) for file in CASES.glob("*.yaml")}
    read: set[tuple[str, str, str]] = set()
    differs: dict[str, list[str]] = {}
    for one in shown:
        cases = [case for case in files[one["file"]] if case.name in one["vms"]]
        for case, found in what_differs(one, cases):
            read.add((one["file"], one["profile"], case.name))
            differs |= {f"{one['file']}: {case.name}": found} if found else {}
    assert differs == {}
    assert read == {
        (file, case.profile, case.name)
        for file, cases in files.items()
        for case in cases
        if not case.refused
    }


def what_differs(one: dict[str, Any], cases: list[Case]) -> Iterator[tuple[Case, list[str]]]:
    """Of each case, what the SDK or Ansible reads otherwise than it says."""
    session = XenAPI.Session(one["url"])
    session.xenapi.login_with_password("root", one["password"], "1.0", "the SDK")
    sight = Sight(lambda method: session.xenapi_request(method, ()))
    session.xenapi.session.logout()
    session("close")()
    told = by_ansible(one)
    for case in cases:
        name, vm = one["vms"][case.name]
        found = sight.differs(case, name, vm) if vm else ["it has no VM"]
        if vm:
            said = ansible_sight.what_differs(sight, case, name, told[vm]["instance"])
            found += [f"to Ansible {it}" for it in said]
        yield case, found


def by_ansible(one: dict[str, Any]) -> dict[str, Any]:
    """What Ansible's module answers of each VM, by its uuid."""
    vms = [uuid for _, uuid in one["vms"].values() if uuid]
    asked = {"pool": one["url"], "password": one["password"], "vms": vms}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.peers.ansible_module"],
        cwd=ROOT,
        input=json.dumps(asked) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout)
    return said
