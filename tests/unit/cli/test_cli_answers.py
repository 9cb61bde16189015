"""What the command line makes of a worker's answers, which are given here."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Shell
from xenlaunch.client import LaunchClient
from xenlaunch.ledger import Ledger

PLAN = {
    "pool": "lab",
    "template": {"name": "debian-12", "uuid": "6a7c", "sr": "sr-1"},
    "memory": 2 << 30,
    "vcpus": 2,
    "hosts": [
        {"host": "host-1", "fits": True, "reason": ""},
        {"host": "host-2", "fits": False, "reason": "is \x1b[1mdisabled"},
    ],
    "calls": ["VM.clone"],
    "error": None,
}
POOL = {
    "name": "lab", "reachable": True, "master": "host-1", "version": "8.4.0", "hosts": 4,
    "hosts_live": 3, "memory_total": 512 << 30, "memory_free": 100 << 30,
    "srs": [{"name": "sr-1", "size": 2 << 40, "free": 1 << 40}], "waiting": 3, "in_flight": 7,
    "error": None,
}  # fmt: skip
AWAY = POOL | {
    "name": "far", "reachable": False, "master": None, "version": None, "srs": [],
    "error": "No host of the pool answers.",
}  # fmt: skip


def test_plan_says_what_would_be_done(
    ledger: Ledger, web: str, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LaunchClient, "plan", lambda *_: PLAN)

    assert xenlaunch("plan", web) == 0
    assert xenlaunch.out.splitlines() == [
        "pool      lab",
        "template  debian-12 (6a7c) on sr-1",
        "size      2 vCPUs, 2 GiB",
        "host      host-1 fits",
        "host      host-2 does not fit: is \\x1b[1mdisabled",
        "call      VM.clone",
    ]
    assert xenlaunch("plan", web, "--json") == 0
    assert xenlaunch.json == PLAN


def test_launches_of_a_file_that_differ_are_planned_each(
    ledger: Ledger, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "three.yaml"
    file.write_text(
        "- {name: web, template: debian-12}\n- {name: other, template: debian-12}\n"
        "- {name: large, template: debian-12, vcpus: 99}\n"
    )
    lacking = [{"host": "host-1", "fits": False, "reason": "has 32 CPUs, the VM needs 99"}]
    monkeypatch.setattr(
        LaunchClient, "plan", lambda _, one: PLAN | ({"hosts": lacking} if one.vcpus else {})
    )

    assert xenlaunch("plan", str(file)) == 1
    said = xenlaunch.out.split("\n\n")
    assert [part.splitlines()[0] for part in said] == ["launch    web", "launch    large"]
    assert "host-1 does not fit" in said[1]
    assert xenlaunch("plan", str(file), "--json") == 1
    assert xenlaunch.json == [PLAN, PLAN | {"hosts": lacking}]


@pytest.mark.parametrize(
    "changes",
    [
        {"error": {"code": "CANNOT_FIT", "params": [], "message": "No."}, "template": None},
        {"hosts": [{"host": "host-1", "fits": False, "reason": "is full"}]},
    ],
)
def test_a_plan_that_would_fail_is_exit_code_1(
    ledger: Ledger,
    web: str,
    xenlaunch: Shell,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    monkeypatch.setattr(LaunchClient, "plan", lambda *_: PLAN | changes)

    assert xenlaunch("plan", web) == 1


def test_pools_are_a_table(
    ledger: Ledger, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LaunchClient, "pools", lambda *_: [POOL, AWAY])

    assert xenlaunch("pools") == 0
    rows = [line.split() for line in xenlaunch.out.splitlines()]
    assert rows[1] == [
        "lab",
        "host-1",
        "8.4.0",
        "3",
        "of",
        "4",
        "100",
        "GiB",
        "of",
        "512",
        "GiB",
        "3",
        "7",
    ]
    assert " ".join(rows[2]) == "far 3 7 No host of the pool answers."
    assert rows[4] == ["lab", "sr-1", "1", "TiB", "2", "TiB"]
    assert xenlaunch("pools", "--json") == 0
    assert xenlaunch.json == [POOL, AWAY]


def test_what_is_wrong_with_redis_is_said_once_below_the_pools(
    ledger: Ledger, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubt = "Redis is set to appendonly no, not yes: it keeps nothing."
    pools = [one | {"doubts": [doubt]} for one in (POOL, AWAY)]
    monkeypatch.setattr(LaunchClient, "pools", lambda *_: pools)

    assert xenlaunch("pools") == 0
    assert xenlaunch.out.splitlines()[-1] == doubt
    assert xenlaunch.out.count(doubt) == 1
