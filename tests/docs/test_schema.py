"""The published JSON Schema accepts what docs and cases ask for, and no more than it must."""

import io
import json
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.docs.pages import Block, blocks
from tests.support.any_requests import SCHEMA, VALID
from tests.support.cases import CASES, Case, read_cases
from xenlaunch import LaunchRequest
from xenlaunch.batch_file import Said, read_asked
from xenlaunch.cli import cli
from xenlaunch.errors import BadRequest

EXAMPLES = [block for block in blocks("yaml") if "template:" in block.text]
EVERY_CASE = [
    case for file in sorted(CASES.glob("*.yaml")) for case in read_cases(file.read_text())
]
GOOD = {"name": "web", "template": "debian-12"}


def faults(request: Any) -> list[str]:
    return [error.message for error in VALID.iter_errors(request)]


def test_it_is_a_schema_and_the_command_prints_it() -> None:
    VALID.check_schema(SCHEMA)
    printed = json.loads(CliRunner().invoke(cli, ["schema"]).output)

    assert printed.pop("version")
    assert printed == SCHEMA


@pytest.mark.parametrize("block", EXAMPLES, ids=[block.id for block in EXAMPLES])
def test_the_examples_of_the_docs(block: Block) -> None:
    """Each request of a batch is one; what is said of the batch itself is read like any file."""
    said = yaml.safe_load(block.text)
    assert read_asked(io.StringIO(block.text), "web.yaml", Said()).requests
    shared = {name: value for name, value in said.items() if name not in ("batch", "launches")}
    for request in said.get("launches", [{}]):
        assert faults({**shared, **request}) == []


@pytest.mark.parametrize("case", EVERY_CASE, ids=[case.name for case in EVERY_CASE])
def test_the_requests_of_the_cases(case: Case) -> None:
    """What a pool or the agreement of two fields refuses is no matter of shape."""
    request = {**GOOD, **case.request}
    if not faults(request):
        return
    with pytest.raises(BadRequest):
        LaunchRequest.parse(request)


def test_every_field_is_described() -> None:
    kinds = {"LaunchRequest": SCHEMA, **SCHEMA["$defs"]}
    missing = [
        f"{kind}.{name}"
        for kind, schema in kinds.items()
        for name, field in schema.get("properties", {}).items()
        if "description" not in field and "$ref" not in field and kind != "MemoryRange"
    ]
    assert missing == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "red"},
        {"name": ""},
        {"name": "xenlaunch:web"},
        {"name": "x" * 256},
        {"template": None},
        {"vcpus": 0},
        {"vcpus": "2"},
        {"vcpus": 1.5},
        {"memory": "lots"},
        {"memory": 4096},
        {"memory": {"min": "1GiB"}},
        {"pin": "yes"},
        {"disks": [{"floppy": "a"}]},
        {"disks": [{"new": "1GiB", "mode": "R"}]},
        {"disks": [{"new": "1GiB", "device": 255}]},
        {"disks": {"new": "1GiB"}},
        {"nics": ["guest"]},
        {"nics": [{"network": "guest", "mac": "01:00:00:00:00:01"}]},
        {"nics": [{"network": "guest"}] * 17},
        {"boot_order": "cdx"},
        {"tags": "blue"},
        {"other_config": {"folder": 5}},
        {"blocked_operations": {"fly": "it cannot"}},
        {"priority": 10},
    ],
    ids=str,
)
def test_what_the_model_refuses_by_shape_the_schema_refuses(wrong: dict[str, Any]) -> None:
    request = {**GOOD, **wrong}
    with pytest.raises(BadRequest):
        LaunchRequest.parse(request)
    assert faults(request) != []
