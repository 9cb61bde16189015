"""The published JSON Schema accepts what docs and cases ask for, and no more than it must."""

import io
import json
import re
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from tests.docs.pages import Block, blocks
from tests.support.any_requests import SCHEMA, VALID
from tests.support.cases import CASES, Case, read_cases
from xenlaunch import LaunchRequest
from xenlaunch.batch_file import Said, read_asked
from xenlaunch.cli import cli
from xenlaunch.errors import BadRequest
from xenlaunch.schema import file_schema, schema

EXAMPLES = [block for block in blocks("yaml") if "template:" in block.text]
EVERY_CASE = [
    case for file in sorted(CASES.glob("*.yaml")) for case in read_cases(file.read_text())
]
GOOD = {"name": "web", "template": "debian-12"}


VALID_FILE = Draft202012Validator(file_schema())


def faults(request: Any) -> list[str]:
    return [error.message for error in VALID.iter_errors(request)]


@pytest.mark.parametrize(("options", "made"), [([], schema()), (["--file"], file_schema())])
def test_it_is_a_schema_and_the_command_prints_it(options: list[str], made: Any) -> None:
    Draft202012Validator.check_schema(made)
    assert json.loads(CliRunner().invoke(cli, ["schema", *options]).output) == made
    assert made["version"]


def test_all_that_a_schema_refers_to_is_in_it() -> None:
    for made in (schema(), file_schema()):
        used = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(made)))
        assert used == set(made["$defs"])


@pytest.mark.parametrize("block", EXAMPLES, ids=[block.id for block in EXAMPLES])
def test_the_examples_of_the_docs(block: Block) -> None:
    """Each request of a batch is one; what is said of the batch itself is read like any file."""
    said = yaml.safe_load(block.text)
    assert read_asked(io.StringIO(block.text), "web.yaml", Said()).requests
    shared = {name: value for name, value in said.items() if name not in ("batch", "launches")}
    for request in said.get("launches", [{}]):
        assert faults({**shared, **request}) == []
    assert [error.message for error in VALID_FILE.iter_errors(said)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": {"count": 0}},
        {"batch": {"count": 2, "colour": "red"}},
        {"batch": {"count": 2, "overrides": [{"index": 0}]}},
        {"batch": {"count": 2, "overrides": [{"index": 1, "memory": "lots"}]}},
        {"launches": []},
        {"launches": [{"name": "web", "colour": "red"}]},
        {"launches": [{"batch": {"count": 2}}]},
        {"colour": "red"},
        {"memory": "lots"},
        {"guest": {"user_data_file": ""}},
    ],
    ids=str,
)
def test_what_no_file_may_say_the_schema_of_files_refuses(wrong: dict[str, Any]) -> None:
    said = {**GOOD, **wrong}
    with pytest.raises(BadRequest):
        read_asked(io.StringIO(json.dumps(said)), "web.yaml", Said())
    assert list(VALID_FILE.iter_errors(said)) != []
    if "batch" not in wrong:
        assert list(VALID_FILE.iter_errors([said])) != []


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
