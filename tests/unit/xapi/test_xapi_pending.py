"""Pool tasks as values: marks, outcomes, and what a job's end means."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenlaunch.errors import OutcomeUnknown, Place, PoolError
from xenlaunch.xapi import pending
from xenlaunch.xapi.pending import Outcome, mark_headers, mark_of, settle, value_of

RECORD: dict[str, Any] = {
    "status": "success",
    "result": "<value>OpaqueRef:vm</value>",
    "error_info": [],
    "other_config": {"http:xenlaunch": "l-1/1/clone"},
}


def test_a_mark_travels_as_a_header_and_is_read_from_the_job() -> None:
    assert mark_headers("l-1/1/clone") == {"X-Http-Other-Config-xenlaunch": "l-1/1/clone"}
    assert mark_of(RECORD) == "l-1/1/clone"
    assert mark_of({"other_config": {"http:other": "x"}}) is None
    assert mark_of({}) is None


@pytest.mark.parametrize("mark", ["a\r\nX-Evil: 1", "a\n", "ü", "\x00"])
def test_a_mark_that_would_break_the_header_is_an_error(mark: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        mark_headers(mark)


@pytest.mark.parametrize(
    ("result", "value"),
    [
        ("", ""),
        ("<value></value>", ""),
        ("<value/>", ""),
        ("<value>OpaqueRef:1</value>", "OpaqueRef:1"),
        ("<value><string>OpaqueRef:1</string></value>", "OpaqueRef:1"),
        ("<value>a &lt;b&gt; &amp; &quot;c&quot;</value>", 'a <b> & "c"'),
        ("OpaqueRef:1", "OpaqueRef:1"),
    ],
)
def test_a_result_is_read_out_of_its_xml(result: str, value: str) -> None:
    assert value_of(result) == value


def test_a_success_is_its_value() -> None:
    assert settle("VM.clone", Outcome.from_record(RECORD)) == "OpaqueRef:vm"


def test_a_failure_is_its_refusal() -> None:
    failed = Outcome.from_record(
        RECORD | {"status": "failure", "error_info": ["HOST_OFFLINE", "OpaqueRef:h"]}
    )

    with pytest.raises(Place) as caught:
        settle("VM.start_on", failed)

    assert caught.value.params == ["OpaqueRef:h"]
    assert caught.value.call == "VM.start_on"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.vanished(), "TASK_GONE"),
        (Outcome("cancelled"), "TASK_CANCELLED"),
        (Outcome("failure", "", "TASK_CANCELLED", ("OpaqueRef:t",)), "TASK_CANCELLED"),
        (Outcome("failure"), "TASK_SILENT"),
        (Outcome("pending"), "TASK_RUNNING"),
    ],
)
def test_what_says_nothing_is_unknown(outcome: Outcome, code: str) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        settle("VM.clone", outcome)

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("pending", False),
        ("cancelling", False),
        ("success", True),
        ("failure", True),
        ("cancelled", True),
        (pending.VANISHED, True),
    ],
)
def test_a_job_that_is_being_cancelled_still_runs(status: str, ended: bool) -> None:  # noqa: FBT001  a table's column
    assert Outcome(status).ended is ended


@given(st.builds(Outcome, st.text(), st.text(), st.text(), st.lists(st.text()).map(tuple)))
def test_an_outcome_survives_being_written_down(outcome: Outcome) -> None:
    assert Outcome.from_json(outcome.to_json()) == outcome


def test_a_session_in_a_failed_job_is_not_kept() -> None:
    failed = Outcome.from_record(
        RECORD | {"status": "failure", "error_info": ["SESSION_INVALID", "OpaqueRef:secret"]}
    )

    assert "secret" not in failed.to_json()
    with pytest.raises(PoolError) as caught:
        settle("VM.start_on", failed)
    assert "secret" not in str(caught.value.as_record())
