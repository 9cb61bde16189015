"""The picture shows what the data says."""

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import plot

SVG = "{http://www.w3.org/2000/svg}"
BUSY = {
    "srs": {"sr-1": [[0, 2], [2, 4]], "sr-2": []},
    "hosts": {"host-10": [[1, 4]], "host-2": [[1, 3], [1, 3], [1, 3], [1, 3]]},
}
thousandths = st.integers(0, 100_000).map(lambda number: number / 1000)
spans = st.lists(st.tuples(thousandths, thousandths).map(sorted))


@settings(deadline=None)
@given(spans)
def test_no_work_is_lost_between_two_slices(spans: list[list[float]]) -> None:
    end = max((until for _, until in spans), default=0) or 1.0
    at_once = len(spans) or 1  # so that no slice is more than full
    found = plot.levels(spans, at_once, end)

    assert sum(found) * at_once * end / plot.SLICES == pytest.approx(
        sum(until - begin for begin, until in spans), rel=1e-6, abs=1e-6
    )


def test_each_part_has_a_row_in_the_order_that_people_count_in() -> None:
    picture = ET.fromstring(plot.draw(BUSY, "a < b"))  # noqa: S314  our own
    texts = [text.text for text in picture.iter(f"{SVG}text")]

    assert texts[0] == "a < b"
    assert texts[1:9:2] == ["sr-1", "sr-2", "host-2", "host-10"]
    assert texts[2:9:2] == ["100%", "0%", "50%", "19%"]


def test_who_did_nothing_has_an_empty_row_and_who_did_all_a_full_one() -> None:
    full = plot.draw({"srs": {"sr-1": [[0, 4]]}, "hosts": {}})
    half = plot.draw({"srs": {"sr-1": []}, "hosts": {"host-1": [[0, 4], [0, 4]]}})

    assert full.count('class="srs" opacity="1"') == 1
    assert half.count('class="hosts" opacity="0.5"') == 1
    assert 'class="srs"' not in half


def test_a_run_without_any_work_can_be_drawn() -> None:
    assert "sr-1" in plot.draw({"srs": {"sr-1": []}, "hosts": {}})


def test_the_command_reads_a_runs_data_and_writes_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, picture = tmp_path / "run.json", tmp_path / "run.svg"
    data.write_text(json.dumps(BUSY))
    monkeypatch.setattr(sys, "argv", ["plot", str(data), str(picture), "--title", "What ran"])
    plot.main()

    assert picture.read_text() == plot.draw(BUSY, "What ran")
