"""The watcher of a pool: whoever is parked on something of that pool is woken by it.

It follows the pool's own jobs with one long poll, notes on each launch how its job ended (XAPI
keeps few of them, and not for long), and wakes it. What it missed it finds by reading all that is
parked now and then, so a lost event costs seconds and no launch.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from tasks.told import met, metrics_of
from xenlaunch import names
from xenlaunch.ledger import Ledger
from xenlaunch.xapi.pending import Outcome, mark_of
from xenlaunch.xapi.reach import Reach
from xenlaunch.xapi.records import Event

Begin = Callable[[str, str], None]

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 10.0
RESYNC_SECONDS: Final = 15.0

_NO_TASKS: Final = (names.GUEST, names.BREAKER)
"""How begins what a launch is parked on that is no pool task."""


class TaskWatcher:
    """Follows the pool tasks of our launches."""

    def __init__(
        self, ledger: Ledger, deployment: str, reach: Callable[[], Reach], pool: str, begin: Begin
    ) -> None:
        self.name = f"watch:{pool}"
        self._ledger = ledger
        self._deployment = deployment
        self._reach = reach
        self._pool = pool
        self._begin = begin
        self._token = ""
        self._synced = 0.0

    def let_go(self) -> None:
        self._token = ""

    def turn(self, held: Callable[[], bool]) -> None:
        try:
            # A watcher that is new, or was cut off, cannot know what has gone meanwhile.
            if not self._token or time.monotonic() - self._synced > RESYNC_SECONDS:
                self._resync()
            batch = self._reach().session.long_poll(["task"], self._token, POLL_SECONDS)
        except Exception:
            # The next poll begins from nothing: it tells of every task that there is.
            self._token = ""
            raise
        for event in batch["events"]:
            if event["operation"] != "del" and held():
                self._heed(event["ref"], event["snapshot"])
        self._token = batch["token"]

    def _heed(self, ref: str, record: Mapping[str, Any]) -> None:
        launch = self._launch_of(record)
        if launch is None:
            return
        outcome = Outcome.from_record(record)
        if outcome.ended:
            self._note(launch, ref, outcome)

    def _launch_of(self, record: Mapping[str, Any]) -> str | None:
        deployment, _, rest = (mark_of(record) or "").partition("/")
        # A plain call is answered where it was made; only what goes async is waited for.
        if deployment != self._deployment or not record["name_label"].startswith("Async."):
            return None
        return rest.partition("/")[0] or None

    def _note(self, launch: str, ref: str, outcome: Outcome) -> None:
        step = self._ledger.note(launch, ref, outcome.to_json())
        if step:
            self._begin(launch, step)

    def _resync(self) -> None:
        """What is parked on a pool task that is not there any more, or whose end was missed."""
        self._synced = time.monotonic()
        # What is parked is read first: a task that comes after that cannot seem to be gone.
        parked = self._ledger.parked(self._pool)
        waiting = {ref: one for ref, one in parked.items() if not ref.startswith(_NO_TASKS)}
        if not waiting:
            return
        tasks = self._reach().session.read("task.get_all_records")
        for ref, launch in waiting.items():
            record = tasks.get(ref)
            outcome = Outcome.from_record(record) if record else Outcome.vanished()
            if outcome.ended:
                self._note(launch, ref, outcome)


class GuestWatcher:
    """Wakes the launches that wait for what their guest tells: that it is there, an address."""

    def __init__(self, ledger: Ledger, reach: Callable[[], Reach], pool: str, begin: Begin) -> None:
        self.name = f"guests:{pool}"
        self._ledger = ledger
        self._reach = reach
        self._pool = pool
        self._begin = begin
        self._news = threading.Event()
        self._subscribed = False

    def let_go(self) -> None:
        """Nothing is remembered."""

    def turn(self, held: Callable[[], bool]) -> None:
        records = self._reach().records
        if not self._subscribed:
            records.subscribe(self._hear)
            self._subscribed = True
        self._news.wait(2)
        self._news.clear()
        for ref, launch in self._ledger.parked(self._pool).items():
            told = self._told(ref) if ref.startswith(names.GUEST) and held() else None
            if told is not None:
                # Noted, not only woken: whoever goes on may have a cache that is a moment behind.
                step = self._ledger.note(launch, ref, json.dumps(told))
                if step:
                    self._begin(launch, step)

    def _hear(self, event: Event) -> None:
        if event.cls == "vm_guest_metrics":
            self._news.set()

    def _told(self, ref: str) -> tuple[str, ...] | None:
        """What meets the condition that a launch is parked on, if anything does."""
        ref, _, condition = ref.removeprefix(names.GUEST).partition(" ")
        records = self._reach().records
        return met(condition, metrics_of(records, ref))
