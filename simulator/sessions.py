"""Sessions: who is logged in, for how long, and how many at once."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from simulator import rbac
from simulator.db import new_ref
from simulator.errors import ApiError
from simulator.members import EMERGENCY, check_master
from simulator.schema.roles import ROLES
from simulator.values import NULL, moment, now

if TYPE_CHECKING:
    from simulator.db import Row
    from simulator.world import World

ROOT: Final = "root"
IDLE_MAX_SECONDS: Final = 24 * 3600
PER_ORIGINATOR_MAX: Final = 500
ANONYMOUS_MAX: Final = 400
LAST_ACTIVE_STEP: Final = 600.0
LOGINS_AT_ONCE: Final = 8
DIRECTORY_LOGINS_AT_ONCE: Final = 1


class Sessions:
    """The pool's sessions, and the users it knows."""

    def __init__(self, world: World, users: Iterable[rbac.User]) -> None:
        self.world = world
        self._users = {user.name: user for user in users}
        self._logins = asyncio.Semaphore(LOGINS_AT_ONCE)
        self._directory_logins = asyncio.Semaphore(DIRECTORY_LOGINS_AT_ONCE)
        self._active: dict[str, float] = {}
        self._roles: dict[str, str] = {}  # of those who are not local root
        self._local: dict[str, str] = {}  # sessions with one host alone, and that host

    # -- logging in and out

    async def login(self, user: str, password: str, originator: str) -> str:
        await self._prove(user, password)
        return self.open(user, originator).ref

    async def login_locally(self, user: str, password: str, host: str) -> str:
        """A session with one host, which is good for the emergency calls alone."""
        await self._prove(user, password)
        if self._users[user].role:
            raise ApiError("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")
        ref = new_ref()
        self._local[ref] = host
        return ref

    async def _prove(self, name: str, password: str) -> None:
        """Root is known to the host; who else there is, a directory has to say."""
        by_directory = len(self._users) > 1 and name != ROOT
        async with self._directory_logins if by_directory else self._logins:
            await asyncio.sleep(self.world.latency.of("session.login_with_password"))
            try:
                self.prove(name, password)
            except ApiError:
                await asyncio.sleep(self.world.latency.of("session.refused") * by_directory)
                raise

    def prove(self, name: str, password: str) -> str:
        """The role of who knows the password; anyone else is refused."""
        user = self._users.get(name)
        given, known = password.encode(errors="replace"), user.password.encode() if user else b""
        if user is None or not hmac.compare_digest(given, known):
            raise ApiError("SESSION_AUTHENTICATION_FAILED", name, "Authentication failure")
        return user.role

    def open(self, user: str, originator: str) -> Row:
        subject = self._subject_of(user) if self._users[user].role else None
        role = self._role_of(user, subject) if subject else ""
        row = self.world.db.create(
            "session",
            this_host=self.world.master().ref,
            pool=True,
            is_local_superuser=not role,
            last_active=now(),
            validation_time=now(),
            auth_user_name=user,
            originator=originator,
            subject=subject.ref if subject else NULL,
            auth_user_sid=subject["subject_identifier"] if subject else "",
            rbac_permissions=rbac.permissions(role) if role else [],
        )
        self._active[row.ref] = time.time()
        if role:
            self._roles[row.ref] = role
        return row

    def _subject_of(self, user: str) -> Row:
        """What the pool knows of a user whom the directory knows."""
        sid = rbac.identifier(user)
        for row in self.world.db.all("subject"):
            if row["subject_identifier"] == sid:
                return row
        raise ApiError("SESSION_AUTHORIZATION_FAILED", user, "No subject is known for this user")

    def _role_of(self, user: str, subject: Row) -> str:
        """The highest role that the subject has now."""
        names = {row["name_label"] for row in self.world.db.rows("role", subject["roles"])}
        role = next((role for role in ROLES if role in names), "")
        if not role:
            raise ApiError("SESSION_AUTHORIZATION_FAILED", user, "This user has no role")
        return role

    def close(self, ref: str) -> None:
        """Log out; whoever waits for events in the session is told at once."""
        row = self.world.db.find("session", ref)
        for memory in (self._active, self._roles, self._local):
            memory.pop(ref, None)
        if row is not None:
            self.world.db.destroy(row)
        self.world.events.end_session(ref)

    def close_all(self) -> int:
        rows = self.world.db.all("session")
        for row in rows:
            self.close(row.ref)
        return len(rows)

    # -- asking

    def check(self, ref: str, call: str = "", host: str = "") -> None:
        """Refuse a call of a session that is not there, before it has done anything."""
        row = self.world.db.find("session", ref)
        if row is None:
            self._check_locally(ref, call, host)
            return
        if host:
            check_master(self.world, call, host)
        at = time.time()
        if at - self._active.get(ref, 0.0) > LAST_ACTIVE_STEP:
            self._active[ref] = at
            self.world.db.set(row, "last_active", moment(at))

    def _check_locally(self, ref: str, call: str, host: str) -> None:
        if self._local.get(ref) != host:
            raise ApiError("SESSION_INVALID", ref)
        check_master(self.world, call, host)
        if call not in EMERGENCY:
            raise ApiError("SESSION_INVALID", ref)

    def role_of(self, ref: str) -> str:
        """The role of the session's user; none is local root."""
        return self._roles.get(ref, "")

    def owner_of(self, ref: str) -> str:
        """Whose session it is, as tasks remember their owners: all of root's are one's."""
        row = self.world.db.find("session", ref)
        return str(row["auth_user_sid"]) if row else ""

    # -- collecting

    def collect(self, at: float) -> None:
        """Drop the idle, then the least recently used of each group that is too large."""
        groups: dict[tuple[str, str], list[Row]] = {}
        busy = self.world.busy_sessions()
        for row in self.world.db.all("session"):
            if at - self._active.get(row.ref, at) > IDLE_MAX_SECONDS and row.ref not in busy:
                self.close(row.ref)
            else:
                groups.setdefault(self._group_of(row), []).append(row)
        for group, rows in groups.items():
            self._thin_out(rows, busy, PER_ORIGINATOR_MAX if any(group) else ANONYMOUS_MAX)

    def _group_of(self, row: Row) -> tuple[str, str]:
        """Root's sessions are counted by originator, those of others by user."""
        if row.ref in self._roles:
            return row["auth_user_name"], ""
        return "", row["originator"]

    def _thin_out(self, rows: list[Row], busy: frozenset[str], most: int) -> None:
        unused = [row for row in rows if row.ref not in busy]
        unused.sort(key=lambda row: self._active.get(row.ref, 0.0))
        for row in unused[: max(0, len(rows) - most)]:
            self.close(row.ref)

    def forget_all(self) -> None:
        """An xapi restart: sessions are not written down anywhere."""
        for row in self.world.db.all("session"):
            self.world.db.forget(row)
        for memory in (self._active, self._roles, self._local):
            memory.clear()
