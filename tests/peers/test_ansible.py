"""Ansible's xenserver modules, unchanged, by real runs of `ansible-playbook`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.simulators import SimulatorProcess

PLAYBOOKS = Path(__file__).with_name("playbooks")
GIB = 2**30


def play(name: str, folder: Path, **variables: str) -> dict[str, Any]:
    """Run a playbook on this machine; gives what its steps answered."""
    answers = folder / "answers.json"
    given = {
        **variables,
        "answers": str(answers),
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    command = Path(sys.executable).with_name("ansible-playbook")
    ran = subprocess.run(
        [command, "-i", "localhost,", "-e", json.dumps(given), PLAYBOOKS / name],
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    read: dict[str, Any] = json.loads(answers.read_text())
    return read


@pytest.fixture
def life(pool: SimulatorProcess, tmp_path: Path) -> dict[str, Any]:
    return play("life.yml", tmp_path, pool=pool.url, password=pool.password)


def test_a_life_by_ansible(life: dict[str, Any], pool: SimulatorProcess) -> None:
    assert_as_wanted(life["created"]["instance"])
    assert_changed_only_where_something_was_to_do(life)
    assert_addresses(life)
    assert "not found" in life["unseen"]["msg"]
    assert_nothing_is_left(pool.state())


def test_a_vm_from_scratch_through_all_its_states(pool: SimulatorProcess, tmp_path: Path) -> None:
    answers = play("from_scratch.yml", tmp_path, pool=pool.url, password=pool.password)

    assert all(answer["changed"] for answer in answers.values())
    states = {name: answer.get("instance", {}).get("state") for name, answer in answers.items()}
    assert states["suspended"] == "suspended"
    assert {states[name] for name in ("created", "resumed", "restarted", "grown")} == {"poweredon"}
    assert states["stopped"] == "poweredoff"
    vm = answers["grown"]["instance"]
    assert [disk["size"] for disk in vm["disks"]] == [12 * GIB, 3 * GIB]
    assert [disk["os_device"] for disk in vm["disks"]] == ["xvda", "xvdb"]
    assert vm["networks"][0]["mac"] == "aa:bb:cc:dd:ee:01"
    assert len(vm["networks"]) == 2
    assert_nothing_is_left(pool.state())


def assert_as_wanted(vm: dict[str, Any]) -> None:
    assert vm["hardware"] == {"memory_mb": 3072, "num_cpu_cores_per_socket": 2, "num_cpus": 4}
    assert [disk["size"] for disk in vm["disks"]] == [20 * GIB, 5 * GIB]
    assert [disk["vbd_userdevice"] for disk in vm["disks"]] == ["0", "1"]
    assert vm["disks"][1]["name"] == "data"
    assert vm["cdrom"] == {"type": "iso", "iso_name": "tools.iso"}
    assert [nic["vif_device"] for nic in vm["networks"]] == ["0", "1"]
    assert (vm["home_server"], vm["folder"]) == ("host-2", "/tests")
    assert vm["is_template"] is False


def assert_changed_only_where_something_was_to_do(life: dict[str, Any]) -> None:
    idle = {"repeated", "repeated_running", "seen", "removed_again", "unseen"}
    assert {name for name, answer in life.items() if not answer["changed"]} == idle
    states = {name: answer["instance"]["state"] for name, answer in life.items()
              if answer.get("instance")}  # fmt: skip
    assert states["started"] == states["started_again"] == states["seen"] == "poweredon"
    assert states["created"] == states["shut_down"] == "poweredoff"


def assert_addresses(life: dict[str, Any]) -> None:
    static, other = life["seen"]["instance"]["networks"]
    assert (static["ip"], static["netmask"]) == ("10.1.2.3", "255.255.255.0")
    assert static["gateway"] == "10.1.2.1"
    assert other["ip"] not in {"", "10.1.2.3"}


def assert_nothing_is_left(state: dict[str, Any]) -> None:
    for cls in ("VM", "VDI"):
        names = {record["name_label"] for record in state[cls].values()}
        assert not names & {"made by Ansible", "data", "from scratch", "root", "hot"}
    assert all(vbd["VM"] in state["VM"] for vbd in state["VBD"].values())
