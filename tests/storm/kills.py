"""The ways in which a storm strikes, and how often each."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.storm.nursery import Worker
from tests.storm.recovery import Recovery
from tests.storm.rig import Rig
from xenlaunch import names
from xenlaunch.store import reachable

Later = Callable[[float, Callable[[], None]], None]
"""Do something so many seconds from now."""

PHASES: Final = (
    ("VM.clone", "disk"),
    ("VM.clone", "row"),
    ("VM.clone", "vbd"),
    ("VM.clone", "vif"),
    ("VM.clone", "result"),
    ("VM.provision", "done"),
    ("VM.start_on", "placed"),
    ("VM.start_on", "started"),
    ("VM.hard_shutdown", "stopped"),
    ("VM.destroy", "rows"),
    ("VM.destroy", "after vbd"),
)
"""Between which acts of the pool its toolstack is restarted."""

DROPPED: Final = (
    *("VM.clone", "VM.set_*", "VM.add_to_other_config", "VM.start_on", "VM.destroy"),
    *("VDI.create", "VDI.destroy", "VBD.create", "VIF.create", "VIF.destroy"),
    *("VM.hard_shutdown", "task.*", "event.from", "session.*"),
)


@dataclass
class Strikes:
    """What can be struck, and by which chance."""

    rig: Rig
    chance: Random
    recovery: Recovery
    later: Later
    redis_away: bool = False

    def strike(self) -> str:
        """Strike once, somehow; the name of what was done, '' where it was not possible now."""
        kind = self.chance.choices(list(SHARES), list(SHARES.values()))[0]
        return kind if KINDS[kind](self) else ""

    # Workers

    def worker(self) -> bool:
        return self._kill(self._any())

    def holder(self) -> bool:
        """Kill the worker that holds some role."""
        if self.redis_away:
            return False
        with reachable():
            redis = self.rig.ledger.store.redis
            roles = sorted(redis.scan_iter(self.rig.ledger.store.key("role", "*")))
            holder = redis.get(self.chance.choice(roles)) if roles else None
        found = [one for one in self._awake() if holder and f"/{one.pid}/" in holder]
        return self._kill(found[0] if found else None)

    def _kill(self, worker: Worker | None) -> bool:
        if worker is None:
            return False
        worker.kill()
        self.recovery.died(worker.pid)
        return True

    def stopped(self) -> bool:
        """Stop a worker for longer than a lease, and let it go on as if nothing had been."""
        worker = self._any()
        if worker is None:
            return False
        worker.stopped = True
        worker.signal(signal.SIGSTOP)
        self.recovery.died(worker.pid)
        self.later(self.chance.uniform(11, 20), lambda: self._go_on(worker))
        return True

    def _go_on(self, worker: Worker) -> None:
        worker.stopped = False
        worker.signal(signal.SIGCONT)

    def asked_to_end(self) -> bool:
        """SIGTERM, as a new version's roll-out sends it."""
        worker = self._any()
        if worker is not None:
            worker.signal(signal.SIGTERM)
        return worker is not None

    def _any(self) -> Worker | None:
        awake = self._awake()
        return self.chance.choice(awake) if awake else None

    def _awake(self) -> list[Worker]:
        return [one for one in self.rig.workers if one.running and not one.stopped]

    # The pool

    def xapi(self) -> bool:
        times = {"seconds": self.chance.uniform(0, 2), "booting": self.chance.choice([0, 0, 1.5])}
        self.rig.pool.control("POST", "/restart", times)
        return True

    def xapi_between(self) -> bool:
        method, phase = self.chance.choice(PHASES)
        return self._rule(method=method, phase=phase, action="restart")

    def line(self) -> bool:
        method, when = self.chance.choice(DROPPED), self.chance.choice(["before", "after"])
        return self._rule(method=method, when=when, action="drop")

    def _rule(self, **rule: Any) -> bool:
        """A rule strikes when its call comes; it is counted then, and not here."""
        self.rig.pool.faults({**rule, "nth": self.chance.randint(1, 4), "times": 1})
        return False

    def master(self) -> bool:
        self.rig.pool.control("POST", f"/master/host-{self.chance.randint(1, 4)}")
        return True

    # Redis

    def redis(self) -> bool:
        if self.redis_away:
            return False
        self.redis_away = True
        self.rig.redis.kill()
        self.later(self.chance.uniform(0, 3), self._redis_again)
        return True

    def _redis_again(self) -> None:
        self.rig.redis.start()
        self._redis_is_back()

    def redis_stopped(self) -> bool:
        if self.redis_away:
            return False
        self.redis_away = True
        self.rig.redis._child._signal_group(signal.SIGSTOP)
        self.later(self.chance.uniform(1, 8), self._redis_goes_on)
        return True

    def _redis_goes_on(self) -> None:
        self.rig.redis._child._signal_group(signal.SIGCONT)
        self._redis_is_back()

    def _redis_is_back(self) -> None:
        self.redis_away = False
        self.recovery.redis_came_back()

    # Messages

    def message(self) -> bool:
        """Take a message out of a queue, or out of those that are not acknowledged."""
        if self.redis_away:
            return False
        queues = [names.CONTROL_QUEUE, names.pool_queue("lab")]
        self.chance.shuffle(queues)
        store = self.rig.ledger.store
        with reachable():
            for queue in queues:
                if store.redis.rpop(store.key(queue)):
                    return True
            unacked = sorted(store.redis.hkeys(store.key("unacked")))
            if not unacked:
                return False
            tag = self.chance.choice(unacked)
            store.redis.zrem(store.key("unacked_index"), tag)
            return bool(store.redis.hdel(store.key("unacked"), tag))


KINDS: Final[Mapping[str, Callable[[Strikes], bool]]] = {
    "worker killed": Strikes.worker,
    "holder of a role killed": Strikes.holder,
    "worker stopped for longer than a lease": Strikes.stopped,
    "worker asked to end": Strikes.asked_to_end,
    "xapi restarted": Strikes.xapi,
    "xapi restarted between two acts": Strikes.xapi_between,
    "line dropped": Strikes.line,
    "master moved": Strikes.master,
    "Redis killed": Strikes.redis,
    "Redis stopped for seconds": Strikes.redis_stopped,
    "message taken away": Strikes.message,
}

SHARES: Final[Mapping[str, int]] = {
    "worker killed": 32,
    "holder of a role killed": 16,
    "worker stopped for longer than a lease": 4,
    "worker asked to end": 4,
    "xapi restarted": 5,
    "xapi restarted between two acts": 10,
    "line dropped": 12,
    "master moved": 3,
    "Redis killed": 3,
    "Redis stopped for seconds": 3,
    "message taken away": 8,
}

OF_ACTION: Final = {"restart": "xapi restarted between two acts", "drop": "line dropped"}
"""How a rule of the simulator that has struck is counted."""
