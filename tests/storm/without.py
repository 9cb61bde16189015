"""Taking out one guard at a time, in a worker of the storm only: it must be found to be gone."""

from collections.abc import Callable
from typing import Any, Final


def _fence() -> None:
    """Whoever takes a step over does not log the old owner's session out."""
    from xenlaunch.xapi.session import Session

    vars_of(Session, end=lambda _self, _uuid: False)


def _intent() -> None:
    """A call is not written down before it is sent."""
    from xenlaunch.lease import Lease

    def intend(self: Lease, key: str, call: Any) -> None:
        self.calls[key] = call

    vars_of(Lease, intend=intend)


def _lease() -> None:
    """A step is claimed though another has it, and what is written late is taken for written."""
    from xenlaunch import store
    from xenlaunch.lease import Lease

    plain = store._scripts
    taken = "if r[4] and tonumber(r[5]) > t then return { 'taken' } end"

    def scripts() -> Any:
        for name, text in plain():
            assert name != "claim" or taken in text
            yield name, text.replace(taken, "")

    vars(store)["_scripts"] = scripts
    heed = Lease._heed

    def lenient(self: Lease, verdict: str) -> None:
        if verdict != "lost":
            heed(self, verdict)

    vars_of(Lease, _heed=lenient)


def _whole_clone() -> None:
    """Whatever bears the working name is taken for the clone."""
    import tasks.clone
    from tasks.binding import CLONE
    from xenlaunch.model import Launch
    from xenlaunch.xapi.pool import Pool

    def any_clone(launch: Launch, pool: Pool) -> str | None:
        name = tasks.clone.working_name(launch, pool.attempts(CLONE))
        found = pool.read("VM.get_by_name_label", name)
        return str(found[0]) if found else None

    vars(tasks.clone)["whole_clone"] = any_clone


GUARDS: Final[dict[str, Callable[[], None]]] = {
    "fence": _fence,
    "intent": _intent,
    "lease": _lease,
    "whole-clone": _whole_clone,
}


def take_out(guard: str) -> None:
    GUARDS[guard]()


def vars_of(owner: type, **replaced: Any) -> None:
    for name, value in replaced.items():
        assert hasattr(owner, name), f"{owner.__name__} has no {name} any more"
        setattr(owner, name, value)
