"""What is swept, decided from what was listed: pools and records that a test makes up."""

import json
from typing import Any

import pytest

from scheduler.sweep import AFTER_GRACE, LEAVE, NOW, Row, Trace, schedule, traces, verdict
from xenlaunch import names, states
from xenlaunch.record import Record

LAUNCH = "l-7f3k"
MARK = names.OTHER_CONFIG_MARK


def vm(**fields: Any) -> dict[str, Any]:
    """A VM half made by our launch, but for what is said."""
    row = {
        "uuid": "u-vm",
        "name_label": names.working_name("lab", LAUNCH, 1),
        "is_a_snapshot": False,
        "other_config": {MARK: f"lab/{LAUNCH}/u-vm"},
    }
    return {**row, **fields}


def disk(*more: str, **fields: Any) -> dict[str, Any]:
    marks = {MARK: f"lab/{LAUNCH}/vdi:0", names.OTHER_CONFIG_DISK: "ref"}
    row = {"uuid": "u-vdi", "is_a_snapshot": False, "VBDs": []}
    return {**row, "other_config": {**marks, **dict.fromkeys(more, "x")}, **fields}


def marks(*more: str, mark: str = f"lab/{LAUNCH}/u-vm") -> dict[str, str]:
    return {MARK: mark, **dict.fromkeys(more, "x")}


OURS_TO_SWEEP = {
    "half made": vm(),
    "cloned a moment ago": vm(other_config={}),
    "a later attempt's": vm(name_label=names.working_name("lab", LAUNCH, 12)),
}

NOT_OURS = {
    "finished": vm(other_config=marks(names.OTHER_CONFIG_FINISHED)),
    "kept": vm(other_config=marks(names.OTHER_CONFIG_KEPT)),
    "a snapshot": vm(is_a_snapshot=True),
    "a copy, which bears another uuid": vm(uuid="u-copy"),
    "under a name of its own": vm(name_label="web"),
    "under another launch's name": vm(name_label=names.working_name("lab", "l-else", 1)),
    "of another deployment": vm(
        name_label=names.working_name("attic", LAUNCH, 1),
        other_config=marks(mark=f"attic/{LAUNCH}/u-vm"),
    ),
    "of a deployment whose name begins as ours does": vm(
        name_label=names.working_name("lab-2", LAUNCH, 1), other_config={}
    ),
    "a VM that has nothing to do with us": vm(name_label="db", other_config={}),
    "named like ours, but not quite": vm(name_label=f"xenlaunch:lab:{LAUNCH}", other_config={}),
}

DISKS_NOT_OURS = {
    "finished": disk(names.OTHER_CONFIG_FINISHED),
    "kept": disk(names.OTHER_CONFIG_KEPT),
    "a snapshot": disk(is_a_snapshot=True),
    "one that a VM has": disk(VBDs=["OpaqueRef:vbd"]),
    "unmarked": disk(other_config={}),
    "marked as a VM is": disk(other_config={MARK: f"lab/{LAUNCH}/u-vdi"}),
    "marked with too much": disk(other_config={MARK: f"lab/{LAUNCH}/vdi:0/1"}),
}


SOURCE = "attic/l-earlier/u-golden"


@pytest.mark.parametrize(
    ("learnt", "due"),
    [
        ({"template": {"mark": SOURCE}}, NOW),
        ({"template": {"copies": [{"mark": SOURCE}]}}, NOW),
        ({"template": {}}, LEAVE),
        ({}, LEAVE),
        (None, LEAVE),
    ],
)
def test_a_clone_with_its_sources_mark_goes_where_its_launch_cloned_that(
    learnt: dict[str, Any] | None, due: str
) -> None:
    """Else somebody has cloned a VM of ours, and given it such a name: with all its marks."""
    row = vm(other_config=marks(names.OTHER_CONFIG_FINISHED, mark=SOURCE))
    [trace] = traces("lab", {"ref": row}, {}, {})

    assert (trace.launch, trace.source) == (LAUNCH, SOURCE)
    assert verdict(trace, None if learnt is None else ended(learnt)) == due


def ended(learnt: dict[str, Any]) -> Record:
    fields = {"id": LAUNCH, "state": states.FAILED, "ended": "1", "learnt": json.dumps(learnt)}
    return Record(fields)


