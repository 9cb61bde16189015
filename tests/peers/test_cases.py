"""What comes of the cases, read with the official SDK and with Ansible, not with our client.

Their stack runs in the project's own environment, which this one knows nothing of.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import XenAPI

from tests.peers.test_ansible import play
from tests.support.cases import CASES, Case, Sight, read_cases
from tests.support.paths import ROOT

GIB = 2**30


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


@pytest.mark.timeout(300)
def test_every_case_is_what_it_says_to_the_sdk_and_to_ansible(
    shown: Iterator[dict[str, Any]], tmp_path: Path
) -> None:
    files = {file.stem: read_cases(file.read_text()) for file in CASES.glob("*.yaml")}
    read: list[str] = []
    differs: dict[str, list[str]] = {}
    for one in shown:
        cases = {case.name: case for case in files[one["file"]]}
        differs |= {f"{one['file']}: {case}": found for case, found in what_differs(one, cases)}
        if one["file"] == "drives":
            assert_as_ansible_says(one, tmp_path)
        read.append(one["file"])
    assert differs == {}
    assert set(read) == {name for name, cases in files.items() if any(map(is_read, cases))}


def is_read(case: Case) -> bool:
    return case.profile == "current" and not case.refused


def what_differs(one: dict[str, Any], cases: dict[str, Case]) -> Iterator[tuple[str, list[str]]]:
    session = XenAPI.Session(one["url"])
    session.xenapi.login_with_password("root", one["password"], "1.0", "the SDK")
    sight = Sight(lambda method: session.xenapi_request(method, ()))
    session.xenapi.session.logout()
    session("close")()
    for case, (name, vm) in one["vms"].items():
        found = sight.differs(cases[case], name, vm) if vm else ["it has no VM"]
        if found:
            yield case, found


def assert_as_ansible_says(one: dict[str, Any], folder: Path) -> None:
    """`xenserver_guest_info` of the VMs whose drives and NICs are the plain ones."""
    wanted = ["a disk on the default SR and one on another", "two NICs"]
    uuids = [one["vms"][case][1] for case in wanted]
    answers = play(
        "read.yml", folder, pool=one["url"], password=one["password"], uuids=",".join(uuids)
    )
    drives, nics = (answer["instance"] for answer in answers["read"]["results"])

    assert [drives["state"], nics["state"]] == ["poweredon", "poweredon"]
    assert sorted(disk["size"] for disk in drives["disks"]) == [3 * GIB, 5 * GIB, 8 * GIB]
    assert {disk["vbd_userdevice"] for disk in drives["disks"]} >= {"0", "7"}
    assert drives["hardware"] == {
        "memory_mb": 2048,
        "num_cpu_cores_per_socket": 1,
        "num_cpus": 2,
    }
    first, second = nics["networks"]
    assert (first["mac"], first["mtu"], first["name"]) == ("02:16:3e:00:00:07", "9000", "guest")
    assert (second["vif_device"], second["name"]) == ("1", "guest")
