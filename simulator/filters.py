"""The filter grammar of get_all_where and get_all_records_where.

    field "power_state"="Halted" and (not field "is_a_template"="true" or true)

`and` and `or` have no rank between them in the real grammar's tables; here `and` binds tighter, and
`not` tightest. Field names carry `__` where the database has a namespace (`name__label`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from simulator.errors import ApiError
from simulator.schema.declare import Class

Test = Callable[[dict[str, Any]], bool]

_TOKEN: Final = re.compile(r'\s*(?:(\(|\)|=)|"([^"]*)"|(field|and|or|not|true|false)\b)')


class _Parser:
    """Reads one expression, left to right."""

    def __init__(self, text: str, cls: Class) -> None:
        self.cls = cls
        self.words = list(self._words(text))
        self.place = 0

    @staticmethod
    def _words(text: str) -> list[tuple[str, str]]:
        found, place, text = [], 0, text.rstrip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise ValueError("lexing: empty word")
            symbol, literal, name = match.groups()
            found.append(("literal", literal) if literal is not None else (symbol or name, ""))
            place = match.end()
        return found

    def next(self, *wanted: str) -> str | None:
        """Take the next word if it is one of these."""
        if self.place < len(self.words) and self.words[self.place][0] in wanted:
            self.place += 1
            return self.words[self.place - 1][0]
        return None

    def whole(self) -> Test:
        test = self.either()
        if self.place != len(self.words):
            raise ValueError("Parsing.Parse_error")
        return test

    def either(self) -> Test:
        left = self.both()
        while self.next("or"):
            left = _either(left, self.both())
        return left

    def both(self) -> Test:
        left = self.one()
        while self.next("and"):
            left = _both(left, self.one())
        return left

    def one(self) -> Test:
        word = self.next("not", "true", "false", "(", "field", "literal")
        if word == "not":
            inner = self.one()
            return lambda record: not inner(record)
        if word == "(":
            inner = self.either()
            self._must(")")
            return inner
        if word in {"field", "literal"}:
            return self._equal(word)
        if word is None:
            raise ValueError("Parsing.Parse_error")
        return lambda _record: word == "true"

    def _equal(self, word: str) -> Test:
        left = self._side(word)
        self._must("=")
        right = self._side(self.next("field", "literal"))
        return lambda record: left(record) == right(record)

    def _side(self, word: str | None) -> Callable[[dict[str, Any]], str]:
        if word == "field":
            self._must("literal")
            name = self._field(self.words[self.place - 1][1])
            return lambda record: as_stored(record[name])
        if word == "literal":
            literal = self.words[self.place - 1][1]
            return lambda _record: literal
        raise ValueError("Parsing.Parse_error")

    def _field(self, name: str) -> str:
        for spelled in (name, name.replace("__", "_")):
            if spelled in self.cls.fields:
                return spelled
        raise ValueError(f"Db_exn.DBCache_NotFound(missing column, {self.cls.name}, {name})")

    def _must(self, word: str) -> None:
        if not self.next(word):
            raise ValueError("Parsing.Parse_error")


def _either(left: Test, right: Test) -> Test:
    return lambda record: left(record) or right(record)


def _both(left: Test, right: Test) -> Test:
    return lambda record: left(record) and right(record)


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
        return _Parser(text, cls).whole()
    except ValueError as wrong:
        raise ApiError("INVALID_VALUE", text, str(wrong)) from None
    except RecursionError:
        raise ApiError("INVALID_VALUE", text, "Stack overflow") from None
