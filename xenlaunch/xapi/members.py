"""The members of a pool: where they listen, and which of them is the master.

Any one of them leads there: a member that is not the master answers HOST_IS_SLAVE and names the
host that is. What it names is a bare address; the way in (scheme, port) is that of the member who
named it, or the configured one if that host is configured.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from xenlaunch.errors import BadSettings, Busy, OutcomeUnknown, PoolError, Redirected
from xenlaunch.xapi.refusals import refusal
from xenlaunch.xapi.transport import Address, Trust, Unsent

Answer = TypeVar("Answer")


class Members:
    """Knows the master until it is doubted; thread-safe."""

    def __init__(self, pool: str, addresses: Sequence[str], trust: Trust) -> None:
        if not addresses:
            raise BadSettings(f"The pool {pool} has no address.")
        self.pool = pool
        self.addresses = tuple(str(Address.parse(address)) for address in addresses)
        for address in self.addresses:
            trust.check(Address.parse(address))
        self._lock = threading.Lock()
        self._master: str | None = None
        self._certain = False

    @property
    def master(self) -> str | None:
        """The master's address, if it is certain enough to send there."""
        with self._lock:
            return self._master if self._certain else None

    def doubt(self, address: str) -> None:
        """The line to this address broke: look for the master before the next call."""
        with self._lock:
            if self._master == address:
                self._certain = False

    def follow(self, address: str, elsewhere: Redirected) -> None:
        """This address named another master: begin there with looking."""
        named = self._named(elsewhere, address, {address})
        with self._lock:
            self._master, self._certain = named or self._master, False

    def find(self, knock: Callable[[str], Answer]) -> tuple[str, Answer]:
        """Knock at one address after the other until the master answers."""
        with self._lock:
            waiting = list(dict.fromkeys([*filter(None, [self._master]), *self.addresses]))
        tried: set[str] = set()
        lost: list[PoolError] = []
        while waiting:
            address = waiting.pop(0)
            tried.add(address)
            try:
                answer = knock(address)
            except Redirected as elsewhere:
                lost.append(elsewhere)
                named = self._named(elsewhere, address, tried)
                if named is not None:
                    waiting = [named, *(other for other in waiting if other != named)]
            except (Busy, OutcomeUnknown) as unreached:
                lost.append(unreached)
            else:
                with self._lock:
                    self._master, self._certain = address, True
                return address, answer
        raise self.unreachable("session.login_with_password", lost) from lost[-1]

    def _named(self, elsewhere: Redirected, by: str, tried: set[str]) -> str | None:
        """The address of the master that was named, unless it has been tried already."""
        way_in = Address.parse(by)
        try:
            named = way_in.at(elsewhere.params[0] if elsewhere.params else "")
        except BadSettings:
            return None
        candidates = [str(named)]
        if named.port == way_in.port:  # the host alone was named, as XAPI does
            known = [own for own in self.addresses if Address.parse(own).host == named.host]
            candidates = [*known, str(named)]
        return next((address for address in candidates if address not in tried), None)

    def unreachable(self, method: str, lost: Sequence[PoolError]) -> PoolError:
        """What to say when no member would do it; the member's own words if it had some."""
        for error in lost:
            if isinstance(error, Busy) and not isinstance(error, Unsent):
                return refusal(method, error.code, error.params)
        whys = dict.fromkeys(_why(error) for error in lost)
        return refusal(
            method,
            "POOL_UNREACHABLE",
            [self.pool, ", ".join(self.addresses), "; ".join(whys) or "no answer"],
        )


def _why(error: PoolError) -> str:
    if isinstance(error, Unsent):
        return f"{error.address}: {error.why}"
    if isinstance(error, Redirected):
        return "no host says that it is the master"
    return error.message.rstrip(".")
