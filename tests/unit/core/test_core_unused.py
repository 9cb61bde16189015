"""A copy of a template goes only when nobody can choose it any more."""

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.unused import check_unused
from xenlaunch.errors import Busy
from xenlaunch.users import SLACK_MS

RENAMED = 1000.0


def pool(seconds: float, users: tuple[str, ...] = ()) -> Any:
    """A pool so long after the copy took its name."""
    return SimpleNamespace(
        now=lambda: RENAMED + seconds,
        since=lambda _call: RENAMED,
        users=lambda _template, _call: list(users),
        read=lambda _method, _ref: {"current_operations": {}},
    )


LAUNCH: Any = SimpleNamespace(vm="OpaqueRef:copy")


def test_until_all_have_heard_of_its_name_somebody_may_choose_it() -> None:
    with pytest.raises(Busy, match="a moment ago"):
        check_unused(LAUNCH, pool(SLACK_MS / 1000 - 0.1), "rename")
    check_unused(LAUNCH, pool(SLACK_MS / 1000), "rename")


def test_who_has_chosen_it_is_waited_for() -> None:
    with pytest.raises(Busy, match="l-1"):
        check_unused(LAUNCH, pool(60, ("l-1",)), "rename")
