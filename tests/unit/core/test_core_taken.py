"""What VMs take of a pool's hosts, whatever is heard of them and in whichever order."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.landing import Landing
from scheduler.taken import NULL, Taken
from tests.unit.core.test_core_inventory import vm
from xenlaunch import names
from xenlaunch.xapi.records import ADD, DEL, MOD, Event

GIB = 1 << 30
Rows = dict[str, dict[str, Any]]


class Told:
    """Records of VMs that a test changes."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.heard: list[Callable[[Event], None]] = []

    def all(self, cls: str) -> Rows:
        assert cls == "vm"
        return dict(self.rows)

    def subscribe(self, callback: Callable[[Event], None]) -> None:
        self.heard.append(callback)

    def put(self, ref: str, row: dict[str, Any] | None) -> None:
        old = self.rows.pop(ref, None)
        if row is None:
            event = Event("vm", DEL, ref, old)
        else:
            self.rows[ref] = row
            event = Event("vm", MOD if old else ADD, ref, row)
        for callback in self.heard:
            callback(event)


hosts = st.sampled_from(("h1", "h2", NULL))
rows = st.builds(
    lambda where, going, size, launch, group: (
        vm(
            "u-1",
            f"tests/l-{launch}/u-1" if launch else "",
            resident_on=where,
            scheduled_to_be_resident_on=going,
            memory_dynamic_min=str(size * GIB),
        )
        | (
            {
                "other_config": {
                    names.OTHER_CONFIG_MARK: f"tests/l-{launch}/u-1",
                    names.OTHER_CONFIG_GROUP: group,
                }
            }
            if launch and group
            else {}
        )
    ),
    hosts,
    hosts,
    st.integers(0, 3),
    st.sampled_from(("", "a", "b")),
    st.sampled_from(("", "apart db", "together web")),
)
changes = st.lists(st.tuples(st.sampled_from(("vm1", "vm2", "vm3")), st.none() | rows), max_size=20)


@given(changes, st.integers(0, 20))
def test_what_is_kept_from_event_to_event_is_what_a_full_look_finds(
    done: list[tuple[str, dict[str, Any] | None]], start: int
) -> None:
    told = Told()
    for ref, row in done[:start]:
        told.put(ref, row)
    taken = Taken(told, "tests")
    for ref, row in done[start:]:
        told.put(ref, row)
    kept, anew = (one.seen(("l-a", "l-b")) for one in (taken, Taken(told, "tests")))

    assert +Counter(kept.memory) == +Counter(anew.memory)
    assert {host: found for host, found in kept.members.items() if found} == anew.members
    assert kept.landed == anew.landed


def test_a_vm_that_goes_from_host_to_host_takes_memory_on_both() -> None:
    told = Told()
    told.put("vm1", vm("u-1", "", scheduled_to_be_resident_on="h2"))

    assert Taken(told, "tests").seen(()).memory == {"h1": 2 * GIB, "h2": 2 * GIB}


def test_a_group_counts_only_on_a_vm_that_a_launch_has_made() -> None:
    told = Told()
    marks = {names.OTHER_CONFIG_GROUP: "apart db", names.OTHER_CONFIG_MARK: "tests/l-a/u-1"}
    told.put("ours", vm("u-1", "", other_config=marks))
    told.put("copy", vm("u-2", "", other_config=marks))

    assert Taken(told, "tests").seen(()).members == {"h1": {"apart db": 1}}


@pytest.mark.parametrize(
    ("held", "version", "catches_up"),
    [
        (["l-a", "l-b"], "v1", False),
        (["l-a", "l-b", "l-c"], "v1", False),
        (["l-a"], "v1", True),
        (["l-a", "l-b"], "v2", True),
    ],
    ids=["as before", "more", "one has landed", "somebody else has given room"],
)
def test_the_pool_is_caught_up_with_only_when_somebody_may_have_landed(
    held: list[str],
    version: str,
    catches_up: bool,  # noqa: FBT001  what is expected
) -> None:
    landing, caught = Landing(), []
    landing.heed(["l-a"], "v0", lambda: caught.append("first"))
    landing.promised("l-b", "v1")
    landing.heed(held, version, lambda: caught.append("again"))

    assert caught == ["first", *(["again"] if catches_up else [])]


def test_who_could_not_catch_up_has_to_the_next_time() -> None:
    landing, caught = Landing(), []

    def fail() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        landing.heed([], "v0", fail)
    landing.heed([], "v0", lambda: caught.append("again"))

    assert caught == ["again"]
