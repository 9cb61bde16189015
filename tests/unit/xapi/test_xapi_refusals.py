"""The table: every code has a class and a sentence, and none gives away what lets somebody in."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenlaunch.errors import (
    Busy,
    LostRace,
    OutcomeUnknown,
    Place,
    PoolError,
    Redirected,
    Refused,
    SessionLost,
    Unsteady,
)
from xenlaunch.xapi import refusals
from xenlaunch.xapi.refusals import NEXT, SENTENCES, refusal, sentence, showable

OURS = {
    "ANSWER_LATE",
    "ANSWER_UNREADABLE",
    "CONNECTION_LOST",
    "PASSWORD_MISSING",
    "POOL_BUSY_HERE",
    "POOL_UNREACHABLE",
    "REQUEST_TOO_LONG",
    "SESSION_REPLACED",
    "TASK_GONE",
    "TASK_RUNNING",
    "TASK_SILENT",
    "UNSENT",
}
"""Codes that no pool says: what this process saw itself."""


def test_every_published_code_becomes_an_error_with_a_sentence(published: dict[str, Any]) -> None:
    wordless = []
    for code, names in published["errors"].items():
        error = refusal("VM.start_on", code, [f"<{name}>" for name in names or ["anything"]])
        assert isinstance(error, PoolError)
        assert type(error) is not PoolError
        if not error.message.endswith((".", ">", "anything")) or "?" in error.message:
            wordless.append((code, error.message))

    assert wordless == []


def test_every_code_of_the_table_is_xapis_or_said_to_be_ours(published: dict[str, Any]) -> None:
    known = {*published["errors"], *published["undocumented_errors"]}
    known |= set(published["storage_errors"].values())

    assert set(NEXT) - known == OURS


def test_no_sentence_asks_for_more_parameters_than_the_code_has(published: dict[str, Any]) -> None:
    greedy = []
    for code, names in published["errors"].items():
        asked = [name for _, name, _, _ in string.Formatter().parse(SENTENCES.get(code, ""))]
        if any(int(name) >= len(names) for name in asked if name):
            greedy.append(code)

    # These have more parameters on the wire than the data model says.
    assert greedy == ["SESSION_AUTHENTICATION_FAILED"]


def test_no_code_is_in_two_lists() -> None:
    assert len(NEXT) == sum(len(sentences) for _, sentences in refusals._CLASSES)


@pytest.mark.parametrize(
    ("code", "params", "next_"),
    [
        ("SESSION_INVALID", ["OpaqueRef:s"], SessionLost),
        ("HOST_IS_SLAVE", ["10.0.0.1"], Redirected),
        ("TOO_MANY_PENDING_TASKS", [], Busy),
        ("OTHER_OPERATION_IN_PROGRESS", ["VDI", "OpaqueRef:v", "clone", "OpaqueRef:t"], Busy),
        ("SR_BACKEND_FAILURE_46", ["", "VDIUnavailable", ""], Unsteady),
        ("SR_BACKEND_FAILURE_44", ["", "There is insufficient space", ""], Refused),
        ("HOST_NOT_ENOUGH_FREE_MEMORY", ["2", "1"], Place),
        ("NO_HOSTS_AVAILABLE", [], Place),
        ("PIF_VLAN_EXISTS", ["OpaqueRef:p"], LostRace),
        ("CANNOT_CONTACT_HOST", ["OpaqueRef:h"], OutcomeUnknown),
        ("HANDLE_INVALID", ["task", "OpaqueRef:t"], OutcomeUnknown),
        ("HANDLE_INVALID", ["VM", "OpaqueRef:v"], Refused),
        ("INTERNAL_ERROR", ["Stunnel.Stunnel_error(...)"], OutcomeUnknown),
        ("INTERNAL_ERROR", ["Unix.Unix_error(Connection refused)"], OutcomeUnknown),
        ("INTERNAL_ERROR", ["Timed out waiting"], OutcomeUnknown),
        ("INTERNAL_ERROR", ["Not_found"], Refused),
        ("OPERATION_NOT_ALLOWED", ["Failed to lock all VIFs"], Busy),
        ("OPERATION_NOT_ALLOWED", ["VBD still attached"], Refused),
        ("VM_BAD_POWER_STATE", ["OpaqueRef:v", "halted", "running"], Refused),
        ("NOBODY_KNOWS_THIS", ["a"], Refused),
        ("HANDLE_INVALID", [], Refused),
    ],
)
def test_a_code_says_what_happens_next(
    code: str, params: list[str], next_: type[PoolError]
) -> None:
    error = refusal("VM.start_on", code, params)

    assert type(error) is next_
    assert error.code == code
    assert error.call == "VM.start_on"


def test_sentences_are_for_people() -> None:
    assert sentence("HOST_NOT_ENOUGH_FREE_MEMORY", [str(4 << 30), str(3 << 29)]) == (
        "The host has 1.5 GiB of memory free, the VM needs 4.0 GiB: free some, or ask for less."
    )
    assert sentence("VM_BAD_POWER_STATE", ["OpaqueRef:v", "halted", "running"]) == (
        "The VM OpaqueRef:v is running; for this it must be halted."
    )
    assert sentence("WHAT_IS_THIS", []) == "The pool refuses with WHAT_IS_THIS."
    assert sentence("WHAT_IS_THIS", ["a", "b"]) == "The pool refuses with WHAT_IS_THIS: a, b."


def test_a_parameter_that_is_left_out_is_a_question_mark() -> None:
    assert sentence("HOST_OFFLINE", []) == "The host ? is offline."
    assert sentence("PERMISSION_DENIED", []) == "The pool denies permission."


@given(code=st.sampled_from(sorted(NEXT)), params=st.lists(st.text(max_size=400), max_size=5))
def test_any_parameters_make_one_short_line(code: str, params: list[str]) -> None:
    said = sentence(code, params)

    assert said == " ".join(said.splitlines())
    assert len(said) < 1500


@pytest.mark.parametrize(
    ("code", "params", "shown"),
    [
        ("SESSION_INVALID", ["OpaqueRef:secret"], []),
        ("SESSION_NOT_REGISTERED", ["OpaqueRef:secret"], []),
        ("HANDLE_INVALID", ["session", "OpaqueRef:secret"], ["session"]),
        ("HANDLE_INVALID", ["VM", "OpaqueRef:v"], ["VM", "OpaqueRef:v"]),
        ("INVALID_VALUE", ["xenstore_data", "secret"], ["xenstore_data"]),
        ("INVALID_VALUE", ["VCPUs", "0"], ["VCPUs", "0"]),
        ("SESSION_AUTHENTICATION_FAILED", ["root", "denied"], ["root", "denied"]),
    ],
)
def test_what_lets_somebody_in_is_not_shown(code: str, params: list[str], shown: list[str]) -> None:
    assert showable(code, params) == shown
    assert "secret" not in str(refusal("x", code, params).as_record())
