"""Pending: the pool's own async jobs, which XAPI calls tasks.

A call that goes async bears our mark as an HTTP header, and XAPI keeps it in the job. So a job
whose worker died is found again and waited for, not asked for twice. XAPI forgets ended jobs soon
(at once when there are many): an ``Outcome`` is what is worth keeping of one.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from xml.sax.saxutils import unescape

from xenlaunch.names import OTHER_CONFIG_MARK
from xenlaunch.xapi.refusals import refusal, showable
from xenlaunch.xapi.session import Session

HEADER: Final = f"X-Http-Other-Config-{OTHER_CONFIG_MARK}"
KEY: Final = f"http:{OTHER_CONFIG_MARK}"

SUCCESS: Final = "success"
FAILURE: Final = "failure"
CANCELLED: Final = "cancelled"
VANISHED: Final = "vanished"
"""Our own word: the job is not in the pool any more."""

_RUNNING: Final = frozenset({"pending", "cancelling"})

_VALUE: Final = re.compile(r"<value>(?:<string>)?(.*?)(?:</string>)?</value>", re.DOTALL)


def mark_headers(mark: str) -> dict[str, str]:
    """The header that leaves our mark in the job that the call becomes."""
    if not mark.isascii() or not mark.isprintable():
        raise ValueError("A mark goes into an HTTP header: printable ASCII only.")
    return {HEADER: mark}


def mark_of(record: Mapping[str, Any]) -> str | None:
    """Our mark in a job's record, if it is one of ours."""
    mark = record.get("other_config", {}).get(KEY)
    return None if mark is None else str(mark)


@dataclass(frozen=True)
class Outcome:
    """How a job stands, or how it ended."""

    status: str
    result: str = ""
    code: str = ""
    params: tuple[str, ...] = ()

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Outcome":
        code, *params = [str(part) for part in record.get("error_info") or [""]]
        return cls(
            status=str(record["status"]),
            result=str(record.get("result") or ""),
            code=code,
            params=tuple(showable(code, params)),
        )

    @classmethod
    def vanished(cls) -> "Outcome":
        return cls(VANISHED)

    @property
    def ended(self) -> bool:
        return self.status not in _RUNNING

    def to_json(self) -> str:
        return json.dumps([self.status, self.result, self.code, *self.params])

    @classmethod
    def from_json(cls, text: str) -> "Outcome":
        status, result, code, *params = json.loads(text)
        return cls(status, result, code, tuple(params))


def value_of(result: str) -> str:
    """What stands in a job's result, which is a piece of XML.

    >>> value_of("<value>OpaqueRef:1</value>")
    'OpaqueRef:1'
    >>> value_of("<value></value>"), value_of("")
    ('', '')
    """
    text = result.strip()
    if text == "<value/>":
        return ""
    inside = _VALUE.fullmatch(text)
    return unescape(inside[1], {"&quot;": '"'}) if inside else text


def settle(call: str, outcome: Outcome) -> str:
    """Return the value that the job ended with, or raise what became of it.

    A cancelled job raises OutcomeUnknown, for XAPI cancels as far as it can and no further.
    """
    if outcome.status == SUCCESS:
        return value_of(outcome.result)
    if outcome.status == FAILURE and outcome.code:
        raise refusal(call, outcome.code, outcome.params)
    raise refusal(call, _SAYS_NOTHING.get(outcome.status, "TASK_RUNNING"), [])


_SAYS_NOTHING: Final = {
    FAILURE: "TASK_SILENT",
    CANCELLED: "TASK_CANCELLED",
    VANISHED: "TASK_GONE",
}


def find_marked(session: Session, mark_prefix: str) -> dict[str, dict[str, Any]]:
    """The pool's jobs that bear a mark which begins so, by ref."""
    records: Mapping[str, dict[str, Any]] = session.read("task.get_all_records")
    return {
        ref: record
        for ref, record in records.items()
        if (mark_of(record) or "").startswith(mark_prefix) and mark_of(record) is not None
    }
