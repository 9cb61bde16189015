"""A storm that was broken off goes on: what its rounds came to is kept."""

from collections import Counter

from tests.storm.checker import Findings
from tests.storm.random_storm import Round
from tests.storm.table import Tally


def a_round(number: int, findings: Findings) -> Round:
    return Round(
        number,
        Counter({"worker killed": 3}),
        Counter(succeeded=40),
        recoveries=[9.5, 11.0],
        from_death=[9.5, 14.0],
        findings=findings,
        seconds=60,
    )


def test_a_tally_is_the_same_when_it_is_read_again() -> None:
    tally = Tally("5eed")
    tally.add(a_round(1, Findings(leaks=("a disk",))))
    again = Tally.from_json(tally.to_json())
    again.add(a_round(2, Findings()))

    assert again.rounds == [1, 2]
    assert again.kills["worker killed"] == 6
    assert not again.is_right


def test_the_table_says_what_happened() -> None:
    tally = Tally("5eed")
    tally.add(a_round(1, Findings()))
    lines = list(tally.lines())

    assert "| **kills** | **3** |" in lines
    assert "| duplicates | 0 |" in lines
    assert "| recovery p99 | 11.0 s |" in lines
    assert tally.is_right
