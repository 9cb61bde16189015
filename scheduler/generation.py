"""Whether a pool is this ledger's: nothing is begun or changed on one that is not.

A Redis that was wiped, restored from an older copy, or started beside another one would make VMs
anew that are there already, and sweep those that it does not know. So each pool bears the
ledger's generation and epoch, and whoever is about to change something there compares them. It
costs a launch nothing: the pool's record is in the cache, and only where that does not agree are
Redis and the pool asked.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from xenlaunch import names
from xenlaunch.errors import Busy, LostRace
from xenlaunch.generation import ANOTHER, FREE, OURS, Borne, Known, closed, judge, trouble
from xenlaunch.ledger import Ledger
from xenlaunch.xapi.reach import Reach

EPOCH_EVERY: Final = 60.0
"""How old a copy of Redis may be, in seconds, that is not told from the last."""

ASK_EVERY: Final = 1.0
"""For how long an answer of the pool is believed that the cache does not confirm."""

LISTEN_SECONDS: Final = 60.0
"""After so long a silence the cache is not believed: a quiet pool is heard twice as often."""


@dataclass(frozen=True)
class _Answer:
    """What the pool, held against what the ledger knew, came to; and when."""

    at: float
    known: Known
    verdict: str


class Generations:
    """The generation of this process's ledger, held against that of each pool."""

    def __init__(
        self,
        ledger: Ledger,
        deployment: str,
        reach: Callable[[str], Reach],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._deployment = deployment
        self._reach = reach
        self._clock = clock
        self._claims: Mapping[str, str] = {}
        self._answers: dict[str, _Answer] = {}
        self._asking: dict[str, threading.Lock] = {}

    @property
    def claims(self) -> Mapping[str, str]:
        """What the ledger knows of the deployment and its pools, as it was told last."""
        return self._claims

    def refresh(self) -> bool:
        """Read anew what the ledger knows. False where it knows of no deployment, or another."""
        self._claims = self._ledger.claims()
        return self._claims.get("name") == self._deployment

    def heard(self, claims: Mapping[str, str]) -> None:
        """What a script of the ledger has just read: newer than what is remembered here.

        A Redis that goes back to an older copy of itself may be asked for work before it is asked
        for its claims: so each claim of a launch tells of them.
        """
        self._claims = claims

    def permit(self, pool: str) -> None:
        """Raise `Busy`, with what to do, unless this ledger may change things on the pool."""
        if self._cached(pool, self._claims) == OURS:
            return
        with self._asking.setdefault(pool, threading.Lock()):
            verdict = self._recent(pool)
            if not verdict:
                known, verdict = self._asked(pool)
                self._answers[pool] = _Answer(self._clock(), known, verdict)
        if verdict != OURS:
            raise Busy("GENERATION_DIFFERS", [pool], trouble(pool, verdict))

    def _recent(self, pool: str) -> str:
        """The verdict of a moment ago, if it was on what the ledger says now."""
        last, now = self._answers.get(pool), Known.of(self._claims, pool)
        if last is None or replace(last.known, claimed=now.claimed) != now:
            return ""
        return last.verdict if self._clock() - last.at < ASK_EVERY else ""

    def _cached(self, pool: str, claims: Mapping[str, str]) -> str:
        """The verdict as far as this process knows without asking anybody, or ''."""
        records = self._reach(pool).records
        row = next(iter(records.all("pool").values()), None)
        if row is None or "generation" not in claims or records.age() > LISTEN_SECONDS:
            return ""
        borne = Borne.of(row["other_config"], self._deployment)
        return judge(Known.of(claims, pool), borne)

    def ask(self, pool: str) -> str:
        """The verdict, from Redis and the pool itself. A pool that is nobody's becomes ours."""
        return self._asked(pool)[1]

    def _asked(self, pool: str) -> tuple[Known, str]:
        """What the ledger knows of a pool, and the verdict on just that."""
        self.refresh()
        known = Known.of(self._claims, pool)
        if not known.generation:
            return known, ANOTHER
        verdict = judge(known, self.borne(pool))
        if verdict == FREE:
            # Of two ledgers that are new to a pool, one is first.
            self.write(pool, names.generation_key(self._deployment), known.generation)
            verdict = judge(known, self.borne(pool))
        if verdict == OURS and not known.claimed:
            self._ledger.claimed(pool, known.generation)
        return known, verdict

    def keep(self, pool: str) -> None:
        """Let the epoch grow, if there was work since it last did and that is a while ago.

        Only from the epoch that was held against the pool's: an older copy of Redis, come back a
        moment ago, might else wish for the very number that the pool bears, and pass for the last.
        """
        claims = self._claims
        if self._cached(pool, claims) == OURS:
            known = Known.of(claims, pool)
        else:
            known, verdict = self._asked(pool)
            if verdict != OURS:
                return
        wish = self._ledger.wish_epoch(pool, int(EPOCH_EVERY * 1000), known.epoch)
        if wish:
            self.set_epoch(pool, wish)
            self.refresh()

    def set_epoch(self, pool: str, wish: str) -> None:
        """Have the pool bear the epoch that the ledger wishes, and then the ledger say so."""
        key = names.epoch_key(self._deployment)
        self.replace(pool, key, self.borne(pool).epoch, wish)
        if self.borne(pool).epoch == wish:
            self._ledger.reach_epoch(pool, wish)

    def close(self, pool: str) -> None:
        """Have the pool bear nobody's generation, so that whoever used it last stops."""
        mine = closed(self._claims["generation"])
        key = names.generation_key(self._deployment)
        self.replace(pool, key, self.borne(pool).generation, mine)
        self._check_mine(pool, mine)

    def take(self, pool: str) -> None:
        """Have a pool that was closed bear our generation, with an epoch later than all before."""
        mine = self._claims["generation"]
        self._check_mine(pool, closed(mine))
        self.set_epoch(pool, self._ledger.adopt_epoch(pool, self.borne(pool).epoch))
        self.replace(pool, names.generation_key(self._deployment), closed(mine), mine)
        self._check_mine(pool, mine)
        self._ledger.claimed(pool, mine)
        self._answers.pop(pool, None)
        self.refresh()

    def _check_mine(self, pool: str, wanted: str) -> None:
        if self.borne(pool).generation != wanted:
            sentence = f"Another Redis is adopting the pool {pool} at this moment, and was quicker."
            raise Busy("ADOPTED_BY_ANOTHER", [pool], sentence)

    # The pool

    def borne(self, pool: str) -> Borne:
        return Borne.of(self._row(pool)[1]["other_config"], self._deployment)

    def replace(self, pool: str, key: str, before: str, after: str) -> None:
        """Write another value; whoever reads it back sees whether somebody else was quicker."""
        if before == after:
            return
        if before:
            self._send(pool, "pool.remove_from_other_config", key)
        self.write(pool, key, after)

    def write(self, pool: str, key: str, value: str) -> None:
        """Write a value where there is none; one that is there stays."""
        try:
            self._send(pool, "pool.add_to_other_config", key, value)
        except LostRace:
            return

    def _send(self, pool: str, method: str, *params: str) -> None:
        session = self._reach(pool).session
        session.send(method, self._row(pool)[0], *params, as_login=session.login)

    def _row(self, pool: str) -> tuple[str, Mapping[str, Any]]:
        """The pool's one record of itself, as it is now, and its ref."""
        rows: dict[str, Mapping[str, Any]] = self._reach(pool).session.read("pool.get_all_records")
        return next(iter(rows.items()))
