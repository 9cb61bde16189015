"""What one worker process has: its ledger, its pools, and the leases that it keeps alive."""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Final

from scheduler.generation import Generations
from workers import durability
from workers.breakers import Breakers
from workers.bulkhead import Bulkhead
from workers.pools import Pools
from workers.settings import Settings, load
from xenlaunch.errors import BadSettings, StoreUnreachable
from xenlaunch.lease import Lease
from xenlaunch.ledger import Ledger
from xenlaunch.store import Store
from xenlaunch.xapi.reach import Reach

log = logging.getLogger(__name__)

HANGING_SECONDS: Final = 2.0
"""After so long a silence of a pool, nobody who serves others too waits for it."""


class Runtime:
    """One process. Everything in it is made when it is first used, after the settings are known."""

    def __init__(self) -> None:
        self._leases: dict[str, str] = {}
        self._registered = False
        self._bulkhead = Bulkhead(1, 1, lambda _: True)
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
    def breakers(self) -> Breakers:
        return Breakers(self.ledger, lambda: self.generations.claims, self.pools.pulses)

    @cached_property
    def worker(self) -> str:
        return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(3)}"

    @property
    def deployment(self) -> str:
        return self.settings.deployment

    def reach(self, pool: str) -> Reach:
        return self.pools.reach(pool)

    def permit(self, pool: str) -> None:
        """Raise `Busy` where nothing may be changed.

        The pool does not answer, and is left alone; or it bears another ledger's generation.
        """
        self.breakers.check(pool)
        self.generations.permit(pool)

    def divide(self, threads: int, pools: int) -> None:
        """So many threads carry out the steps of so many pools: each pool may have its share."""
        self._bulkhead = Bulkhead(threads, pools, self.is_quick)

    @contextmanager
    def place(self, pool: str) -> Iterator[None]:
        """A place among the threads that a pool may have. Raises `Busy` where there is none."""
        self.breakers.check(pool)
        with self._bulkhead.place(pool):
            yield

    def is_quick(self, pool: str) -> bool:
        """Whether a pool answers this process soon, if it is asked."""
        pulse = self.pools.pulses().get(pool)
        return not self.breakers.find(pool) and (pulse is None or pulse.is_quick())

    def hangs(self, pool: str) -> bool:
        """Whether who asks a pool now might wait long for nothing."""
        pulse = self.pools.pulses().get(pool)
        silent = pulse is not None and pulse.silence() > HANGING_SECONDS
        return silent or self.breakers.find(pool) is not None

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
            self.breakers.beat()
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
