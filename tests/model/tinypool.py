"""A pool as small as a launch allows: sessions, pool tasks, and the acts that they are made of.

The session is looked at before all else, as XAPI does. xapi may restart between any two acts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.model.tinycalls import VERBS, Job
from tests.model.tinyrows import ApiError, Row, Rows, copied
from xenlaunch.xapi.pending import HEADER, KEY


class TinyPool(Rows):
    """The rows, and what happens to them."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Job] = []
        self._generation = 0

    def call(self, method: str, params: Sequence[Any], headers: Mapping[str, str]) -> Any:
        """One call, as it arrives."""
        if method == "session.login_with_password":
            return self.add("session")
        session, *rest = params
        if session not in self.rows("session"):
            raise ApiError("SESSION_INVALID", session)
        mark = headers.get(HEADER, "")
        if method.startswith("Async."):
            return self._begin(method, mark, rest)
        if method in VERBS:
            return self._at_once(method, mark, rest)
        return self._ask(method, session, rest)

    def _begin(self, method: str, mark: str, params: Sequence[Any]) -> str:
        marks = {KEY: mark} if mark else {}
        state = {"status": "pending", "result": "", "error_info": [], "other_config": marks}
        task = self.add("task", name_label=method, **state)
        job = Job(method, launch_of(mark), task)
        job.work = VERBS[method.removeprefix("Async.")](self, job, *params)
        self.jobs.append(job)
        self._touch(task)
        return task

    def _at_once(self, method: str, mark: str, params: Sequence[Any]) -> Any:
        self.maker = launch_of(mark)
        try:
            return VERBS[method](self, Job(method, self.maker, ""), *params)
        finally:
            self.maker = ""

    # Questions, and what goes with sessions and tasks

    def _ask(self, method: str, session: str, params: Sequence[Any]) -> Any:
        cls, _, verb = method.partition(".")
        match verb, params:
            case "get_record", [ref]:
                return self.record(cls, ref)
            case "get_all_records", []:
                return {ref: self.record(cls, ref) for ref in self.rows(cls)}
            case "get_all_records_where", [query]:
                return self._asked_for(cls, query)
            case "get_by_name_label", [name]:
                return list(self.where(cls, "name_label", name))
            case "get_by_uuid", [uuid]:
                return self._by_uuid(cls, uuid)
        return self._ask_or_tell(method, session, params)

    def _ask_or_tell(self, method: str, session: str, params: Sequence[Any]) -> Any:
        cls, _, column = method.partition(".get_")
        if column:
            return copied(self.row(cls, params[0]))[column]
        match method, params:
            case "session.logout", []:
                del self.rows("session")[session]
            case "task.cancel", [task]:
                self._cancel(task)
            case "task.destroy", [task]:
                self.row("task", task)
                if not any(job.task == task for job in self.jobs):
                    del self.rows("task")[task]
            case "event.from", [_, token, _]:
                return self._since(int(token or 0))
            case _:
                raise AssertionError(f"nobody has written what {method} does")
        return ""

    def _asked_for(self, cls: str, query: str) -> dict[str, Row]:
        """Rows by a query such as ``field "SR"="…" and field "name__label"="…"``."""
        wanted = [part.split('"')[1::2] for part in query.split(" and ")]
        return {
            ref: self.record(cls, ref)
            for ref, row in self.rows(cls).items()
            if all(row[column.replace("__", "_")] == value for column, value in wanted)
        }

    def _by_uuid(self, cls: str, uuid: str) -> str:
        for ref in self.where(cls, "uuid", uuid):
            return ref
        raise ApiError("UUID_INVALID", cls, uuid)

    def _cancel(self, task: str) -> None:
        """What a host works on goes on."""
        self.row("task", task)
        for job in list(self.jobs):
            if job.task == task and not job.on_host:
                self._end(job, "cancelled")

    def _since(self, generation: int) -> Row:
        events = [
            {"class": "task", "operation": "mod", "ref": ref, "snapshot": copied(row)}
            for ref, row in self.rows("task").items()
            if row["at"] > generation
        ]
        return {"events": events, "token": str(self._generation), "valid_ref_counts": {}}

    def _touch(self, task: str) -> None:
        self._generation += 1
        self.rows("task")[task]["at"] = self._generation

    # The work that goes on

    def work(self) -> str:
        """Do the next act of the job that has waited longest; its method."""
        if not self.jobs:
            return ""
        job = self.jobs.pop(0)
        self.jobs.append(job)
        self.maker = job.launch
        try:
            next(job.work)
        except StopIteration as done:
            self._end(job, "success", result=f"<value>{done.value}</value>")
        except ApiError as error:
            self._end(job, "failure", error_info=[error.code, *error.params])
        finally:
            self.maker = ""
        return job.method.removeprefix("Async.")

    def fail(self, code: str) -> str:
        """Let the job that has waited longest fail; its method."""
        for job in self.jobs:
            if not job.on_host:
                self._end(job, "failure", error_info=[code])
                return job.method.removeprefix("Async.")
        return ""

    def _end(self, job: Job, status: str, **fields: Any) -> None:
        self.jobs.remove(job)
        if status != "success":
            for step in reversed(job.undo):
                step()
        if job.task in self.rows("task"):
            self.rows("task")[job.task].update(status=status, **fields)
            self._touch(job.task)

    def restart(self) -> None:
        """Restart xapi: sessions and tasks are gone, its own work stops where it is.

        What a host does it finishes by itself, though nobody sees it working any more.
        """
        self.tables["session"], self.tables["task"] = {}, {}
        self.jobs = [job for job in self.jobs if job.on_host]
        for job in self.jobs:
            job.task = ""
        for row in self.rows("VM").values():
            row["current_operations"] = {}


def launch_of(mark: str) -> str:
    return mark.split("/")[1] if mark else ""
