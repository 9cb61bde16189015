"""How this process reaches its pools: one session each, and one cache kept fresh by events."""

import threading
from collections.abc import Callable, Mapping
from functools import partial

from pydantic import SecretStr

from workers.settings import PoolSettings
from xenlaunch.errors import BadSettings, Refused
from xenlaunch.slots import Slots
from xenlaunch.xapi.pulse import Pulse
from xenlaunch.xapi.reach import Reach
from xenlaunch.xapi.records import Records
from xenlaunch.xapi.refusals import refusal
from xenlaunch.xapi.session import Session
from xenlaunch.xapi.transport import Trust


def _password(pool: str, settings: PoolSettings) -> SecretStr:
    """The password as it is now. That it is missing concerns this pool, and not the process."""
    try:
        return settings.password()
    except BadSettings as missing:
        raise refusal("", "PASSWORD_MISSING", [pool, missing.message]) from None


def _session(pool: str, settings: PoolSettings) -> Session:
    """A session that logs in when it is first used."""
    trust = Trust(settings.allow_http, settings.ca_file, settings.pins)
    return Session(
        pool, settings.addresses, settings.username, lambda: _password(pool, settings), trust
    )


class Pools:
    """The pools of this process, each followed from when it is first needed.

    Raises `BadSettings` where a pool could never be reached as it is described.
    """

    def __init__(self, settings: Mapping[str, PoolSettings], permit: Callable[[str], None]) -> None:
        self._permit = permit
        self._sessions = {pool: _session(pool, found) for pool, found in settings.items()}
        self._traffic: dict[str, dict[str, str]] = {
            pool: {str(kind): network for kind, network in found.traffic.items()}
            for pool, found in settings.items()
        }
        self._slots = {
            pool: Slots(found.sr_slots, found.host_slots, found.copy_slots)
            for pool, found in settings.items()
        }
        self._reached: dict[str, Reach] = {}
        self._lock = threading.Lock()

    def reach(self, pool: str) -> Reach:
        with self._lock:
            if pool not in self._reached:
                self._reached[pool] = self._follow(pool)
            return self._reached[pool]

    def pulses(self) -> dict[str, Pulse]:
        """How the pools answer that this process has to do with."""
        with self._lock:
            return {pool: reach.session.pulse for pool, reach in self._reached.items()}

    def _follow(self, pool: str) -> Reach:
        session = self._sessions.get(pool)
        if session is None:
            raise Refused("POOL_NOT_FOUND", [pool], f"The pools file names no pool {pool!r}.")
        records = Records(session)
        records.start()
        permit = partial(self._permit, pool)
        return Reach(pool, session, records, self._traffic[pool], self._slots[pool], permit)

    def close(self) -> None:
        """Log out everywhere."""
        with self._lock:
            reached, self._reached = list(self._reached.values()), {}
        for reach in reached:
            reach.records.stop()
        for reach in reached:
            reach.session.close()
