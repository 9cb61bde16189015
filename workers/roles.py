"""Leased roles: what exactly one process does at a time, and any process can take over.

Every worker process has a thread for each role. The threads of one process hold the role, all
others stand by and try for it; when a process dies, its roles are free after a few seconds.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from xenlaunch.errors import XenlaunchError
from xenlaunch.ledger import Ledger

log = logging.getLogger(__name__)

LEASE_MS: Final = 3_000
KEEP_EVERY: Final = 1.0


class Role(Protocol):
    """Something that is done again and again while it is ours to do."""

    @property
    def name(self) -> str: ...

    def turn(self, held: Callable[[], bool]) -> None:
        """Do it once; return soon after it is not ours any more."""

    def let_go(self) -> None:
        """Forget what only the holder may remember."""


class Roles:
    """The roles of one process: one thread keeps them, and each has one that does its work."""

    def __init__(
        self, ledger: Ledger, holder: str, roles: Iterable[Role], beat: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._holder = holder
        self._roles = list(roles)
        self._beat = beat
        self._held: dict[str, bool] = {role.name: False for role in self._roles}
        self._complaints: dict[str, str] = {}
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._keep, name="roles", daemon=True)]
        self._threads += [
            threading.Thread(target=self._work, args=(role,), name=role.name, daemon=True)
            for role in self._roles
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Give the roles up, so that others need not wait until they run out."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        # Else it might take a role again that was just given up.
        self._threads[0].join(LEASE_MS / 1000)
        for role in self._roles:
            if self._held[role.name]:
                try:
                    self._ledger.leave_role(role.name, self._holder)
                except XenlaunchError as lost:
                    log.info("The role %s was not given up: %s", role.name, lost)

    def held(self, role: str) -> bool:
        return self._held[role] and not self._stopping.is_set()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            try:
                self._keep_once()
            except Exception:
                # Whoever cannot say that he holds a role must not work as if he did.
                if not self._stopping.is_set():
                    log.exception("The roles could not be kept")
                for role in self._roles:
                    self._set(role.name, held=False)
            self._stopping.wait(KEEP_EVERY)

    def _keep_once(self) -> None:
        self._beat()
        for role in self._roles:
            self._set(role.name, held=self._take(role.name))

    def _take(self, role: str) -> bool:
        try:
            return self._ledger.take_role(role, self._holder, LEASE_MS)
        except XenlaunchError as lost:
            log.warning("Cannot hold the role %s: %s", role, lost)
            return False

    def _set(self, role: str, *, held: bool) -> None:
        if self._held[role] != held:
            log.info("%s the role %s", "Took" if held else "Lost", role)
            self._held[role] = held
            with self._changed:
                self._changed.notify_all()

    def _work(self, role: Role) -> None:
        while not self._stopping.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._held[role.name] or self._stopping.is_set(), 5)
            if self.held(role.name):
                self._turn(role)
            else:
                role.let_go()

    def _turn(self, role: Role) -> None:
        try:
            role.turn(lambda: self.held(role.name))
        except XenlaunchError as trouble:
            self._complain(role.name, trouble.message)
            self._stopping.wait(1)
        except Exception:
            # A role must outlive a fault in one of its turns: nothing else would do its work.
            # What breaks while the process ends is only its connections being closed.
            if not self._stopping.is_set():
                log.exception("The role %s failed unexpectedly", role.name)
                self._stopping.wait(1)
        else:
            self._complaints.pop(role.name, None)

    def _complain(self, role: str, trouble: str) -> None:
        """Once for each trouble, however long it lasts."""
        if self._complaints.get(role) != trouble:
            log.warning("%s: %s", role, trouble)
            self._complaints[role] = trouble
