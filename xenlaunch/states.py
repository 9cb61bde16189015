"""The states of a launch and the moves between them: the only place where either is decided.

``finishing`` is the moment in which a VM that is up gets its last marks and its name: it can no
longer be cancelled, and only the pool can still refuse it. To the outside it is ``running``.

::

    waiting ──> running ──> finishing ──> succeeded
       │  <──place──┘ │
       │              v
       ├────────>  undoing ──> failed | cancelled
       └──> failed | cancelled

A launch that has ended stays as it is, unless its owner wants otherwise. *Destroy* has undone what
succeeded, or was left behind (``undoing ──> destroyed``); *retry* has what failed or was cancelled
undone to the end and sends it into the line again (``undoing ──> waiting``).
"""

from typing import Final

from xenlaunch.errors import IllegalMove

WAITING: Final = "waiting"
RUNNING: Final = "running"
FINISHING: Final = "finishing"
UNDOING: Final = "undoing"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
DESTROYED: Final = "destroyed"

MOVES: Final[dict[str, frozenset[str]]] = {
    WAITING: frozenset({RUNNING, UNDOING, FAILED, CANCELLED}),
    RUNNING: frozenset({FINISHING, UNDOING, WAITING}),
    FINISHING: frozenset({SUCCEEDED, UNDOING}),
    UNDOING: frozenset({FAILED, CANCELLED, DESTROYED, WAITING}),
    SUCCEEDED: frozenset({UNDOING}),
    FAILED: frozenset({UNDOING, WAITING}),
    CANCELLED: frozenset({UNDOING, WAITING}),
    DESTROYED: frozenset({UNDOING}),
}

ENDED: Final = frozenset({SUCCEEDED, FAILED, CANCELLED, DESTROYED})
"""Nothing happens by itself any more."""

STATES: Final = tuple(MOVES)
PUBLIC: Final = (WAITING, RUNNING, UNDOING, SUCCEEDED, FAILED, CANCELLED, DESTROYED)


def public(state: str) -> str:
    """The state as people are shown it.

    >>> public("finishing")
    'running'
    """
    return RUNNING if state == FINISHING else state


def check_move(before: str, after: str) -> None:
    """Raise `IllegalMove` unless the table has this move.

    >>> check_move("running", "undoing")
    >>> check_move("failed", "running")
    Traceback (most recent call last):
    xenlaunch.errors.IllegalMove: A launch cannot go from 'failed' to 'running'.
    """
    if after not in MOVES[before]:
        raise IllegalMove(before, after)


def lua_table() -> str:
    """The moves as text for the ledger's scripts: ``waiting>running waiting>failed …``."""
    return " ".join(f"{a}>{b}" for a, after in MOVES.items() for b in sorted(after))