@pytest.mark.parametrize("case", OURS_TO_SWEEP)
def test_a_half_made_vm_is_its_launchs(case: str) -> None:
    found = traces("lab", {"ref": OURS_TO_SWEEP[case]}, {}, {})

    assert found == [Trace("VM", "ref", "u-vm", LAUNCH)]


@pytest.mark.parametrize("case", NOT_OURS)
def test_what_is_not_ours_leaves_no_trace(case: str) -> None:
    assert traces("lab", {"ref": NOT_OURS[case]}, {}, {}) == []


def test_a_new_disk_that_nothing_has_is_its_launchs() -> None:
    unsigned = disk(other_config={MARK: f"lab/{LAUNCH}/vdi:0"})
    found = traces("lab", {}, {"ref": disk(), "new": unsigned}, {})

    assert [trace.ref for trace in found] == ["ref", "new"]


@pytest.mark.parametrize("case", DISKS_NOT_OURS)
def test_a_disk_that_is_not_ours_leaves_no_trace(case: str) -> None:
    assert traces("lab", {}, {"ref": DISKS_NOT_OURS[case]}, {}) == []


def test_a_copy_of_our_disk_bears_the_ref_of_ours() -> None:
    assert traces("lab", {}, {"copy": disk()}, {}) == []


def record(state: str, vm_uuid: str = "") -> Record:
    fields = {"id": LAUNCH, "state": state, "learnt": json.dumps({"vm_uuid": vm_uuid})}
    return Record(fields | ({"ended": "1"} if state in states.ENDED else {}))


TRACE = Trace("VM", "ref", "u-vm", LAUNCH)


@pytest.mark.parametrize("state", sorted(set(states.STATES) - states.ENDED))
def test_a_launch_that_lives_is_left_alone(state: str) -> None:
    assert verdict(TRACE, record(state)) == LEAVE


@pytest.mark.parametrize("state", [states.FAILED, states.CANCELLED])
def test_what_a_launch_has_left_that_came_to_nothing_goes(state: str) -> None:
    assert verdict(TRACE, record(state, "u-vm")) == NOW


def test_of_a_launch_that_succeeded_its_vm_stays_and_another_goes() -> None:
    assert verdict(TRACE, record(states.SUCCEEDED, "u-vm")) == LEAVE
    assert verdict(TRACE, record(states.SUCCEEDED, "u-other")) == NOW


def test_what_nobody_remembers_has_a_grace() -> None:
    assert verdict(TRACE, None) == AFTER_GRACE


def test_the_grace_runs_from_the_first_sight() -> None:
    other = Trace("VM", "other", "u-other", LAUNCH)
    first = schedule([(TRACE, AFTER_GRACE)], {}, now=1000, grace=600)
    later = schedule([(TRACE, AFTER_GRACE), (other, AFTER_GRACE)], first, now=1500, grace=600)

    assert first == {"ref": 1600}
    assert later == {"ref": 1600, "other": 2100}


def test_what_is_left_alone_is_not_remembered() -> None:
    assert schedule([(TRACE, LEAVE)], {"ref": 1}, now=1000, grace=600) == {}


def test_what_has_no_grace_is_due_at_once_and_after_a_failure_later() -> None:
    assert schedule([(TRACE, NOW)], {}, now=1000, grace=600) == {"ref": 1000}
    assert schedule([(TRACE, NOW)], {"ref": 1900}, now=1000, grace=600) == {"ref": 1900}


def bridge(mark: str) -> Row:
    return {"uuid": "vif", "other_config": {"xenlaunch": mark}}


def test_a_vif_of_a_control_domain_is_ours_by_its_mark() -> None:
    rows: dict[str, Row] = {
        "ours": bridge("lab/l-1/dom0:OpaqueRef:network"),
        "another's": bridge("east/l-1/dom0:OpaqueRef:network"),
        "a guest's": bridge("lab/l-1/vif:0"),
        "by hand": {"uuid": "vif", "other_config": {}},
    }

    [trace] = traces("lab", {}, {}, rows)
    assert (trace.cls, trace.ref, trace.launch) == ("VIF", "ours", "l-1")
