"""How a call is refused that is wrong in itself, byte for byte, and in which order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.simulator.test_sim_wire import exchange, post, refusal, xml

_TRUE = "<boolean>1</boolean>"


@pytest.fixture(scope="module")
def session(shared_simulator: Any) -> str:
    return str(shared_simulator.login())


@pytest.fixture(scope="module")
def vm(shared_simulator: Any, session: str) -> str:
    found = shared_simulator.rpc("VM.get_by_name_label", session, "Other install media")
    return str(found["result"][0])


@pytest.mark.parametrize(
    ("method", "values", "expected"),
    [
        ("VM.fly", [], ["MESSAGE_METHOD_UNKNOWN", "VM.fly"]),
        ("Async_VM_clone", [], ["MESSAGE_METHOD_UNKNOWN", "Async_VM_clone"]),
        (
            "Async.VM.get_record",
            [],
            ["Fault", "No async mode for this operation (rpc: VM.get_record)"],
        ),
        ("VM.clone", ["S", "V"], ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.clone", "2", "1"]),
        ("VM_clone", ["S", "V"], ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.clone", "2", "1"]),
        ("Async.VM.clone", ["S"], ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.clone", "2", "0"]),
        ("VM.get_all", ["S", "x"], ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_all", "0", "1"]),
        ("VM.get_record", ["S", "no VM"], ["HANDLE_INVALID", "VM", "no VM"]),
        ("VM.get_by_uuid", ["S", "no uuid"], ["UUID_INVALID", "VM", "no uuid"]),
        ("VM.get_record", ["no session", "V"], ["SESSION_INVALID", "no session"]),
    ],
)
def test_refusals_in_xml(
    shared_simulator: Any, session: str, vm: str, method: str, values: list[str], expected: Any
) -> None:
    sent = [{"S": session, "V": vm}.get(value, value) for value in values]

    assert xml(shared_simulator, method, *sent) == refusal(*expected)


@pytest.mark.parametrize(
    ("method", "value", "said"),
    [
        ("VM.set_user_version", _TRUE, "Expected int64, got 'B(true)'"),
        ("VM.set_user_version", "<double>1.5</double>", "Expected int64, got 'F(1.5)'"),
        ("VM.set_is_a_template", "<int>1</int>", "Expected bool, got 'I(1)'"),
        ("VM.set_name_label", "<int>5</int>", "Expected string, got 'I(5)'"),
        ("VM.set_affinity", "<int>5</int>", "Expected string, got 'I(5)'"),
        ("VM.add_tags", "<nil/>", "Expected string, got 'N'"),
        ("VM.set_user_version", "9" * 5000, "Int64.of_string"),
        ("VM.set_user_version", "\u0664", "Int64.of_string"),
        ("VM.set_HVM_shadow_multiplier", "\u0664", "float_of_string"),
    ],
)
def test_a_wrong_type_is_an_internal_error(
    shared_simulator: Any, session: str, vm: str, method: str, value: str, said: str
) -> None:
    answer = xml(shared_simulator, method, session, vm, value)

    assert answer == refusal("INTERNAL_ERROR", f"Failure(&quot;{said}&quot;)")


@pytest.mark.parametrize("number", ["<double>2.5</double>", "<int>2</int>", "2.5"])
def test_a_float_may_be_an_int_or_a_string(
    shared_simulator: Any, session: str, vm: str, number: str
) -> None:
    answer = xml(shared_simulator, "VM.set_HVM_shadow_multiplier", session, vm, number)

    assert "<name>Status</name><value>Success</value>" in answer


def test_a_constructor_is_read_before_the_session_is_looked_at(shared_simulator: Any) -> None:
    missing = "Server_helpers.Dispatcher_FieldNotFound(&quot;VM&quot;)"

    answer = xml(shared_simulator, "VBD.create", "no session", "<struct></struct>")

    assert answer == refusal("INTERNAL_ERROR", missing)


def test_more_than_enough_is_taken_where_something_is_optional(shared_simulator: Any) -> None:
    answer = xml(
        shared_simulator, "session.login_with_password", "root", "xenroot", "1.0", "me", "more"
    )

    assert "<name>Status</name><value>Success</value>" in answer


def test_a_key_that_is_there_is_a_duplicate(shared_simulator: Any, session: str, vm: str) -> None:
    sent = ["VM.add_to_xenstore_data", session, vm, "vm-data/a", "b"]
    xml(shared_simulator, *sent)

    expected = refusal("MAP_DUPLICATE_KEY", "VM", "xenstore_data", vm, "vm-data/a")
    assert xml(shared_simulator, *sent) == expected


def test_refusals_in_json(shared_simulator: Any) -> None:
    call = {"method": "VM.get_all", "params": ["no session"]}
    sent = ({**call, "id": "x"}, {**call, "id": 2, "jsonrpc": "2.0"})

    answers = exchange(shared_simulator.port, *(post("/jsonrpc", json.dumps(c)) for c in sent))

    assert [(code, body) for code, _, body in answers] == [
        (200, b'{"result":null,"error":["SESSION_INVALID","no session"],"id":"x"}'),
        (
            200,
            (
                b'{"jsonrpc":"2.0","error":{"code":1,"message":"SESSION_INVALID",'
                b'"data":["no session"]},"id":2}'
            ),
        ),
    ]
