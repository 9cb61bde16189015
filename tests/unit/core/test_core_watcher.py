"""Watching: the end of a pool task is noted on its launch, once, also when the event was missed."""

import json
from typing import Any, cast

import pytest

from tasks.told import AGENT, condition
from tests.unit.core.lives import POOL, Lives
from tests.unit.core.scripted_session import ScriptedSession, error
from workers import watcher
from workers.watcher import GuestWatcher, TaskWatcher
from xenlaunch import names
from xenlaunch.errors import Busy
from xenlaunch.waiting import Awaited
from xenlaunch.xapi.pending import KEY
from xenlaunch.xapi.reach import Reach
from xenlaunch.xapi.records import Event, Records
from xenlaunch.xapi.session import Session

TASK = "OpaqueRef:task"
VM = "OpaqueRef:vm"
SUCCESS = {"status": "success", "result": f"<value>{VM}</value>", "error_info": []}


class Watch:
    """A watcher with what it hears and what it begins."""

    def __init__(self, lives: Lives) -> None:
        self.session = ScriptedSession()
        self.session.answers["event.from"] = []
        self.begun: list[tuple[str, str]] = []
        self.watcher = TaskWatcher(
            lives.ledger,
            "tests",
            lambda: Reach(POOL, cast("Session", self.session), cast("Records", None)),
            POOL,
            lambda launch, step: self.begun.append((launch, step)),
        )

    def hear(self, *events: dict[str, Any]) -> None:
        """One poll, which answers with these events and a new token."""
        batch = {"events": list(events), "token": f"t{len(self.tokens()) + 1}"}
        self.session.answers["event.from"].append(batch)
        self.watcher.turn(lambda: True)

    def tokens(self) -> list[str]:
        return [call[2] for call in self.session.calls if call[0] == "long_poll"]


@pytest.fixture
def watch(lives: Lives, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """One that has begun, and does not resync by itself for the length of a test."""
    made = Watch(lives)
    monkeypatch.setattr(watcher, "RESYNC_SECONDS", 1e12)
    made.hear()
    return made


@pytest.fixture
def parked(lives: Lives) -> str:
    lease = lives.leased(names.CLONE)
    lease.park("the clone", TASK, 60)
    return lease.launch.id


def event(mark: str, *, operation: str = "mod", **fields: Any) -> dict[str, Any]:
    other_config = {KEY: mark} if mark else {}
    row = {"name_label": "Async.VM.clone", "other_config": other_config, **SUCCESS, **fields}
    return {"operation": operation, "ref": TASK, "snapshot": row}


def test_the_end_of_a_task_is_noted_and_wakes(lives: Lives, watch: Watch, parked: str) -> None:
    watch.hear(event(f"tests/{parked}/clone/1"))
    notes = lives.lease(parked, names.CLONE).notes

    assert watch.begun == [(parked, names.CLONE)]
    assert {ref: json.loads(note) for ref, note in notes.items()} == {
        TASK: ["success", f"<value>{VM}</value>", ""]
    }


def test_an_end_that_is_told_twice_wakes_once(watch: Watch, parked: str) -> None:
    watch.hear(*[event(f"tests/{parked}/clone/1")] * 2)

    assert watch.begun == [(parked, names.CLONE)]


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "pending"},
        {"status": "cancelling"},
        {"operation": "del"},
        {"name_label": "VM.clone"},
        {"mark": "other/{}/clone/1"},
        {"mark": "testsish/{}/clone/1"},
        {"mark": "tests//clone/1"},
        {"mark": ""},
    ],
    ids=lambda fields: "-".join(map(str, fields.values())),
)
def test_what_is_not_the_end_of_a_task_of_ours_is_not_noted(
    lives: Lives, watch: Watch, parked: str, fields: dict[str, str]
) -> None:
    mark = fields.pop("mark", "tests/{}/clone/1").format(parked)
    watch.hear(event(mark, **fields))

    assert watch.begun == []
    assert not lives.redis.exists(lives.key("launch", parked, "notes"))


def test_a_failure_is_noted_with_its_reason(lives: Lives, watch: Watch, parked: str) -> None:
    failed: dict[str, Any] = {
        "status": "failure",
        "result": "",
        "error_info": ["VDI_MISSING", "sr", "vdi"],
    }
    watch.hear(event(f"tests/{parked}/clone/1", **failed))
    notes = lives.lease(parked, names.CLONE).notes

    assert json.loads(notes[TASK]) == ["failure", "", "VDI_MISSING", "sr", "vdi"]


def test_a_watcher_that_has_lost_its_role_notes_nothing(watch: Watch, parked: str) -> None:
    watch.session.answers["event.from"] = [
        {"events": [event(f"tests/{parked}/clone/1")], "token": "t1"}
    ]
    watch.watcher.turn(lambda: False)

    assert watch.begun == []


