"""What reads the cases of `tests/flow/cases` sees what is wrong with a case, and with a pool."""

from typing import Any

import pytest

from tests.support.cases import Case, Sight, read_cases

POOL: dict[str, dict[str, Any]] = {
    "SR": {"r-sr": {"name_label": "sr-1", "uuid": "u-sr"}},
    "VDI": {
        "r-root": {"name_label": "root", "virtual_size": "8", "SR": "r-sr"},
        "r-data": {"name_label": "web data", "virtual_size": "3", "SR": "r-sr"},
    },
    "VBD": {
        "r-0": {"userdevice": "0", "VDI": "r-root"},
        "r-1": {"userdevice": "1", "VDI": "r-data"},
    },
    "VM": {
        "r-vm": {
            "uuid": "u-vm",
            "VCPUs_max": "2",
            "tags": ["a", "b"],
            "platform": {"pae": "1"},
            "VBDs": ["r-0", "r-1"],
            "VIFs": [],
        }
    },
}


@pytest.fixture
def sight() -> Sight:
    return Sight(lambda method: POOL.get(method.partition(".")[0], {}))


RIGHT: list[dict[str, Any]] = [
    {"vm": {"VCPUs_max": "2", "tags": ["b", "a"], "platform": {"pae": "1", "acpi": None}}},
    {"vbds": [{"VDI": {"virtual_size": "3", "SR": {"name_label": "sr-1"}}}, {"userdevice": "0"}]},
    {"vifs": []},
    {"after": {"{name} data": {"virtual_size": "3"}, "gone": None}},
]

WRONG: list[dict[str, Any]] = [
    {"vm": {"VCPUs_max": "3"}},
    {"vm": {"no_such_field": "2"}},
    {"vm": {"tags": ["a"]}},
    {"vm": {"platform": {"pae": None}}},
    {"vm": {"platform": {"pae": "0"}}},
    {"vbds": [{"userdevice": "0"}]},
    {"vbds": [{"userdevice": "0"}, {"VDI": {"SR": {"name_label": "sr-2"}}}]},
    {"vbds": [{"VDI": {"SR": {"name_label": "sr-1"}}}, {"userdevice": "2"}]},
    {"vifs": [{}]},
    {"after": {"root": None}},
    {"after": {"{name} data": {"virtual_size": "4"}}},
    {"after": {"gone": {}}},
]


@pytest.mark.parametrize("said", RIGHT, ids=str)
def test_what_is_as_a_case_says(sight: Sight, said: dict[str, Any]) -> None:
    assert sight.differs(Case("one", {}, **said), "web", "u-vm") == []


@pytest.mark.parametrize("said", WRONG, ids=str)
def test_what_is_not_as_a_case_says(sight: Sight, said: dict[str, Any]) -> None:
    assert sight.differs(Case("one", {}, **said), "web", "u-vm") != []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("one: {vm: {name_label: x}}", "has no request"),
        ("one: {request: {}}", "says nothing"),
        ("one: {request: {}, vbd: []}", "has what no case has: vbd"),
        ("one: {request: {}, name: two, vm: {}}", "has what no case has: name"),
        ("one: {request: {}, vm: {}, refused: sorry}", "is refused, and says"),
        ("one: {request: {}, vm: {}, profile: 8.1}", "no profile"),
    ],
)
def test_a_case_that_is_none(text: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        read_cases(text)


def test_names_in_a_request_become_uuids_and_in_a_call_refs(sight: Sight) -> None:
    assert sight.filled({"a": ["@SR/sr-1", 5, "x"]}) == {"a": ["r-sr", 5, "x"]}
    assert sight.filled(["@SR/sr-1"], "uuid") == ["u-sr"]
    with pytest.raises(AssertionError, match="no SR named 'sr-9'"):
        sight.filled("@SR/sr-9")
