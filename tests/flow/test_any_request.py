"""Any request that the schema accepts launches, or is refused with a sentence and changes nothing.

Any that it does not accept is refused with the line and the field. XENLAUNCH_REQUESTS says how many
are tried of each, where that is not a hundred. They are drawn anew each time: what fails shows
the XENLAUNCH_SEED that draws the same again.
"""

import io
import json
import os
import random
import re
import sys
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.flow.conftest import MakeStack
from tests.support.any_requests import damaged, requests
from xenlaunch import LaunchRequest
from xenlaunch.errors import BadRequest
from xenlaunch.request_file import read_request

COUNT = int(os.environ.get("XENLAUNCH_REQUESTS", "100"))
DRAWN = settings(
    max_examples=COUNT,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ANEW = random.SystemRandom().getrandbits(32)
FINDING = re.compile(r"web\.yaml:\d+: (?P<field>\w+)")


@pytest.fixture
def chance() -> int:
    """The seed of what is drawn, which pytest shows with a test that fails."""
    chosen = int(os.environ.get("XENLAUNCH_SEED", ANEW))
    sys.stdout.write(f"XENLAUNCH_SEED={chosen} draws the same requests again.\n")
    return chosen


@pytest.mark.timeout(300)
def test_what_the_schema_accepts_launches_or_is_refused(make_stack: MakeStack, chance: int) -> None:
    stack = make_stack("--hosts", "16")
    stack.start_worker()
    before = len(stack.changing_calls())
    asked: dict[str, dict[str, Any]] = {}

    @seed(chance)
    @DRAWN
    @given(drawn=requests())
    def submit(drawn: dict[str, Any]) -> None:
        wanted = {**drawn, "name": f"any-{len(asked)}"}
        try:
            request = LaunchRequest.parse(wanted)
        except BadRequest as bad:
            assert_refused_in_its_file(wanted, bad)
        else:
            asked[stack.client.submit(request).id] = wanted

    submit()
    ended = {status.id: status for status in stack.ended(list(asked), 200)}
    log = json.dumps(stack.changing_calls()[before:])
    failures = {
        launch: (status.error, asked[launch])
        for launch, status in ended.items()
        if status.state != "succeeded"
    }
    assert {launch: why for launch, why in failures.items() if f"/{launch}/" in log} == {}
    assert all(error and error.message.endswith(".") for error, _ in failures.values())
    assert len(asked) - len(failures) >= COUNT // 20, "some of them came up"
    assert sorted(stack.vms()) == sorted(
        status.name for status in ended.values() if status.state == "succeeded"
    )


def assert_refused_in_its_file(wanted: dict[str, Any], bad: BadRequest | None = None) -> None:
    """Each finding has its line and its field, and is the one that a program is told."""
    text = yaml.safe_dump(wanted, sort_keys=False)
    with pytest.raises(BadRequest) as refused:
        read_request(io.StringIO(text), "web.yaml")
    lines = refused.value.message.split("\n")
    findings = [FINDING.match(line) for line in lines]
    fields = {found["field"] for found in findings if found}
    assert all(findings), lines
    assert all(line.endswith(".") for line in lines), lines
    assert fields <= {*wanted, *LaunchRequest.model_fields, "request"}, lines
    if bad is not None:
        assert len(lines) == len(bad.findings)


@pytest.mark.timeout(120)
def test_what_the_schema_refuses_is_refused_with_line_and_field(chance: int) -> None:
    @seed(chance)
    @DRAWN
    @given(wanted=damaged())
    def refuse(wanted: dict[str, Any]) -> None:
        assert_refused_in_its_file(wanted)

    refuse()
