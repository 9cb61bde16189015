"""What can go wrong. An error's class says what happens next, its message is for people.

::

    XenlaunchError
    ├── BadRequest              the request says what cannot be: nothing was sent anywhere
    ├── TokenReused             the token names a launch that was asked for differently
    ├── UnknownLaunch           no launch or batch has this id
    ├── TooLate                 the launch has gone too far for this
    ├── StillRunning            the wait ended before the launch did
    ├── StoreUnreachable        Redis does not answer
    │   └── SubmitUnknown       ... so nobody knows whether the launch was accepted
    ├── NoWorker                no worker has answered
    ├── BadSettings             the settings or the pools file are wrong
    ├── LaunchEnded             how a launch ended that did not succeed
    │   ├── LaunchFailed
    │   ├── LaunchCancelled
    │   └── LaunchDestroyed
    ├── IllegalMove             a move that is not in the table of states
    ├── StepStopped             a step goes no further now; the ledger knows why
    │   ├── Parked              it waits for something, without a thread
    │   ├── LeaseLost           another worker owns the launch now
    │   └── CancelAsked         its owner wants it undone
    └── PoolError               what a pool answered, by what happens next
        ├── SessionLost         log in again and resend: nothing ran
        ├── Redirected          follow the master: nothing ran
        ├── Busy                the same call again, later
        │   ├── Unsteady        ... but only a few times: the storage may be broken
        │   └── Silent          ... once the pool answers at all: its breaker is open
        ├── Place               another host
        ├── LostRace            somebody made it first: look, and adopt
        ├── OutcomeUnknown      it may have happened: look before anything is sent
        ├── ShutOut             we are not let in: the same call again, when we are
        └── Refused             undo; never tried on another host
"""

from collections.abc import Sequence
from typing import Any, Final


class XenlaunchError(Exception):
    """Something went wrong in xenlaunch."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])

    @property
    def message(self) -> str:
        return str(self)


class BadRequest(XenlaunchError):
    """The request cannot be carried out as written.

    ``findings`` are what is wrong with it: for each the path to the field, and a sentence.
    """

    def __init__(
        self, message: str | None = None, findings: Sequence[tuple[Sequence[str | int], str]] = ()
    ) -> None:
        super().__init__(message)
        self.findings = findings


class TokenReused(XenlaunchError):
    """This token was used before, for a different request."""


class UnknownLaunch(XenlaunchError):
    """No launch and no batch has this id."""


class TooLate(XenlaunchError):
    """The launch has gone too far for that."""


class StillRunning(XenlaunchError):
    """The launch has not ended yet."""


class StoreUnreachable(XenlaunchError):
    """Redis does not answer."""


class SubmitUnknown(StoreUnreachable):
    """Redis stopped answering: nobody knows whether the launch was accepted."""

    def __init__(self, token: str, why: str = "Redis stopped answering.") -> None:
        super().__init__(
            f"{why} It is not known whether the launch was accepted. "
            f"Submit it again with the token {token!r}: it will not be launched twice."
        )
        self.token = token


class NoWorker(XenlaunchError):
    """No worker answered. Is one running on this Redis?"""


class BadSettings(XenlaunchError):
    """The settings are wrong."""


class LaunchEnded(XenlaunchError):
    """The launch ended without a running VM."""

    def __init__(self, message: str, code: str = "", params: Sequence[str] = ()) -> None:
        super().__init__(message)
        # Celery rebuilds an exception from its args, so all that it needs is in them.
        self.args = (message, code, list(params))
        self.code = code
        self.params = list(params)

    def __str__(self) -> str:
        return str(self.args[0])


class LaunchFailed(LaunchEnded):
    """The launch failed, and what it had made was removed."""


class LaunchCancelled(LaunchEnded):
    """The launch was cancelled, and what it had made was removed."""


class LaunchDestroyed(LaunchEnded):
    """The launch had ended, and what it had made was removed on its owner's word."""


class IllegalMove(XenlaunchError):
    """A launch cannot go from this state to that one."""

    def __init__(self, before: str, after: str) -> None:
        super().__init__(f"A launch cannot go from {before!r} to {after!r}.")


class StepStopped(XenlaunchError):
    """The step goes no further now."""


class Parked(StepStopped):
    """The step waits, without a thread: it will be begun again."""

    def __init__(self, what: str, ref: str = "", seconds: float = 0.0) -> None:
        super().__init__(f"Waiting for {what}.")
        self.what, self.ref, self.seconds = what, ref, seconds


class LeaseLost(StepStopped):
    """Another worker has taken this launch over."""


class CancelAsked(StepStopped):
    """The launch is to be cancelled."""


class PoolError(XenlaunchError):
    """What a pool answered to a call, or that it did not answer.

    ``code`` and ``params`` are XAPI's ErrorDescription, ``call`` the call that met it.
    """

    def __init__(
        self, code: str, params: Sequence[str] = (), message: str | None = None, *, call: str = ""
    ) -> None:
        self.code = code
        self.params = list(params)
        self.call = call
        super().__init__(message or f"The pool answered {code} {self.params}.")

    def as_record(self) -> dict[str, Any]:
        """The error as a launch's record and the CLI show it: code, params, message."""
        return {"code": self.code, "params": self.params, "message": self.message}


class SessionLost(PoolError):
    """The pool does not know our session: log in and send again, for nothing ran."""


class Redirected(PoolError):
    """Another host is the pool's master: send it there, for nothing ran."""


class Busy(PoolError):
    """The pool cannot do this now: the same call again, later."""


class Unsteady(Busy):
    """The storage failed, as it may for a moment: the same call a few times more."""


class Silent(Busy):
    """The pool does not answer: nothing is asked of it until it does."""


class Place(PoolError):
    """This host cannot take the VM: try another."""


class LostRace(PoolError):
    """Somebody made it first: look, and adopt what is there."""


class OutcomeUnknown(PoolError):
    """The call may or may not have happened: look before anything is sent."""


class ShutOut(PoolError):
    """The pool does not let us in: the same call again, when it does."""


class Refused(PoolError):
    """The pool will not do this, on any host: undo."""


PASSING: Final = (Busy, OutcomeUnknown, Place, SessionLost, ShutOut)
"""What may pass by itself, as an undo sees it, which has no other host to go to."""
