"""Pools described in files: the shipped ones come up and run VMs, wrong ones are told why."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator import plans
from tests.support.paths import ROOT
from tests.unit.simulator.conftest import Process

HOST = {"name": "h"}
SR = {"name": "s"}

#: hosts, SRs beside the one for ISOs, and the product version of each shipped pool
SIZES = {
    "one-host": (1, 1, "8.4.0"),
    "small": (4, 2, "8.4.0"),
    "large": (16, 4, "8.4.0"),
    "generation-8.2": (3, 2, "8.2.1"),
    "gpus": (3, 1, "8.4.0"),
}


def test_each_shipped_pool_is_listed_here() -> None:
    assert sorted(SIZES) == plans.shipped()


@pytest.mark.parametrize("name", SIZES)
def test_a_shipped_pool_launches_a_vm(start_simulator: Callable[..., Process], name: str) -> None:
    process = start_simulator("--pool", name, "--time-scale", "0")
    session = process.login()

    def call(method: str, *args: Any) -> Any:
        answer = process.rpc(method, session, *args)
        assert "error" not in answer, answer
        return answer["result"]

    hosts, srs, version = SIZES[name]
    assert len(call("host.get_all")) == hosts
    assert len(call("SR.get_all")) == srs + 1
    [pool] = call("pool.get_all")
    software = call("host.get_software_version", call("pool.get_master", pool))
    assert software["product_version"] == version

    template = call("VM.get_by_name_label", "debian-12")[0]
    vm = call("VM.clone", template, "launched")
    call("VM.provision", vm)
    call("VM.start", vm, False, False)
    record = call("VM.get_record", vm)
    assert record["power_state"] == "Running"
    assert record["resident_on"] in call("host.get_all")


@pytest.mark.parametrize(
    ("boot", "model"), [("bios", "qemu-upstream-compat"), ("uefi", "qemu-upstream-uefi")]
)
def test_a_template_has_the_device_model_of_its_firmware(
    start_simulator: Callable[..., Process], tmp_path: Path, boot: str, model: str
) -> None:
    described = tmp_path / "pool.json"
    templates = [{"name": "ours", "boot": boot, "disks_gib": [1]}]
    described.write_text(json.dumps({"hosts": [HOST], "srs": [SR], "templates": templates}))
    process = start_simulator("--pool", str(described))
    session = process.login()

    [template] = process.rpc("VM.get_by_name_label", session, "ours")["result"]
    platform = process.rpc("VM.get_platform", session, template)["result"]
    assert platform["device-model"] == model


def test_a_local_sr_is_seen_by_its_host_alone(start_simulator: Callable[..., Process]) -> None:
    process = start_simulator("--pool", "generation-8.2")
    session = process.login()
    [sr] = process.rpc("SR.get_by_name_label", session, "local-1")["result"]
    record = process.rpc("SR.get_record", session, sr)["result"]

    [pbd] = record["PBDs"]
    host = process.rpc("PBD.get_host", session, pbd)["result"]
    assert record["shared"] is False
    assert process.rpc("host.get_name_label", session, host)["result"] == "host-1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "an object"),
        ({"hosts": [HOST]}, "at least one host and one SR"),
        ({"hosts": [HOST], "srs": [SR], "vms": []}, "nothing is called vms"),
        ({"hosts": [{}], "srs": [SR]}, "a name is missing"),
        ({"hosts": [{"name": "h", "cpus": "4"}], "srs": [SR]}, "'4' is no int"),
        ({"hosts": [HOST], "srs": [{"name": "s", "hosts": ["x"]}]}, "none of the hosts is x"),
        ({"hosts": [HOST], "srs": [SR], "profile": "7"}, "no profile is called '7'"),
        (
            {"hosts": [HOST], "srs": [SR], "templates": [{"name": "t", "boot": "tape"}]},
            "nothing boots by 'tape'",
        ),
        (
            {"hosts": [HOST], "srs": [SR], "templates": [{"name": "t", "guest": "dos"}]},
            "no guest is 'dos'",
        ),
    ],
)
def test_a_wrong_description_is_told_why(given: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        plans.read(given)


def test_a_file_of_ones_own(start_simulator: Callable[..., Process], tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"hosts": [{"name": "alone", "cpus": 3}], "srs": [SR]}))

    process = start_simulator("--pool", str(file))

    session = process.login()
    [host] = process.rpc("host.get_by_name_label", session, "alone")["result"]
    assert len(process.rpc("host.get_host_CPUs", session, host)["result"]) == 3


def test_a_pool_that_is_nowhere_is_said_in_a_sentence() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "simulator", "--pool", "nowhere"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert ran.returncode == 2
    assert "nowhere" in ran.stderr
    assert "there are: generation-8.2, gpus, large, one-host, small" in ran.stderr
    assert "Traceback" not in ran.stderr
