"""Launches, brought by ordinary moves of the ledger to where a test wants them."""

import itertools
import secrets
from collections.abc import Callable
from typing import Any, Final

from tests.support.leaks import contents
from xenlaunch import names, states
from xenlaunch.lease import Call, Lease, Made, Unclaimed, claim
from xenlaunch.ledger import Ledger, Times
from xenlaunch.model import LaunchRequest, LaunchResult
from xenlaunch.reservations import reservations

DEPLOYMENT: Final = "tests"
POOL: Final = "lab"
HOST: Final = '{"ref":"OpaqueRef:h1","uuid":"u-h1","name":"host-1"}'
HELD: Final = {"host": "OpaqueRef:h1", "memory": 1 << 30}
ROOMY: Final = 1000
ERROR: Final = {"code": "CANCELLED", "params": [], "message": "Cancelled by its owner."}
FAILURE: Final = {"code": "VDI_MISSING", "params": ["u-1"], "message": "The disk is gone."}


def request(name: str = "web", **fields: Any) -> LaunchRequest:
    return LaunchRequest.parse({"name": name, "template": "debian-12", **fields})


def call(method: str = "VM.clone", **fields: Any) -> Call:
    return Call(**{"method": method, "attempt": 1, "login": "login-1", "since": 0.0, **fields})


class Lives:
    """One ledger, and what a test does with the launches in it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.redis = ledger.store.redis
        self._tokens = itertools.count(1)

    def but(self, **times: int) -> "Lives":
        """The same ledger with other times, in milliseconds."""
        return Lives(Ledger(self.ledger.store, Times(**times)))

    def key(self, *parts: str) -> str:
        return self.ledger.store.key(*parts)

    def state(self, launch: str) -> str:
        return self.ledger.record(launch).state

    # On its way

    def submitted(self, **fields: Any) -> str:
        token = f"token-{id(self)}-{next(self._tokens)}"
        return self.ledger.submit(DEPLOYMENT, request(**fields), token)

    def joined(self, **fields: Any) -> str:
        launch = self.submitted(**fields)
        macs = [nic["mac"] for nic in fields.get("nics", ())]
        self.ledger.join(launch, POOL, macs)
        return launch

    def running(self, **fields: Any) -> str:
        launch = self.joined(**fields)
        assert self.admit(launch) == names.CONNECT
        return launch

    def admit(self, launch: str, most: int = ROOMY, crowd: int = ROOMY) -> str:
        record = self.ledger.records([launch])
        pool = record[0].pool if record else POOL
        known = reservations(self.ledger.store, pool).version
        versions = (known, secrets.token_hex(8))
        return self.ledger.admit(launch, HOST, HELD, most, versions, crowd)

    def claim(self, launch: str, step: str = names.CONNECT, fence: str = "") -> Lease | Unclaimed:
        chosen = {"fence": lambda: fence} if fence else {}
        return claim(self.ledger, launch, step, deployment=DEPLOYMENT, worker="w1", **chosen)

    def lease(self, launch: str, step: str = names.CONNECT, fence: str = "") -> Lease:
        lease = self.claim(launch, step, fence)
        assert isinstance(lease, Lease), lease
        return lease

    def leased(self, step: str = names.CONNECT, **fields: Any) -> Lease:
        """The lease on a launch that has come as far as this step."""
        launch = self.running(**fields)
        for done, following in itertools.pairwise(names.STEPS):
            if done == step:
                break
            lease = self.lease(launch, done)
            lease.advance(lease.launch, following)
        return self.lease(launch, step)

    def undoing(self, **fields: Any) -> Lease:
        """The lease on the undo of a launch that has made a VM."""
        lease = self.leased(names.CLONE, **fields)
        made_vm(lease)
        lease.turn_to_undo(states.FAILED, FAILURE)
        return self.lease(lease.launch.id, names.UNDO)

    # At its end

    def at(self, state: str) -> str:
        """A launch in this state."""
        ways: dict[str, Callable[[], str]] = {
            states.WAITING: self.joined,
            states.RUNNING: self.running,
            states.FINISHING: self._finishing,
            states.UNDOING: lambda: self.undoing().launch.id,
            states.SUCCEEDED: self.succeeded,
            states.FAILED: self.failed,
            states.CANCELLED: self.cancelled,
            states.DESTROYED: self.destroyed,
        }
        reached = ways[state]()
        assert self.state(reached) == state
        return reached

    def _finishing(self) -> str:
        lease = self.leased(names.POLL)
        lease.finishing()
        return lease.launch.id

    def succeeded(self, **fields: Any) -> str:
        lease = self.leased(names.POLL, **fields)
        lease.finishing()
        lease.succeed(lease.launch, result(lease))
        return lease.launch.id

    def failed(self, **fields: Any) -> str:
        lease = self.undoing(**fields)
        assert lease.undone(())
        return lease.launch.id

    def cancelled(self, **fields: Any) -> str:
        launch = self.joined(**fields)
        assert self.ledger.cancel(launch, ERROR) == "done"
        return launch

    def destroyed(self, **fields: Any) -> str:
        launch = self.succeeded(**fields)
        assert self.ledger.reopen(launch, states.DESTROYED) == "undoing"
        assert self.lease(launch, names.UNDO).undone(())
        return launch

    # What Redis holds

    def mentions(self, launch: str) -> set[str]:
        """Every key that has to do with a launch, by its name or by what is in it."""
        return {
            key
            for key in self.redis.scan_iter()
            if launch in key or launch in contents(self.redis, key)
        }


def made_vm(lease: Lease, ref: str = "OpaqueRef:vm") -> None:
    lease.intend("clone", call())
    lease.came_out("clone", ref, [Made("VM", ref)])


def result(lease: Lease) -> LaunchResult:
    launch = lease.launch
    name = launch.request.name
    return LaunchResult(id=launch.id, name=name, pool=launch.pool, vm_uuid="u-vm", host="host-1")


def heir(lives: Lives, lease: Lease) -> Lease:
    """The same step, taken over by another worker, who knows what the ledger knows."""
    lives.redis.hset(lives.key("launch", lease.launch.id), "lease_until", 0)
    return lives.lease(lease.launch.id, lease.step)


def open_call(lease: Lease, method: str, task: str = "", makes: str = "") -> str:
    """The intent of somebody who died after it; its mark in the pool."""
    lease.intend("key", call(method, makes=makes, since=1000.0))
    if task:
        lease.sent("key", task)
    return f"tests/{lease.launch.id}/key/1"
