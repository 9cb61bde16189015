"""A session with a pool of rows: it writes down every call, and says what a test tells it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from xenlaunch.errors import PoolError
from xenlaunch.lease import Lease
from xenlaunch.xapi.pending import HEADER, KEY
from xenlaunch.xapi.pool import UPLOAD, Pool
from xenlaunch.xapi.reach import Reach
from xenlaunch.xapi.records import Records
from xenlaunch.xapi.refusals import refusal
from xenlaunch.xapi.session import Login, Session

Rows = dict[str, dict[str, Any]]


class ScriptedSession:
    """Reads look into the rows; what is sent is answered by the test, and changes nothing itself.

    An answer is a value, an error to raise, or a list of these, one for each call.
    """

    def __init__(self, login: str = "login-2") -> None:
        self.login = Login(f"OpaqueRef:{login}", login)
        self.rows: dict[str, Rows] = {}
        self.answers: dict[str, Any] = {}
        self.calls: list[tuple[str, ...]] = []
        self.marks: list[str] = []
        self.uploads: list[tuple[str, bytes]] = []

    def log_in(self, uuid: str) -> None:
        self.login = Login(f"OpaqueRef:{uuid}", uuid)

    def read(self, method: str, *params: Any) -> Any:
        self.calls.append(("read", method, *map(str, params)))
        if method in self.answers:
            return self._answer(method)
        cls, _, verb = method.partition(".")
        return self._look(cls, verb, *params)

    def send(
        self, method: str, *params: Any, as_login: Login, headers: Mapping[str, str] | None = None
    ) -> Any:
        self.calls.append(("send", method, *map(str, params)))
        self.marks.append((headers or {})[HEADER])
        assert as_login == self.login, "sent under another login than that of the intent"
        return self._answer(method)

    def upload(self, vdi: str, content: bytes, *, as_login: Login) -> None:
        assert as_login == self.login, "sent under another login than that of the intent"
        self.uploads.append((vdi, content))
        self._answer(UPLOAD)

    def end(self, uuid: str) -> bool:
        self.calls.append(("end", uuid))
        return True

    def long_poll(self, classes: Sequence[str], token: str, seconds: float) -> Any:
        assert seconds > 0
        self.calls.append(("long_poll", *classes, token))
        return self._answer("event.from")

    # What a test asks

    def sent(self) -> list[str]:
        return [call[1] for call in self.calls if call[0] == "send"]

    def verbs(self) -> list[str]:
        """Every call in order, without its parameters."""
        return [call[0] if call[0] == "end" else f"{call[0]} {call[1]}" for call in self.calls]

    def add_task(self, ref: str, mark: str, status: str = "pending", **fields: Any) -> None:
        row = {"status": status, "result": "", "error_info": [], "other_config": {KEY: mark}}
        self.rows.setdefault("task", {})[ref] = {**row, "name_label": "Async.x", **fields}

    # What the rows say

    def _answer(self, method: str) -> Any:
        answer = self.answers.get(method, "")
        if isinstance(answer, list):
            answer = answer.pop(0)
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _look(self, cls: str, verb: str, *params: str) -> Any:
        rows = self.rows.get(cls, {})
        match verb, params:
            case "get_record", (ref,):
                if ref not in rows:
                    raise refusal(f"{cls}.get_record", "HANDLE_INVALID", [cls, ref])
                return rows[ref]
            case "get_all_records", ():
                return dict(rows)
            case "get_all_records_where", (query,):
                _, field, _, value, _ = query.split('"')
                return {ref: row for ref, row in rows.items() if row[field] == value}
            case "get_by_name_label", (name,):
                return [ref for ref, row in rows.items() if row["name_label"] == name]
            case "destroy", (ref,):
                assert cls == "task", "a read that destroys is a task's alone"
                return rows.pop(ref, None)
            case "cancel", (ref,):
                rows[ref]["status"] = "cancelling"
                return ""
        raise AssertionError(f"nobody has written what {cls}.{verb} answers")


class Unread:
    """The records of a pool of which nothing was read yet."""

    def get(self, cls: str, ref: str) -> None:
        """Not there."""


def pool_of(session: ScriptedSession, lease: Lease, now: float = 1000.0) -> Pool:
    """The pool as the step that has this lease sees it, at a time that stands still."""
    reach = Reach("lab", cast("Session", session), cast("Records", Unread()))
    return Pool(reach, lease, clock=lambda: now)


def error(code: str, *params: str) -> PoolError:
    return refusal("x", code, params)
