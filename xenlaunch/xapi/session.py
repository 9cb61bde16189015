"""One session of this process with one pool, whichever of its hosts is the master.

The session is more than a credential: a launch's lease names the session that holds it, and who
takes the lease over logs that session out, so that late calls of the old owner do nothing. Hence:

* ``read`` may log in again and ask again, for a question changes nothing.
* ``send`` goes out once, under the very login that the caller has checked its leases for. When that
  login is gone, nothing was sent, and the caller must look before it sends under the next one.

A bulkhead lets only so many calls of this process into one pool at once, so that a pool which hangs
holds that many threads and no more. Logging in and looking for the master are done by one thread
at a time; when it fails, that is the answer for all who wait for it too.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import SecretStr

from xenlaunch.errors import (
    Busy,
    OutcomeUnknown,
    PoolError,
    Redirected,
    Refused,
    SessionLost,
    ShutOut,
)
from xenlaunch.xapi.members import Members
from xenlaunch.xapi.pulse import Pulse
from xenlaunch.xapi.refusals import refusal
from xenlaunch.xapi.transport import BROKEN, IMPORT, Transport, Trust, Unsent

API_VERSION: Final = "1.1"
"""What a login names for its version; XAPI takes any."""

_LOGIN: Final = "session.login_with_password"

_GONE: Final = frozenset({"UUID_INVALID", "HANDLE_INVALID"})

_ATTEMPTS: Final = 4
"""How often a question is asked: a new login, a new master, a broken line, and once more."""


@dataclass(frozen=True)
class Login:
    """A session in a pool. ``ref`` lets in whoever knows it; ``uuid`` is only its name."""

    ref: str = field(repr=False)
    uuid: str


@dataclass(frozen=True)
class _Failed:
    """A look for the master that failed a moment ago."""

    at: float
    code: str
    params: Sequence[str]


class Session:
    """Our session with one pool; thread-safe."""

    def __init__(
        self,
        name: str,
        addresses: Sequence[str],
        username: str,
        password: Callable[[], SecretStr],
        trust: Trust,
        *,
        originator: str = "xenlaunch",
        share: int = 32,
        patience: float = 10.0,
        connect_seconds: float = 5.0,
        read_seconds: float = 30.0,
        ask_seconds: float = 15.0,
        login_seconds: float = 15.0,
        login_pause: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.pulse = Pulse(clock)
        self._members = Members(name, addresses, trust)
        self._transport = Transport(
            trust,
            connect_seconds=connect_seconds,
            read_seconds=read_seconds,
            max_connections=share + 4,
        )
        self._username = username
        self._password = password
        self._originator = originator
        self._share = share
        self._slots = threading.BoundedSemaphore(share)
        self._finding = threading.Lock()
        self._patience = patience
        self._ask_seconds = min(ask_seconds, read_seconds)
        self._login_seconds = login_seconds
        self._login_pause = login_pause
        self._clock = clock
        self._state = threading.Lock()  # held for a moment, never over a call
        self._login: Login | None = None
        self._failed: _Failed | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<Session {self.name!r}>"

    @property
    def login(self) -> Login:
        """The login that this process has now; made if there is none."""
        login = self._login
        if login is not None:
            return login
        with self._slot():
            return self._log_in()

    def read(self, method: str, *params: Any, seconds: float | None = None) -> Any:
        """Ask the pool what changes nothing; asked again after a new login or a broken line."""
        with self._slot():
            return self._ask(method, params, self._ask_seconds if seconds is None else seconds)

    def send(
        self,
        method: str,
        *params: Any,
        as_login: Login,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
        hide: Sequence[str] = (),
    ) -> Any:
        """Send a call that changes something, once, under this login or not at all.

        SessionLost and Busy say that nothing ran; OutcomeUnknown that nobody knows. What is in
        ``hide`` does not show in an error, should the pool repeat it.
        """
        with self._slot():
            if self._login != as_login:
                raise refusal(method, "SESSION_REPLACED", [])
            try:
                return self._call(as_login, method, params, seconds, headers, hide)
            except Redirected as elsewhere:
                self._drop(as_login.ref)
                raise refusal(method, "SESSION_REPLACED", []) from elsewhere
            except Unsent as unsent:
                raise self._members.unreachable(method, [unsent]) from unsent

    def upload(self, vdi: str, content: bytes, *, as_login: Login) -> None:
        """Write the first bytes of a disk, under this login or not at all. Errors as `send`'s."""
        with self._slot(patient=True):
            if self._login != as_login:
                raise refusal(IMPORT, "SESSION_REPLACED", [])
            master = self._master_for(as_login)
            try:
                self._transport.put(master, IMPORT, vdi, content, as_login.ref)
            except SessionLost:
                self._drop(as_login.ref)
                raise
            except Unsent as unsent:
                self._members.doubt(master)
                raise self._members.unreachable(IMPORT, [unsent]) from unsent
            except OutcomeUnknown:
                self._members.doubt(master)
                raise

    def end(self, uuid: str) -> bool:
        """Log out the session with this uuid, whosever it is; False if it was gone already."""
        with self._slot():
            try:
                return self._log_out(str(self._ask("session.get_by_uuid", [uuid])))
            except Refused as refused:
                if refused.code in _GONE:
                    return False
                raise

    def long_poll(self, classes: Sequence[str], token: str, seconds: float) -> dict[str, Any]:
        """Wait for events up to so long; outside the bulkhead, for it waits and does not work."""
        login = self.login
        params = [list(classes), token, float(seconds)]
        try:
            with self.pulse.call(patient=True):
                batch: dict[str, Any] = self._call(
                    login, "event.from", params, seconds + self._patience
                )
        except (Redirected, Unsent, OutcomeUnknown) as lost:
            raise self._members.unreachable("event.from", [lost]) from lost
        return batch

    def probe(self, seconds: float) -> None:
        """Return when some member has answered as the pool's master; outside the bulkhead."""
        login = self._login
        ref = login.ref if login else ""  # that it knows no such session is an answer too
        with suppress(SessionLost, Refused, ShutOut):
            self._members.find(lambda address: self._knock(address, ref, seconds))

    def close(self, seconds: float = 2.0) -> None:
        """Log out as far as that can be done in a moment, and close all connections."""
        with self._state:
            self._closed = True
            login, self._login = self._login, None
        master = self._members.master
        if login is not None and master is not None:
            leaving = threading.Thread(target=self._leave, args=(master, login.ref), daemon=True)
            leaving.start()
            leaving.join(seconds)
        self._transport.close()

    def _leave(self, master: str, ref: str) -> None:
        with suppress(PoolError):
            self._transport.post(master, "session.logout", [ref], hide=[ref])

    def _call(
        self,
        login: Login,
        method: str,
        params: Sequence[Any],
        seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        hide: Sequence[str] = (),
    ) -> Any:
        """Send once, and learn from the answer where the master is and whether the login holds."""
        master = self._master_for(login)
        try:
            return self._transport.post(
                master,
                method,
                [login.ref, *params],
                headers=headers,
                read_seconds=seconds,
                hide=[login.ref, *hide],
            )
        except SessionLost:
            self._drop(login.ref)
            raise
        except Redirected as elsewhere:
            self._members.follow(master, elsewhere)
            raise
        except (Unsent, OutcomeUnknown) as lost:
            if lost.code in BROKEN or isinstance(lost, Unsent):
                self._members.doubt(master)
            raise

    def _ask(self, method: str, params: Sequence[Any], seconds: float | None = None) -> Any:
        lost: list[PoolError] = []
        for _ in range(_ATTEMPTS):
            try:
                return self._call(self._log_in(), method, params, seconds)
            except (SessionLost, Redirected, Unsent) as unheard:
                lost.append(unheard)
            except OutcomeUnknown as unknown:
                if unknown.code not in BROKEN:
                    raise _of_a_question(unknown) from unknown
                lost.append(unknown)
                if unknown.code != "CONNECTION_LOST":
                    break  # it took its time: no thread is held for so long twice
        raise self._members.unreachable(method, lost) from lost[-1]

    def _log_out(self, ref: str) -> bool:
        lost: list[PoolError] = []
        for _ in range(_ATTEMPTS):
            master = self._master_for(self._log_in())
            try:
                self._transport.post(master, "session.logout", [ref], hide=[ref])
            except SessionLost:
                return False
            except Redirected as elsewhere:
                self._members.follow(master, elsewhere)
                lost.append(elsewhere)
            except (Unsent, OutcomeUnknown) as broken:  # who logs out twice is logged out
                self._members.doubt(master)
                lost.append(broken)
            else:
                self._drop(ref)
                return True
        raise self._members.unreachable("session.logout", lost) from lost[-1]

    def _log_in(self) -> Login:
        login = self._login
        if login is not None:
            return login
        with self._alone():
            if self._login is not None:
                return self._login
            master, ref = self._members.find(self._log_in_at)
            login = self._named(master, ref)
            with self._state:
                if not self._closed:
                    self._login = login
            return login

    def _log_in_at(self, address: str) -> str:
        secret = self._password().get_secret_value()
        params = [self._username, secret, API_VERSION, self._originator]
        wait = self._login_seconds
        return str(self._transport.post(address, _LOGIN, params, read_seconds=wait, hide=[secret]))

    def _named(self, master: str, ref: str) -> Login:
        try:
            return Login(ref, self._knock(master, ref))
        except (SessionLost, Redirected, Busy, OutcomeUnknown) as lost:
            self._leave(master, ref)
            raise self._members.unreachable(_LOGIN, [lost]) from lost

    def _master_for(self, login: Login) -> str:
        """Where to send now; after a broken line the master is looked for first."""
        master = self._members.master
        if master is not None:
            return master
        with self._alone():
            master = self._members.master
            if master is not None:
                return master
            try:
                return self._members.find(lambda address: self._knock(address, login.ref))[0]
            except SessionLost:
                self._drop(login.ref)
                raise

    def _knock(self, address: str, ref: str, seconds: float | None = None) -> str:
        wait = self._login_seconds if seconds is None else seconds
        ask, params = "session.get_uuid", [ref, ref]
        try:
            uuid = self._transport.post(address, ask, params, read_seconds=wait, hide=[ref])
        except Refused as refused:
            if refused.code in _GONE:  # logged out between being let in and being looked up
                raise refusal(ask, "SESSION_INVALID", []) from refused
            raise
        return str(uuid)

    def _drop(self, ref: str) -> None:
        with self._state:
            if self._login is not None and self._login.ref == ref:
                self._login = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one thread look for the master, and tell the ones behind it how that failed."""
        if not self._finding.acquire(timeout=self._patience):
            raise self._nowhere("its master is still being looked for")
        try:
            self._raise_if_closed()
            self._raise_if_just_failed()
            yield
            self._failed = None
        except SessionLost:
            raise
        except PoolError as error:
            if self._failed is None:
                self._failed = _Failed(self._clock(), error.code, error.params)
            raise
        finally:
            self._finding.release()

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise self._nowhere("this process has closed its session")

    def _raise_if_just_failed(self) -> None:
        failed = self._failed
        if failed is None:
            return
        error = refusal(_LOGIN, failed.code, failed.params)
        # A directory locks an account out that is tried with a wrong password too often.
        pause = self._login_pause * (10 if isinstance(error, Refused | ShutOut) else 1)
        if self._clock() - failed.at < pause:
            raise error
        self._failed = None

    @contextmanager
    def _slot(self, *, patient: bool = False) -> Iterator[None]:
        if not self._slots.acquire(timeout=self._patience):
            raise self._crowded()
        try:
            with self.pulse.call(patient=patient):
                yield
        finally:
            self._slots.release()

    def _nowhere(self, why: str) -> PoolError:
        where = ", ".join(self._members.addresses)
        return refusal(_LOGIN, "POOL_UNREACHABLE", [self.name, where, why])

    def _crowded(self) -> PoolError:
        return refusal("", "POOL_BUSY_HERE", [self.name, str(self._share)])


def _of_a_question(unknown: OutcomeUnknown) -> PoolError:
    """A question leaves nothing unknown: ask later. But that a job is gone is its answer."""
    code, params, message, call = unknown.code, unknown.params, unknown.message, unknown.call
    next_ = OutcomeUnknown if code == "HANDLE_INVALID" else Busy
    return next_(code, params, message, call=call)
