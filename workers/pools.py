"""How this process reaches its pools: one session each, and one cache kept fresh by events."""

import threading
from collections.abc import Mapping

from workers.settings import PoolSettings
from xenlaunch.errors import Refused
from xenlaunch.xapi.pool import Reach
from xenlaunch.xapi.records import Records
from xenlaunch.xapi.session import Session
from xenlaunch.xapi.transport import Trust


class Pools:
    """The pools of this process, each reached when it is first needed."""

    def __init__(self, settings: Mapping[str, PoolSettings]) -> None:
        self._settings = settings
        self._reached: dict[str, Reach] = {}
        self._lock = threading.Lock()

    def reach(self, pool: str) -> Reach:
        with self._lock:
            if pool not in self._reached:
                self._reached[pool] = self._open(pool)
            return self._reached[pool]

    def _open(self, pool: str) -> Reach:
        settings = self._settings.get(pool)
        if settings is None:
            raise Refused("POOL_NOT_FOUND", [pool], f"The pools file names no pool {pool!r}.")
        trust = Trust(settings.allow_http, settings.ca_file, settings.pins)
        session = Session(pool, settings.addresses, settings.username, settings.password, trust)
        records = Records(session)
        records.start()
        return Reach(pool, session, records)

    def close(self) -> None:
        """Log out everywhere."""
        with self._lock:
            reached, self._reached = list(self._reached.values()), {}
        for reach in reached:
            reach.records.stop()
        for reach in reached:
            reach.session.close()
