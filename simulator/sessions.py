"""Sessions: who is logged in, for how long, and how many at once."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import TYPE_CHECKING, Final

from simulator.errors import ApiError
from simulator.values import moment, now

if TYPE_CHECKING:
    from simulator.db import Row
    from simulator.world import World

IDLE_MAX_SECONDS: Final = 24 * 3600
PER_ORIGINATOR_MAX: Final = 500
ANONYMOUS_MAX: Final = 400
LAST_ACTIVE_STEP: Final = 600.0
LOGINS_AT_ONCE: Final = 8
_USER: Final = "root"


class Sessions:
    """The pool's sessions, and the one user it knows."""

    def __init__(self, world: World, password: str) -> None:
        self.world = world
        self._password = password
        self._logins = asyncio.Semaphore(LOGINS_AT_ONCE)
        self._active: dict[str, float] = {}

    async def login(self, user: str, password: str, originator: str) -> str:
        async with self._logins:
            await asyncio.sleep(self.world.latency.of("session.login_with_password"))
        given, known = password.encode(errors="replace"), self._password.encode()
        if user != _USER or not hmac.compare_digest(given, known):
            raise ApiError("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")
        return self.open(user, originator).ref

    def open(self, user: str, originator: str) -> Row:
        row = self.world.db.create(
            "session",
            this_host=self.world.master().ref,
            pool=True,
            is_local_superuser=True,
            last_active=now(),
            validation_time=now(),
            auth_user_name=user,
            originator=originator,
        )
        self._active[row.ref] = time.time()
        return row

    def check(self, ref: str) -> None:
        """Refuse a call of a session that is not there, before it has done anything."""
        row = self.world.db.find("session", ref)
        if row is None:
            raise ApiError("SESSION_INVALID", ref)
        at = time.time()
        if at - self._active.get(ref, 0.0) > LAST_ACTIVE_STEP:
            self._active[ref] = at
            self.world.db.set(row, "last_active", moment(at))

    def close(self, ref: str) -> None:
        """Log out; whoever waits for events in the session is told at once."""
        row = self.world.db.find("session", ref)
        self._active.pop(ref, None)
        if row is not None:
            self.world.db.destroy(row)
        self.world.events.end_session(ref)

    def close_all(self) -> int:
        rows = self.world.db.all("session")
        for row in rows:
            self.close(row.ref)
        return len(rows)

    def collect(self, at: float) -> None:
        """Drop the idle, then the least recently used of each group that is too large."""
        groups: dict[str, list[Row]] = {}
        for row in self.world.db.all("session"):
            if at - self._active.get(row.ref, at) > IDLE_MAX_SECONDS:
                self.close(row.ref)
            else:
                groups.setdefault(row["originator"], []).append(row)
        for originator, rows in groups.items():
            self._thin_out(rows, PER_ORIGINATOR_MAX if originator else ANONYMOUS_MAX)

    def _thin_out(self, rows: list[Row], most: int) -> None:
        unused = [row for row in rows if row.ref not in self.world.busy_sessions()]
        unused.sort(key=lambda row: self._active.get(row.ref, 0.0))
        for row in unused[: max(0, len(rows) - most)]:
            self.close(row.ref)

    def forget_all(self) -> None:
        """An xapi restart: sessions are not written down anywhere."""
        for row in self.world.db.all("session"):
            self.world.db.forget(row)
        self._active.clear()
