"""Removing one object, once a round: what will not go is not tried again before the next round.

A removal that waits for the pool is begun again from its start. What has failed before it is known
then, or each disk that will not go would be tried again for every other, and twice as often with
each of those.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from tasks.hands import Hands
from tasks.looking import look
from xenlaunch import errors, names
from xenlaunch.errors import PoolError

FAILED: Final = f"{names.UNDO}:failed"

Failed = tuple[str, str, PoolError]
"""What could not be removed, by class and ref, and why."""


def attempt(cls: str, remove: Callable[[Hands, str], None], pool: Hands, ref: str) -> list[Failed]:
    """Remove one object, if that has not failed in this round. What is gone is no failure."""
    deed = f"{remove.__name__} {ref}"
    known = failures(pool)
    if deed in known:
        return [(cls, ref, error_of(known[deed]))]
    try:
        remove(pool, ref)
    except PoolError as error:
        if error.code == "HANDLE_INVALID" and look(pool, cls, ref) is None:
            return []
        pool.remember(FAILED, json.dumps({**known, deed: record_of(error)}))
        return [(cls, ref, error)]
    return []


def end_round(pool: Hands) -> None:
    """Have all that failed be tried again."""
    if failures(pool):
        pool.remember(FAILED, "{}")


def all_or_none(pool: Hands, failed: list[Failed]) -> None:
    """End the round, and raise what has failed, if anything has."""
    end_round(pool)
    for _, _, error in failed:
        raise error


def failures(pool: Hands) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(pool.recall(FAILED) or "{}")
    return found


def record_of(error: PoolError) -> dict[str, Any]:
    """An error as it can be written down: of which class it is says what happens next."""
    kind = next(cls for cls in type(error).__mro__ if getattr(errors, cls.__name__, None) is cls)
    return {**error.as_record(), "call": error.call, "class": kind.__name__}


def error_of(record: dict[str, Any]) -> PoolError:
    """The error that was written down.

    >>> error_of(record_of(errors.Busy("TOO_BUSY", [], "Later.", call="VM.start")))
    Busy('Later.')
    """
    kind: type[PoolError] = getattr(errors, record["class"])
    return kind(record["code"], record["params"], record["message"], call=record["call"])
