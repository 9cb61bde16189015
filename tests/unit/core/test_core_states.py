"""The table of states, in Python and as the ledger's scripts have it."""

from collections.abc import Callable
from itertools import product

import pytest
import redis

from tests.unit.core.lives import ERROR, FAILURE, Lives
from xenlaunch import names, states
from xenlaunch.errors import IllegalMove
from xenlaunch.ledger import Ledger
from xenlaunch.store import _scripts

PAIRS = list(product(states.STATES, repeat=2))
LEGAL = [pair for pair in PAIRS if pair[1] in states.MOVES[pair[0]]]
ILLEGAL = [pair for pair in PAIRS if pair not in LEGAL]


def test_the_table_is_that_of_the_docstring() -> None:
    assert set(LEGAL) == {
        ("waiting", "running"),
        ("waiting", "undoing"),
        ("waiting", "failed"),
        ("waiting", "cancelled"),
        ("running", "finishing"),
        ("running", "undoing"),
        ("running", "waiting"),
        ("finishing", "succeeded"),
        ("finishing", "undoing"),
        ("undoing", "failed"),
        ("undoing", "cancelled"),
        ("undoing", "destroyed"),
        ("undoing", "waiting"),
        ("succeeded", "undoing"),
        ("failed", "undoing"),
        ("failed", "waiting"),
        ("cancelled", "undoing"),
        ("cancelled", "waiting"),
        ("destroyed", "undoing"),
    }


def test_only_its_owner_leads_a_launch_out_of_an_end() -> None:
    """To its undo, or into the line once more; what the scripts do of themselves is tried below."""
    assert set(states.ENDED) == {"succeeded", "failed", "cancelled", "destroyed"}
    assert {after for state in states.ENDED for after in states.MOVES[state]} == {
        "undoing",
        "waiting",
    }


@pytest.mark.parametrize(("before", "after"), LEGAL)
def test_a_legal_move_passes(before: str, after: str) -> None:
    states.check_move(before, after)


@pytest.mark.parametrize(("before", "after"), ILLEGAL)
def test_an_illegal_move_raises(before: str, after: str) -> None:
    with pytest.raises(IllegalMove, match=f"^A launch cannot go from '{before}' to '{after}'.$"):
        states.check_move(before, after)


def test_every_state_can_be_reached_and_ends_somewhere() -> None:
    reached = {states.WAITING}
    for _ in states.STATES:
        reached |= {after for before, after in LEGAL if before in reached}
    ends = set(states.ENDED)
    for _ in states.STATES:
        ends |= {before for before, after in LEGAL if after in ends}

    assert reached == set(states.STATES)
    assert ends == set(states.STATES)


def test_people_are_shown_no_finishing() -> None:
    shown = {state: states.public(state) for state in states.STATES}

    assert shown == {state: "running" if state == "finishing" else state for state in states.STATES}
    assert set(shown.values()) == set(states.PUBLIC)


def test_the_lua_table_has_the_same_moves() -> None:
    moves = [tuple(move.split(">")) for move in states.lua_table().split()]

    assert sorted(moves) == sorted(LEGAL)


def test_the_scripts_move_as_the_table_says(ledger: Ledger) -> None:
    """Every pair of states is tried with the `move` that all scripts share."""
    prelude = next(text for name, text in _scripts() if name == "leave").partition("-- Here")[0]
    mover = ledger.store.redis.register_script(prelude + "move(ARGV[3], now()) return 'ok'")

    def moves(before: str, after: str) -> bool:
        ledger.store.redis.hset(ledger.store.key("launch", "l-1"), "state", before)
        try:
            return bool(mover(args=[ledger.store.prefix, "l-1", after]))
        except redis.ResponseError as refused:
            return f"ILLEGAL {before} {after}" not in str(refused)

    taken = [pair for pair in PAIRS if moves(*pair)]
    ledger.store.redis.flushall()

    assert taken == LEGAL


@pytest.mark.parametrize("state", states.STATES)
def test_every_operation_in_every_state_moves_by_the_table_or_not_at_all(
    lives: Lives, state: str
) -> None:
    """The moves that need no lease, each tried on a launch in each state."""
    ledger = lives.ledger
    operations: dict[str, Callable[[str], object]] = {
        "join": lambda launch: ledger.join(launch, "lab", []),
        "admit": lives.admit,
        "cancel": lambda launch: ledger.cancel(launch, ERROR),
        "refuse": lambda launch: ledger.refuse(launch, "failed", FAILURE),
        "wake": ledger.wake,
        "note": lambda launch: ledger.note(launch, "OpaqueRef:task", "{}"),
        "told": ledger.told,
        "claim": lives.claim,
        "claim undo": lambda launch: lives.claim(launch, names.UNDO),
    }
    for operation in operations.values():
        launch = lives.at(state)
        operation(launch)
        after = lives.state(launch)

        assert after == state or after in states.MOVES[state]
