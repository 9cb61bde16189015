"""Each benchmark that wants workers and pools, as short as can be: it measures, and prints it."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.timeout(300)


def bench(name: str, *options: str) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def test_makespan_of_a_few() -> None:
    few = ("--vms", "6", "--hosts", "2", "--srs", "2", "--time-scale", "0.1")
    report = bench("makespan", "--json", *few)

    assert {name: report[name] for name in ("vms", "hosts", "srs", "right", "refused")} == {
        "vms": 6, "hosts": 2, "srs": 2, "right": True, "refused": {},
    }  # fmt: skip
    assert report["ratio"] == pytest.approx(report["makespan"] / report["bound"], rel=0.01)


def test_two_pools_beside_one_that_hangs() -> None:
    report = bench("apart", "--json", "--pairs", "1", "--launches", "3", "--threads", "4")

    assert (report["pairs"], report["launches"]) == (1, 6)
    assert report["ratio"] == report["ratio_of_pairs_median"]


def test_a_few_at_once() -> None:
    few = ("--launches", "12", "--against", "4", "--pools", "2", "--rate", "8", "--held", "2")
    report = bench("scale", *few)

    assert (report["launches"], report["up"], report["wakes"]) == (12, 12, 24)
    assert report["most_in_flight"] > report["against"]["most_in_flight"]
    assert (report["against"]["launches"], report["against"]["up"]) == (4, 4)
    assert len(report["worker_rss_mib"]) == 2
