"""What one worker process has: its ledger, its pools, and the leases that it keeps alive."""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Mapping
from functools import cached_property

from scheduler.generation import Generations
from workers import durability
from workers.pools import Pools
from workers.settings import Settings, load
from xenlaunch.errors import BadSettings, StoreUnreachable
from xenlaunch.lease import Lease
from xenlaunch.ledger import Ledger
from xenlaunch.store import Store
from xenlaunch.xapi.reach import Reach

log = logging.getLogger(__name__)


class Runtime:
    """One process. Everything in it is made when it is first used, after the settings are known."""

    def __init__(self) -> None:
        self._leases: dict[str, str] = {}
        self._registered = False
        self._lock = threading.Lock()

    @cached_property
    def settings(self) -> Settings:
        return load()

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(Store(self.settings.redis_url))

    @cached_property
    def pools(self) -> Pools:
        return Pools(self.settings.pools, self.permit)

    @cached_property
    def generations(self) -> Generations:
        return Generations(self.ledger, self.deployment, self.reach)

    @cached_property
    def worker(self) -> str:
        return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(3)}"

    @property
    def deployment(self) -> str:
        return self.settings.deployment

    def reach(self, pool: str) -> Reach:
        return self.pools.reach(pool)

    def permit(self, pool: str) -> None:
        """Raise `Busy` where nothing may be changed: the pool bears another ledger's generation."""
        self.generations.permit(pool)

    def heard(self, claims: Mapping[str, str]) -> None:
        """What the ledger knows of this deployment now, as a claim has just read it."""
        self.generations.heard(claims)

    def register(self) -> None:
        """Say in the ledger whose launches these are; again where it has forgotten that."""
        if not (self._registered and self.generations.refresh()):
            durability.check_version(self.ledger.store.redis)
            pools = sorted(self.settings.pools)
            self.ledger.register(self.deployment, secrets.token_hex(8), pools)
            self.generations.refresh()
            self._registered = True
            for doubt in durability.doubts(self.ledger.store.redis):
                log.warning("%s", doubt)

    # Leases

    def hold(self, lease: Lease) -> None:
        with self._lock:
            self._leases[lease.launch.id] = lease.fence

    def drop(self, lease: Lease) -> None:
        with self._lock:
            if self._leases.get(lease.launch.id) == lease.fence:
                del self._leases[lease.launch.id]

    def beat(self) -> None:
        """Prolong the leases that are held. A step finds out by itself that it has lost its own."""
        with self._lock:
            held = dict(self._leases)
        try:
            self.register()
            for launch in self.ledger.renew(held):
                log.info("The lease on %s is gone", launch)
        except (StoreUnreachable, BadSettings) as lost:
            log.warning("Leases were not renewed: %s", lost)

    def give_back(self) -> int:
        """Give up all leases that are held, so that others go on at once; how many there were."""
        with self._lock:
            held, self._leases = self._leases, {}
        return self.ledger.let_go(held)

    def close(self) -> None:
        """Log out of every pool. The ledger's connections end with the process."""
        self.pools.close()
