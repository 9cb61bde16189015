"""The filter grammar of get_all_where and get_all_records_where.

    field "power_state"="Halted" and (not field "is_a_template"="true" or true)

As in XAPI, `and` and `or` have one rank and are read from the left, and `not` takes all that
follows it, up to the end of its brackets. A field that lies in a namespace of XAPI's database is
named with two underscores (`name__label`), and so alone.

However deep an expression goes, nothing here calls itself: it is put in the order in which it is
evaluated, operands first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from simulator.errors import ApiError
from simulator.schema.declare import Class

Test = Callable[[dict[str, Any]], bool]
Side = Callable[[dict[str, Any]], str]
#: a comparison or a constant; or what is done to the one or two results before it
Step = Test | str

_TOKEN: Final = re.compile(r'(\(|\)|=|field|and|or|not|true|false)|"([^"]*)"')
_SPACE: Final = " \t\n"
_JOINS: Final = frozenset({"and", "or"})


class _Parser:
    """Reads one expression, left to right."""

    def __init__(self, text: str, cls: Class) -> None:
        self.cls = cls
        self.words = list(self._words(text))
        self.place = 0

    @staticmethod
    def _words(text: str) -> list[tuple[str, str]]:
        found, place, text = [], 0, text.rstrip(_SPACE)
        while place < len(text):
            if text[place] in _SPACE:
                place += 1
                continue
            match = _TOKEN.match(text, place)
            if match is None:
                raise ValueError("lexing: empty token")
            symbol, literal = match.groups()
            found.append((symbol, "") if symbol else ("literal", literal))
            place = match.end()
        return found

    def next(self, *wanted: str) -> str | None:
        """Take the next word if it is one of these."""
        if self.place < len(self.words) and self.words[self.place][0] in wanted:
            self.place += 1
            return self.words[self.place - 1][0]
        return None

    def whole(self) -> list[Step]:
        """The steps of the evaluation; `open` holds brackets and operators not yet done."""
        steps: list[Step] = []
        open_: list[str] = []
        while True:
            steps.append(self._operand(open_))
            while self.next(")"):
                steps += _closed(open_)
            word = self.next(*_JOINS)
            if word is None:
                break
            if open_ and open_[-1] in _JOINS:
                steps.append(open_.pop())
            open_.append(word)
        if self.place != len(self.words) or "(" in open_:
            raise ValueError("Parsing.Parse_error")
        return steps + open_[::-1]

    def _operand(self, open_: list[str]) -> Test:
        while word := self.next("not", "("):
            open_.append(word)
        word = self.next("true", "false", "field", "literal")
        if word in {"field", "literal"}:
            return self._equal(word)
        if word is None:
            raise ValueError("Parsing.Parse_error")
        return lambda _record: word == "true"

    def _equal(self, word: str | None) -> Test:
        left = self._side(word)
        self._must("=")
        right = self._side(self.next("field", "literal"))
        return lambda record: left(record) == right(record)

    def _side(self, word: str | None) -> Side:
        if word == "field":
            self._must("literal")
            name = self._field(self.words[self.place - 1][1])
            return lambda record: as_stored(record[name])
        if word == "literal":
            literal = self.words[self.place - 1][1]
            return lambda _record: literal
        raise ValueError("Parsing.Parse_error")

    def _field(self, column: str) -> str:
        try:
            return self.cls.columns[column]
        except KeyError:
            missing = f"Db_exn.DBCache_NotFound(missing column, {self.cls.name}, {column})"
            raise ValueError(missing) from None

    def _must(self, word: str) -> None:
        if not self.next(word):
            raise ValueError("Parsing.Parse_error")


def _closed(open_: list[str]) -> list[str]:
    """Take off what was opened since the last bracket, and that too."""
    steps = []
    while open_ and open_[-1] != "(":
        steps.append(open_.pop())
    if not open_:
        raise ValueError("Parsing.Parse_error")
    open_.pop()
    return steps


def _holds(steps: list[Step], record: dict[str, Any]) -> bool:
    results: list[bool] = []
    for step in steps:
        if callable(step):
            results.append(step(record))
        elif step == "not":
            results.append(not results.pop())
        else:
            right, left = results.pop(), results.pop()
            results.append(left and right if step == "and" else left or right)
    return results.pop()


def as_stored(value: Any) -> str:
    """A value as the database writes it down, which is what a filter compares."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "(" + " ".join(f"'{as_stored(one)}'" for one in value) + ")"
    if isinstance(value, dict):
        return "(" + " ".join(f"('{k}' '{as_stored(v)}')" for k, v in value.items()) + ")"
    return str(value)


def compile_filter(text: str, cls: Class) -> Test:
    try:
        steps = _Parser(text, cls).whole()
    except ValueError as wrong:
        raise ApiError("INVALID_VALUE", text, str(wrong)) from None
    return lambda record: _holds(steps, record)
