"""A script of what befalls the pool, given on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import wait_until
from tests.unit.simulator.conftest import Process

Start = Callable[..., Process]

FULL = ["SR_BACKEND_FAILURE_44", "", "There is insufficient space", ""]


def script(tmp_path: Path, *steps: Any) -> str:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(list(steps)))
    return str(path)


def test_faults_are_in_force_from_the_first_call(start_simulator: Start, tmp_path: Path) -> None:
    error = ["BOOTLOADER_FAILED", "vm", "no kernel"]
    steps = [
        {"method": "VM.clone", "nth": 2, "error": error},
        {"do": "POST /srs/sr-2/fill"},
        {"do": "PUT /latency", "with": {"VM.start": 20}},
    ]
    sim = start_simulator("--time-scale", "0", "--script", script(tmp_path, *steps))
    session = sim.login()
    first, second = sim.rpc("VM.get_by_name_label", session, "debian-12")["result"]
    assert "error" not in sim.rpc("VM.clone", session, first, "one")
    refused = sim.rpc("VM.clone", session, first, "two")["error"]
    assert [refused["message"], *refused["data"]] == error
    refused = sim.rpc("VM.clone", session, second, "three")["error"]
    assert [refused["message"], *refused["data"]] == FULL
    assert sim.control("GET", "/latency")["VM.start"] == 20


def test_a_step_is_done_at_its_time(start_simulator: Start, tmp_path: Path) -> None:
    steps = [{"at": 0.2, "do": "POST /hosts/host-4/kill"}, {"at": 0.1, "do": "POST /master/host-2"}]
    sim = start_simulator("--time-scale", "0", "--script", script(tmp_path, *steps))

    def is_over() -> bool:
        state = sim.control("GET", "/state")
        hosts = {row["name_label"]: (ref, row) for ref, row in state["host"].items()}
        (pool,) = state["pool"].values()
        live = state["host_metrics"][hosts["host-4"][1]["metrics"]]["live"]
        return pool["master"] == hosts["host-2"][0] and not live

    wait_until(is_over, timeout=10, description="both steps are done")


def test_a_step_that_goes_wrong_later_is_told_and_stops_nothing(
    start_simulator: Start, tmp_path: Path
) -> None:
    steps = [{"at": 0.01, "do": "POST /hosts/nobody/kill"}, {"at": 0.02, "do": "DELETE /calls"},
             {"at": 0.03, "do": "POST /srs/sr-1/fill"}]  # fmt: skip
    sim = start_simulator("--time-scale", "0", "--script", script(tmp_path, *steps))

    def is_full() -> bool:
        srs = sim.control("GET", "/state")["SR"].values()
        return any(sr["physical_utilisation"] == sr["physical_size"] for sr in srs)

    wait_until(is_full, timeout=10, description="the last step is done")
    code, said = sim.stop()
    assert (code, said) == (
        0, "simulator: POST /hosts/nobody/kill: no host is called 'nobody'\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{}", "a script is a list of steps"),
        ("[7]", "a step is a rule, with `method`, or a request, with `do`"),
        ('[{"method": "VM.clone"}]', "action fail needs an error"),
        ('[{"method": "VM.clone", "wen": "after"}]', "a fault has no wen"),
        ('[{"do": "restart"}]', "a request is"),
        ('[{"do": "POST /restart", "at": -1}]', "at is a number of seconds from 0"),
        ('[{"do": "POST /nothing"}]', "nothing that can be asked here"),
        ('[{"do": "POST /hosts/nobody/kill"}]', "no host is called 'nobody'"),
        ('[{"at": 1, "do": "POST /nosuch"}]', "POST /nosuch is nothing that can be asked here"),
        ('[{"at": 1, "do": "FROB /calls"}]', "FROB /calls is nothing that can be asked here"),
        ('[{"at": 1, "do": "POST /hosts/host-1/feed"}]', "nothing that can be asked here"),
        ('[{"at": 1, "do": "PUT /latency", "with": {"bogus": 1}}]', "no latency is called 'bogus'"),
        ('[{"at": 1, "do": "POST /restart", "with": [1]}]', 'say {"seconds": N'),
        ('[{"at": 1, "do": "POST /faults", "with": {"method": "VM.clone"}}]', "needs an error"),
        ('[{"at": NaN, "do": "POST /restart"}]', "at is a number of seconds from 0"),
        ("[", "Expecting"),
    ],
)
def test_a_script_that_is_wrong_is_refused(tmp_path: Path, given: str, said: str) -> None:
    path = tmp_path / "script.json"
    path.write_text(given)
    command = [sys.executable, "-m", "simulator", "--port", "0", "--script", str(path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