def test_it_follows_on_from_where_it_was(watch: Watch) -> None:
    watch.hear()
    watch.watcher.let_go()
    watch.hear()

    assert watch.tokens() == ["", "t1", ""]


def test_after_a_broken_line_it_begins_from_nothing(watch: Watch) -> None:
    watch.hear()
    watch.session.answers["event.from"].append(error("POOL_UNREACHABLE", "lab", "a", "down"))

    with pytest.raises(Busy):
        watch.watcher.turn(lambda: True)
    watch.hear()
    assert watch.tokens() == ["", "t1", "t2", ""]


@pytest.mark.parametrize(
    ("row", "noted"),
    [
        (None, ["vanished", "", ""]),
        ({**SUCCESS, "other_config": {}}, ["success", f"<value>{VM}</value>", ""]),
        ({"status": "pending"}, None),
    ],
    ids=["vanished", "ended", "running"],
)
def test_what_was_missed_is_found_now_and_then(
    lives: Lives,
    watch: Watch,
    parked: str,
    monkeypatch: pytest.MonkeyPatch,
    row: dict[str, Any] | None,
    noted: list[str] | None,
) -> None:
    watch.session.rows["task"] = {} if row is None else {TASK: row}
    monkeypatch.setattr(watcher, "RESYNC_SECONDS", 0.0)
    watch.hear()
    note = lives.redis.hget(lives.key("launch", parked, "notes"), TASK)

    assert (json.loads(note) if note else None) == noted
    assert watch.begun == ([(parked, names.CLONE)] if noted else [])


def test_who_waits_for_an_address_or_a_time_waits_for_no_task(
    lives: Lives, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives.leased(names.POLL).park("its address", names.guest_ref(VM, condition(Awaited())), 60)
    lives.leased().park("the pool", "", 60)
    monkeypatch.setattr(watcher, "RESYNC_SECONDS", 0.0)
    watch.hear()

    assert watch.begun == []
    assert "read task.get_all_records" not in watch.session.verbs()


class Cache:
    """Cached records of which a test says what is in them."""

    def __init__(self, address: str) -> None:
        self.rows = {
            ("vm", VM): {"guest_metrics": "metrics", "power_state": "Running"},
            ("vm_guest_metrics", "metrics"): {
                "networks": {"0/ip": address} if address else {},
                "os_version": {},
            },
        }
        self.hears: list[Any] = []

    def get(self, cls: str, ref: str) -> Any:
        return self.rows.get((cls, ref))

    def subscribe(self, hear: Any) -> None:
        self.hears.append(hear)


@pytest.mark.parametrize(
    ("wanted", "address", "wakes"),
    [
        (condition(Awaited()), "10.0.0.1", True),
        (condition(Awaited()), "169.254.0.1", False),
        (condition(Awaited()), "", False),
        (condition(Awaited(nic=1)), "10.0.0.1", False),
        (condition(Awaited(family="ipv6")), "10.0.0.1", False),
        (condition(Awaited(family="ipv6")), "fd00::1", True),
        (condition(Awaited(cidr="10.1.0.0/16")), "10.0.0.1", False),
        (condition(Awaited(cidr="10.0.0.0/16", port=22)), "10.0.0.1", True),
        (condition(Awaited(cidr="127.0.0.0/8")), "127.0.0.1", True),
        (AGENT, "169.254.0.1", True),
        (AGENT, "", False),
    ],
)
def test_a_launch_is_woken_when_its_guest_tells_what_it_waits_for(
    lives: Lives,
    wanted: str,
    address: str,
    wakes: bool,  # noqa: FBT001  what is expected
) -> None:
    lease = lives.leased(names.POLL)
    lease.park("its address", names.guest_ref(VM, wanted), 60)
    cache, begun = Cache(address), []
    reach = Reach(POOL, cast("Session", None), cast("Records", cache))
    watching = GuestWatcher(
        lives.ledger, lambda: reach, POOL, lambda launch, step: begun.append((launch, step))
    )
    watching._news.set()
    watching.turn(lambda: True)

    assert begun == ([(lease.launch.id, names.POLL)] if wakes else [])
    assert len(cache.hears) == 1


def test_news_of_guests_is_heard_at_once(lives: Lives) -> None:
    reach = Reach(POOL, cast("Session", None), cast("Records", Cache("")))
    watching = GuestWatcher(lives.ledger, lambda: reach, POOL, lambda *_: None)
    heard = []
    for cls in ("vm", "vm_guest_metrics"):
        watching._hear(Event(cls, "mod", "metrics", None))
        heard.append(watching._news.is_set())

    assert heard == [False, True]


def test_a_task_that_went_while_it_was_cut_off_is_found_at_once(watch: Watch, parked: str) -> None:
    watch.session.answers["event.from"].append(error("POOL_UNREACHABLE", "lab", "a", "down"))
    with pytest.raises(Busy):
        watch.watcher.turn(lambda: True)
    watch.hear()

    assert watch.begun == [(parked, names.CLONE)]
