"""`xenlaunch template`: what the command line makes of a worker's answers, which are given here."""

import json
from typing import Any

import pytest

from tests.unit.cli.conftest import Shell
from xenlaunch import cli_template
from xenlaunch.ledger import Ledger
from xenlaunch.templates import Templates

ROW: dict[str, Any] = {
    "pool": "lab", "template": "debian-12", "sr": "nfs-2", "hosts": 3, "hosts_total": 4,
    "uuid": "6a7c", "made_here": True, "state": "there", "percent": None, "launch": "l-1",
    "error": "",
}  # fmt: skip
UNDER_WAY = ROW | {"state": "copying", "percent": 43, "uuid": ""}
REFUSED = ROW | {"sr": "full", "state": "failed", "launch": "", "error": "There is \x1b no room."}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_template, "LOOK_EVERY", 0)


def answers(monkeypatch: pytest.MonkeyPatch, begun: Any, *looks: Any) -> list[tuple[Any, ...]]:
    """What a worker says, at first and at each look; and, as it comes, what it was asked."""
    asked: list[tuple[Any, ...]] = []
    later = list(looks)

    def begin(_: Templates, *question: Any) -> Any:
        asked.append(question)
        return begun

    def look(_: Templates, *question: Any) -> Any:
        asked.append(question)
        return later.pop(0) if later else begun

    monkeypatch.setattr(Templates, "spread", begin)
    monkeypatch.setattr(Templates, "remove", begin)
    monkeypatch.setattr(Templates, "copies", look)
    return asked


def test_spread_shows_how_far_it_is_until_it_is_there(
    ledger: Ledger, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    toolstack_away = [{"pool": "lab", "error": "The pool does not answer."}]
    other = ROW | {"sr": "nfs-1"}
    asked = answers(monkeypatch, [UNDER_WAY], [UNDER_WAY, other], toolstack_away, [ROW, other])

    assert xenlaunch("template", "spread", "debian-12", "--to", "nfs-2") == 0
    assert xenlaunch.err.splitlines() == ["nfs-2 copying 43 %"]
    assert xenlaunch.out.splitlines()[1].split() == [
        *("lab", "nfs-2", "3", "of", "4", "there", "yes", "6a7c", "l-1")
    ]
    assert asked == [("debian-12", ("nfs-2",), None), *[("debian-12", "lab")] * 3]


def test_for_programs_each_change_is_a_line_of_json(
    ledger: Ledger, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    further = UNDER_WAY | {"percent": 90}
    answers(monkeypatch, [UNDER_WAY], [UNDER_WAY], [further], [ROW])

    assert xenlaunch("template", "spread", "debian-12", "--to", "nfs-2", "--json") == 0
    lines = [json.loads(line) for line in xenlaunch.out.splitlines()]
    assert lines == [[UNDER_WAY], [further], [ROW]]


def test_what_cannot_be_copied_is_exit_code_1_and_the_rest_is_waited_for(
    ledger: Ledger, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, [UNDER_WAY, REFUSED], [ROW])

    assert xenlaunch("template", "spread", "debian-12", "--to", "nfs-2", "--to", "full") == 1
    assert "There is \\x1b no room." in xenlaunch.out
    assert " there " in xenlaunch.out


def test_a_copy_that_somebody_has_cancelled_is_gone(
    ledger: Ledger, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ROW | {"sr": "nfs-1"}
    answers(monkeypatch, [UNDER_WAY], [other])

    assert xenlaunch("template", "spread", "debian-12", "--to", "nfs-2") == 1
    assert " gone " in xenlaunch.out
    answers(monkeypatch, [ROW | {"state": "removing"}], [other])
    assert xenlaunch("template", "remove", "debian-12", "--from", "nfs-2") == 0


def test_ctrl_c_leaves_the_copying_going_on(
    ledger: Ledger, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, [UNDER_WAY])

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Templates, "copies", interrupted)

    assert xenlaunch("template", "spread", "debian-12", "--to", "nfs-2") == 130
    assert "it goes on. 'xenlaunch template list debian-12'" in xenlaunch.err


def test_who_does_not_want_to_wait_is_told_what_has_begun(
    ledger: Ledger, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answers(monkeypatch, [UNDER_WAY])

    assert xenlaunch("template", "spread", "debian-12", "--to", "nfs-2", "--no-wait") == 0
    assert "copying 43 %" in xenlaunch.out
    assert len(asked) == 1


def test_list_says_what_each_pool_answers(
    ledger: Ledger, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, [], [ROW], [ROW, {"pool": "attic", "error": "No host answers."}])

    assert xenlaunch("template", "list", "debian-12", "--json") == 0
    assert xenlaunch.json == [ROW]
    assert xenlaunch("template", "list", "debian-12") == 1
    assert "No host answers." in xenlaunch.out
