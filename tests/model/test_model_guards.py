"""The model can fail: a guard that is taken out is missed."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import tasks.clone
import xenlaunch.lease
from tests.model.telling import tell
from xenlaunch.errors import LeaseLost
from xenlaunch.xapi.pool import Pool
from xenlaunch.xapi.session import Session

MOST = 6000
"""So many stories may be told before a guard that is out must have been missed."""

Patch = pytest.MonkeyPatch


def without_session_fence(patch: Patch) -> None:
    """Who takes a step over does not log the former owner's session out."""
    patch.setattr(Session, "end", lambda _self, _uuid: False)


def without_looking_first(patch: Patch) -> None:
    """An open intent is taken for a call that never happened."""

    def look(self: Pool, key: str, call: Any, *_rest: Any) -> None:
        self._session.end(call.login)
        self._lease.failed(key)

    patch.setattr(Pool, "_look", look)


def without_lease_check(patch: Patch) -> None:
    """A changing call goes out though the lease is lost."""
    heed = xenlaunch.lease.Lease.intend

    def intend(self: Any, key: str, call: Any) -> None:
        with suppress(LeaseLost):
            heed(self, key, call)
        self.calls[key] = call

    patch.setattr(xenlaunch.lease.Lease, "intend", intend)


def without_whole_clone_check(patch: Patch) -> None:
    """Any VM of the working name is taken for the clone."""

    def first(launch: Any, pool: Pool) -> str | None:
        name = tasks.clone.working_name(launch, pool.attempts("clone"))
        found = pool.read("VM.get_by_name_label", name)
        return str(found[0]) if found else None

    patch.setattr(tasks.clone, "whole_clone", first)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("take_out", "first"),
    [
        (without_session_fence, 35),
        (without_looking_first, 2),
        (without_lease_check, 18),
        (without_whole_clone_check, 1),
    ],
)
def test_a_guard_that_is_taken_out_is_missed(
    monkeypatch: Patch,
    capsys: pytest.CaptureFixture[str],
    take_out: Callable[[Patch], None],
    first: int,
) -> None:
    """The seeds are where it was missed last: a search from there on need not be long."""
    take_out(monkeypatch)
    told = tell(first, lambda stories, _seconds: stories >= MOST, shrink=False)
    with capsys.disabled():
        sys.stdout.write(f"\n{take_out.__name__}: {told.wrong or 'nothing'} (after {told})\n")

    assert told.wrong
