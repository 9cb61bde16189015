"""Every class of error at every changing call, as one batch: each launch ends as its class says."""

import logging
import os
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from tests.flow.conftest import MakeStack
from tests.support.agreement import Agreement
from tests.support.by_hand import ByHand
from tests.support.stacks import Stack
from tests.support.troubles import Trouble, aimed, call_keys, table
from xenlaunch import LaunchRequest, LaunchStatus
from xenlaunch.lease import Call
from xenlaunch.ledger import launch_id

RICH: Final[dict[str, Any]] = {
    "template": "debian-12",
    "vcpus": 1,
    "memory": "256MiB",
    "cpu_speed": 500,
    "limit_cpu_use": True,
    "after_shutdown": "restart",
    "disks": [{"new": "1GiB"}, {"iso": "tools.iso"}],
    "nics": [{"network": "guest"}, {"network": "private"}],
    "host": "host-2",
}
DRIVES: Final = ("CD", "Disk", "Disk")
SHARED: Final = {"assume_network_is_shared": "true"}
"""A network that has no way out of a host is its first VM's host's alone, unless it bears this."""

NO_KERNEL: Final = ("BOOTLOADER_FAILED", "vm", "no kernel")
SECONDS: Final = 900
EVERY_CODE: Final = bool(os.environ.get("EVERY_CODE"))
"""Every code of each class at every call, twice as many launches: takes minutes."""

log = logging.getLogger(__name__)


@pytest.mark.timeout(SECONDS + 60)
def test_every_launch_ends_as_the_class_of_its_error_says(make_stack: MakeStack) -> None:
    stack = make_stack("--host-workers", "64")
    ByHand(stack.pool).call("network.create", {"name_label": "private", "other_config": SHARED})
    stack.start_worker(concurrency=16)
    troubles = list(table(listed_calls(stack), every_code=EVERY_CODE))
    before = stack.lasting()
    launches = begin(stack, troubles)
    ended = stack.ended(list(launches), SECONDS)

    log.info("%s: %s", len(troubles), Counter(trouble.kind.name for trouble in troubles))
    wrong = {
        str(trouble): why
        for trouble, status in zip(launches.values(), ended, strict=True)
        if (why := what_is_wrong(trouble, status))
    }
    assert wrong == {}
    untried = [rule for rule in stack.pool.control("GET", "/faults") if not rule["struck"]]
    assert untried == []
    Agreement(stack, before, ended).assert_holds(DRIVES)


def listed_calls(stack: Stack) -> list[tuple[str, str]]:
    """All changing calls that such a launch makes, those of its undo too, as it wrote them down."""
    token = uuid.uuid4().hex
    launch = launch_id("tests", token)
    stack.pool.faults(aimed(launch, "name", "VM.set_name_label", "answer", NO_KERNEL))
    stack.client.submit(LaunchRequest.parse({"name": "model", **RICH}), token=token)
    assert stack.ended([launch])[0].state == "failed"
    store = stack.ledger.store
    calls: Mapping[str, str] = store.redis.hgetall(store.key("launch", launch) + ":calls")
    stack.pool.control("DELETE", "/faults")
    return call_keys((key, Call.from_json(text).method) for key, text in calls.items())


def begin(stack: Stack, troubles: Sequence[Trouble]) -> dict[str, Trouble]:
    """One launch for each trouble, which strikes it and no other."""
    tokens = [uuid.uuid4().hex for _ in troubles]
    launches = {
        launch_id("tests", token): trouble for token, trouble in zip(tokens, troubles, strict=True)
    }
    rules = [trouble.fault(launch) for launch, trouble in launches.items()]
    rules += [
        aimed(launch, "name", "VM.set_name_label", "answer", NO_KERNEL)
        for launch, trouble in launches.items()
        if trouble.in_undo
    ]
    stack.pool.faults(rules)
    for number, token in enumerate(tokens):
        request = LaunchRequest.parse({"name": f"web-{number}", **RICH})
        stack.client.submit(request, token=token)
    return launches


def what_is_wrong(trouble: Trouble, status: LaunchStatus) -> str:
    """How the launch ended otherwise than the class of its error says, or ''."""
    said = (status.error.code, *status.error.params) if status.error else ()
    if trouble.in_undo:
        # It ends as the launch had failed before; what it cannot remove it names, and only that.
        right = status.state == "failed" and said == NO_KERNEL
        right = right and not (trouble.kind.passes and status.leftovers)
    elif trouble.kind.passes:
        right = status.state == "succeeded" and not status.leftovers
    else:
        right = status.state == "failed" and said == trouble.error and not status.leftovers
        right = right and status.error is not None and len(status.error.message.split()) >= 4
    left = [one.cls for one in status.leftovers]
    return "" if right else f"{status.state} with {said}, left {left}"
