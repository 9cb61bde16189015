"""Whose turn it is: each owner has its share of a line, however many it has waiting."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.fair import Line, Turn

WAITING = {"many": 1000, "some": 100, "few": 3}


def joined(line: Line, waiting: Mapping[str, int], weights: Mapping[str, float]) -> list[Turn]:
    """One owner after the other, each with all it has."""
    return [
        line.join(owner, weights.get(owner, 1)) for owner, many in waiting.items()
        for _ in range(many)
    ]  # fmt: skip


def order(turns: list[Turn]) -> list[str]:
    return [turn.owner for turn in sorted(turns)]


def shares(owners: list[str]) -> dict[str, int]:
    return {owner: owners.count(owner) for owner in WAITING}


def test_who_has_three_waiting_has_them_among_the_first_nine() -> None:
    owners = order(joined(Line(), WAITING, {}))

    assert shares(owners[:9]) == {"many": 3, "some": 3, "few": 3}
    assert shares(owners[:203]) == {"many": 100, "some": 100, "few": 3}


@pytest.mark.parametrize(
    ("weights", "last_of_few", "of_the_first_140"),
    [
        ({"few": 3}, 5, {"many": 69, "some": 68, "few": 3}),
        ({"some": 3}, 15, {"many": 37, "some": 100, "few": 3}),
        ({"many": 4}, 18, {"many": 110, "some": 27, "few": 3}),
        ({"few": 0.5}, 15, {"many": 69, "some": 68, "few": 3}),
    ],
)
def test_the_share_of_an_owner_is_as_its_weight(
    weights: dict[str, float], last_of_few: int, of_the_first_140: dict[str, int]
) -> None:
    owners = order(joined(Line(), WAITING, weights))

    assert abs(len(owners) - owners[::-1].index("few") - last_of_few) <= 1
    found = shares(owners[:140])
    assert all(abs(found[owner] - of_the_first_140[owner]) <= 1 for owner in WAITING)


def test_an_owners_own_go_in_the_order_in_which_they_came() -> None:
    turns = joined(Line(), WAITING, {"some": 7})

    for owner in WAITING:
        own = [turn for turn in turns if turn.owner == owner]
        assert own == sorted(own)


def test_priorities_go_before_shares() -> None:
    line = Line()
    turns = [line.join("many", priority=4) for _ in range(20)] + [line.join("few", priority=5)]

    assert order(turns)[-1] == "few"


def test_who_always_has_one_waiting_gets_no_more_than_who_has_many() -> None:
    line = Line()
    waiting = [line.join("many") for _ in range(20)]
    waiting.append(line.join("one"))
    gone = []
    for _ in range(20):
        turn = min(waiting)
        waiting.remove(turn)
        line.go(turn)
        gone.append(turn.owner)
        if turn.owner == "one":
            waiting.append(line.join("one"))

    assert gone.count("one") == 10


def test_a_stream_of_new_owners_passes_nobody_for_ever() -> None:
    line = Line()
    patient = [line.join("patient") for _ in range(5)]
    waiting = list(patient)
    for number in range(64):
        waiting.append(line.join(f"new-{number}"))
        turn = min(waiting)
        waiting.remove(turn)
        line.go(turn)

    assert not set(patient) & set(waiting)


def test_who_has_waited_for_nothing_saves_nothing_up() -> None:
    line = Line()
    early = [line.join("busy") for _ in range(100)]
    for turn in early[:90]:
        line.go(turn)
    late = [line.join("late") for _ in range(5)]

    assert order(early[90:] + late)[:4] == ["busy", "late", "busy", "late"]


def test_who_comes_back_goes_before_those_who_have_not_gone() -> None:
    line = Line()
    turns = [line.join("a") for _ in range(3)]
    back = line.come_back(line.go(turns[0]))

    assert sorted([back, *turns[1:]])[0] == back


def test_who_comes_back_into_a_line_that_was_empty_has_no_old_tag() -> None:
    line = Line()
    old = [line.go(turn) for turn in [line.join("a") for _ in range(50)]]
    new = line.join("b")

    assert line.come_back(old[-1]) < new


def test_who_comes_while_many_are_in_flight_has_its_turn_among_them() -> None:
    """They have been admitted, and wait for a slot: that is a line too."""
    line = Line()
    in_flight = [line.join("many") for _ in range(400)]
    at_work = [line.go(turn) for turn in in_flight[:10]]
    few = [line.join("few") for _ in range(3)]

    assert order(in_flight[10:] + few)[:6] == ["many", "few"] * 3
    assert at_work[-1] < few[0]


def test_who_has_given_up_many_is_not_behind_them() -> None:
    line = Line()
    others = [line.join("other") for _ in range(3)]
    for turn in [line.join("a") for _ in range(100)]:
        line.leave(turn)

    assert line.join("a") < others[1]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", ""]),
            st.sampled_from([0.01, 0.5, 1, 3, 100]),
            st.integers(0, 9),
        ),
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_of_a_pool_that_is_idle_nothing_is_remembered(
    joins: list[tuple[str, float, int]], chance: random.Random
) -> None:
    line, waiting = Line(), list[Turn]()
    for owner, weight, priority in joins:
        waiting.append(line.join(owner, weight, priority))
        pick = chance.randrange(len(waiting))
        match chance.randrange(4):
            case 0:
                line.leave(waiting.pop(pick))
            case 1:
                waiting[pick] = line.go(waiting[pick])
            case 2:
                waiting[pick] = line.come_back(waiting[pick])
    for turn in waiting:
        line.leave(turn)

    assert line == Line()
