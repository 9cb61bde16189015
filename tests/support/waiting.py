"""The one place where tests wait. It returns the moment that what was awaited is there."""

import time
from collections.abc import Callable
from typing import TypeVar

LOOK_EVERY = 0.02

T = TypeVar("T")


def wait_until(predicate: Callable[[], T | None], timeout: float, description: str) -> T:
    """Return the first true answer; fail with the description when there is none in time."""
    deadline = time.monotonic() + timeout
    while True:
        if answer := predicate():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain: {description}")
        time.sleep(LOOK_EVERY)  # noqa: TID251  the one place
