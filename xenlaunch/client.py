"""What an upstream application holds: submit a launch, follow it, cancel it, and ask of a worker.

A submit is one write to the ledger; the message that follows is a nudge, and may be lost. Waiting
reads the ledger's own stream of events, so it sees the truth and not a message about it.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from xenlaunch import names, states
from xenlaunch.batches import Batch, numbered
from xenlaunch.errors import (
    BadRequest,
    BadSettings,
    LaunchCancelled,
    LaunchDestroyed,
    LaunchFailed,
    NoWorker,
    StillRunning,
    StoreUnreachable,
    SubmitUnknown,
    TooLate,
    XenlaunchError,
)
from xenlaunch.following import follow, read
from xenlaunch.ledger import Ledger, Times
from xenlaunch.model import MAX_BATCH, LaunchRequest, LaunchResult, LaunchStatus
from xenlaunch.redis_url import RedisUrl
from xenlaunch.store import Store
from xenlaunch.templates import Templates

if TYPE_CHECKING:
    from celery import Celery

Statuses: TypeAlias = list[LaunchStatus]
Answers: TypeAlias = list[dict[str, Any]]

ANSWER_SECONDS: Final = 15.0
"""How long a worker may take to answer `plan` and `pools`."""

ADOPT_SECONDS: Final = 600.0
"""How long a worker may take to read all pools."""

CANCELLED_BY_OWNER: Final = {
    "code": "CANCELLED",
    "params": [],
    "message": "Cancelled by its owner.",
}


class LaunchClient:
    """A deployment's launches, seen from outside: it knows one Redis and no pool.

    One client serves all threads of a process. Whatever cannot reach Redis raises
    `StoreUnreachable`.
    """

    def __init__(self, url: str, *, times: Times | None = None) -> None:
        try:
            self._ledger = Ledger(Store(url), times)
        except ValueError:  # and the URL, which may have a password in it, is not repeated
            raise BadSettings(
                "The URL of Redis is none: write it like redis://127.0.0.1:6379/0."
            ) from None
        self._url = url

    @cached_property
    def celery_app(self) -> "Celery":
        """A Celery app on the same Redis: `AsyncResult("<launch>.poll", app=client.celery_app)`."""
        from celery import Celery

        app = Celery("xenlaunch.client", set_as_current=False)
        app.conf.update(_celery_settings(self._url))
        return app

    @property
    def templates(self) -> Templates:
        """A template's copies on several SRs."""
        return Templates(self._ask)

    def close(self) -> None:
        """Let go of all connections."""
        self._ledger.store.close()
        if "celery_app" in self.__dict__:
            backend: Any = self.celery_app.backend
            backend.result_consumer.stop()
            backend.client.connection_pool.disconnect()
            self.celery_app.close()
            del self.celery_app

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Submitting

    def submit(self, request: LaunchRequest, *, token: str | None = None) -> LaunchStatus:
        """Ask for one VM. Repeated with the same token it finds the same launch.

        Raises `NoWorker` where no worker has ever registered with this Redis, `TokenReused` where
        the token stands for another request, `SubmitUnknown` (with the token) where Redis does not
        answer, stops answering in the middle, or takes nothing new.
        """
        token = token or str(uuid.uuid4())
        with _repeatable(token):
            launch = self._ledger.submit(self._deployment(), request, token)
            status = self._ledger.status(launch)
        self._nudge(launch)
        return status

    def submit_batch(
        self,
        requests: LaunchRequest | Sequence[LaunchRequest],
        count: int | None = None,
        *,
        name: str | None = None,
        token: str | None = None,
    ) -> Batch:
        """Ask for many VMs: one request so many times, or a list of requests.

        The name is a pattern with the number in it, from 1: ``web-{:03}``; with a list it is the
        batch's own. Raises as `submit` does, and `BadRequest` where a name does not come out.
        """
        if isinstance(requests, LaunchRequest):
            wanted: Sequence[LaunchRequest] = numbered(
                requests, 1 if count is None else count, name
            )
            name = name or requests.name
        else:
            wanted = tuple(requests)
            _check_list(wanted, count)
        token = token or str(uuid.uuid4())
        with _repeatable(token):
            batch, ids = self._ledger.submit_batch(self._deployment(), name or "", wanted, token)
        self._nudge(batch)
        return Batch(batch, tuple(ids))

    def _deployment(self) -> str:
        found = self._ledger.deployment()
        if found is None:
            raise NoWorker("No worker has registered with this Redis yet: start one first.")
        return found.name

    # Following

    def status(self, launch: str) -> LaunchStatus:
        """Where a launch is now."""
        return self._ledger.status(launch)

    def statuses(self, which: str) -> Statuses:
        """Where the launches of a batch are now, in order; or the launch itself."""
        return read(self._ledger, self._ledger.launches_of(which))

    def list(self, state: str | None = None, batch: str | None = None) -> Statuses:
        """All launches, or those in one state or of one batch, oldest first."""
        if state is not None and state not in states.PUBLIC:
            raise BadRequest(f"{state!r} is no state: one of {', '.join(states.PUBLIC)}.")
        ids = self._ledger.launches_of(batch) if batch else self._ledger.all_launches(state)
        found = [status for status in read(self._ledger, ids) if state in {None, status.state}]
        return sorted(found, key=lambda status: (status.submitted, status.name))

    def result(self, launch: str, timeout: float | None = None) -> LaunchResult:
        """Wait until a launch has ended, at most so many seconds, and return what it brought up.

        Raises `LaunchFailed` or `LaunchCancelled` (with the pool's code and parameters) where it
        brought nothing up, `StillRunning` after the timeout.
        """
        self._ledger.record(launch)
        for _ in self.watch(launch, timeout):
            pass
        record = self._ledger.record(launch)
        if record.state == states.SUCCEEDED:
            return record.result
        if record.state == states.DESTROYED:
            raise LaunchDestroyed(f"The launch {launch} had ended, and was destroyed since.")
        ended = LaunchCancelled if record.state == states.CANCELLED else LaunchFailed
        if record.error is None:
            raise ended(f"The launch {launch} ended {record.state}.")
        raise ended(record.error.message, record.error.code, record.error.params)

    def watch(self, which: str, timeout: float | None = None) -> Iterator[LaunchStatus]:
        """The status of a launch, or of each of a batch: now, and again at every change.

        Ends when all have ended; raises `StillRunning` where they have not after so many seconds.
        """
        return follow(self._ledger, which, timeout)

    # Cancelling

    def cancel(self, which: str) -> Statuses:
        """Have a launch, or all of a batch, undone. Returns at once; `watch` shows how it goes.

        Raises `TooLate` where a launch, or all of the batch, has ended or is about to succeed.
        """
        ids = self._ledger.launches_of(which)
        verdicts = [self._ledger.cancel(launch, CANCELLED_BY_OWNER) for launch in ids]
        statuses = read(self._ledger, ids)
        if all(verdict in {"ended", "late", "gone"} for verdict in verdicts):
            raise _too_late(which, statuses)
        self._nudge(which)
        return statuses

    # After the end

    def destroy(self, which: str) -> Statuses:
        """Have the VM of a launch that has ended, or of all of a batch, removed with its disks.

        Disks that were there before stay, and so do those that somebody took off the VM: they are
        named as left over. Returns at once; `watch` shows how it goes, and repeating is harmless.
        Raises `StillRunning` where one has not ended, `TooLate` where there is nothing to remove.
        """
        return self._reopen(which, states.DESTROYED)

    def retry(self, which: str) -> Statuses:
        """Have a launch that failed or was cancelled, or all such of a batch, begin again.

        It is the same launch, with its id and token. A VM that was kept is gone on with at the step
        that failed; what was undone begins at the first. Returns at once.
        Raises `StillRunning` where one has not ended, `TooLate` where none has failed.
        """
        return self._reopen(which, states.WAITING)

    def _reopen(self, which: str, outcome: str) -> Statuses:
        ids = self._ledger.launches_of(which)
        alive = {states.WAITING, states.RUNNING} & {one.state for one in read(self._ledger, ids)}
        verdicts = ["lives"] if alive else [self._ledger.reopen(one, outcome) for one in ids]
        if "lives" in verdicts:
            raise StillRunning(f"{which} has not ended yet: cancel it first, or wait until it has.")
        if "untold" in verdicts and not {"undoing", "waiting"} & set(verdicts):
            raise TooLate(_UNTOLD.format(which))
        if all(verdict in {"nothing", "gone", "untold"} for verdict in verdicts):
            raise TooLate(_NOTHING[outcome].format(which))
        self._nudge(which)
        return read(self._ledger, ids)

    # Asking a worker

    def plan(self, request: LaunchRequest, *, timeout: float = ANSWER_SECONDS) -> dict[str, Any]:
        """What a launch of this request would do now, without doing it.

        The pool, the template (name, uuid, sr), memory (bytes), vcpus, hosts (host, fits, reason,
        and what the pool says against the template as it is), drives (device, type, size in
        bytes, sr, stays), networks (name, exists, makes), calls, and an error (code, params,
        message) or None. Raises `NoWorker`.
        """
        answer: dict[str, Any] = self._ask(
            names.TASK_PLAN, (request.without_data().canonical(),), timeout
        )
        return answer

    def pools(self, *, timeout: float = ANSWER_SECONDS) -> Answers:
        """The pools as a worker sees them, memory and sizes in bytes. Raises `NoWorker`."""
        answer: Answers = self._ask(names.TASK_POOLS, (), timeout)
        return answer

    def adopt(self, *, timeout: float = ADOPT_SECONDS) -> Answers:
        """Have a worker read the pools back into a Redis that has lost what it knew.

        For each pool what was found and done: name, was (whose it was), succeeded (launches that
        have succeeded again), known, kept, undone, half_made, and an error (text) or None.
        Raises `NoWorker`. Repeating is harmless.
        """
        answer: Answers = self._ask(names.TASK_ADOPT, (), timeout)
        return answer

    def networks(
        self, pool: str | None = None, *, remove: bool = False, timeout: float = ANSWER_SECONDS
    ) -> Answers:
        """The networks that the deployment has made on a pool, or on all; removes the idle ones.

        For each network: pool, name, uuid, bridge, stays (why, or ''), removed. A pool that does
        not answer has pool and error (text) only. Raises `NoWorker`.
        """
        answer: Answers = self._ask(names.TASK_NETWORKS, (pool, remove), timeout)
        return answer

    def _ask(self, task: str, args: tuple[Any, ...], timeout: float) -> Any:
        self._deployment()
        from celery.exceptions import TimeoutError as NoAnswer

        with _published():
            asked = self.celery_app.send_task(
                task, args=args, queue=names.CONTROL_QUEUE, expires=timeout, retry=False
            )
            try:
                answer = asked.get(timeout=timeout, propagate=False, disable_sync_subtasks=False)
            except NoAnswer:
                raise NoWorker(
                    f"No worker answered within {timeout:g} s. Is one running on this Redis?"
                ) from None
            finally:
                asked.forget()
        if isinstance(answer, XenlaunchError):
            raise answer
        if isinstance(answer, BaseException):
            raise XenlaunchError(f"The worker could not answer: {answer}.") from answer
        return answer

    def _nudge(self, which: str) -> None:
        """Have a worker look at it now. A lost nudge costs a second: workers look by themselves."""
        try:
            with _published():
                self.celery_app.send_task(
                    names.TASK_LOOK,
                    args=(which,),
                    queue=names.CONTROL_QUEUE,
                    expires=60,
                    ignore_result=True,
                    retry=False,
                )
        except StoreUnreachable:
            return


def _celery_settings(url: str) -> dict[str, Any]:
    """The one Redis for messages and results, and no long wait where it does not answer."""
    where = RedisUrl.parse(url)
    options = {"global_keyprefix": names.PREFIX, **where.celery_options}
    sockets = {"socket_timeout": 10, "socket_connect_timeout": 3, "socket_keepalive": True}
    return {
        "broker_url": where.for_celery,
        "result_backend": where.for_celery,
        "broker_transport_options": {**options, **sockets},
        "result_backend_transport_options": {**options, "retry_policy": {"timeout": 5.0}},
        "redis_socket_timeout": 10,
        "redis_socket_connect_timeout": 3,
        "redis_socket_keepalive": True,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_publish_retry": False,
        "broker_connection_retry": False,
        "worker_hijack_root_logger": False,
    }


@contextmanager
def _repeatable(token: str) -> Iterator[None]:
    """Whoever does not know whether a submit arrived is told with which token to repeat it."""
    try:
        yield
    except StoreUnreachable as lost:
        raise SubmitUnknown(token, lost.message) from lost


@contextmanager
def _published() -> Iterator[None]:
    """Turn Celery's ways of not reaching Redis into `StoreUnreachable`."""
    from kombu.exceptions import OperationalError
    from redis import RedisError

    try:
        yield
    except (OperationalError, RedisError, OSError) as lost:
        raise StoreUnreachable("Redis does not answer. Is it running, and its URL right?") from lost


def _check_list(wanted: Sequence[LaunchRequest], count: int | None) -> None:
    if count is not None:
        raise BadRequest("A list of requests is launched once each: leave the count out.")
    if not 1 <= len(wanted) <= MAX_BATCH:
        raise BadRequest(f"A batch has from 1 to {MAX_BATCH} launches; here are {len(wanted)}.")


def _too_late(which: str, statuses: Sequence[LaunchStatus]) -> TooLate:
    if len(statuses) != 1 or statuses[0].id != which:
        return TooLate(f"All launches of {which} have ended already.")
    if not statuses[0].has_ended:
        return TooLate(f"The launch {which} is about to succeed: it can no longer be cancelled.")
    return TooLate(f"The launch {which} has ended already: it {_ENDED[statuses[0].state]}.")


_UNTOLD: Final = (
    "What the guest of {} was to be told went with the launch's end, so it cannot begin again: "
    "submit the request under another token."
)

_NOTHING: Final = {
    states.DESTROYED: "{} has left nothing that could be destroyed.",
    states.WAITING: "There is nothing to try again: {} has not failed, or only its VM tells of it.",
}
_ENDED: Final = {
    states.DESTROYED: "was destroyed",
    states.SUCCEEDED: "succeeded",
    states.FAILED: "failed",
    states.CANCELLED: "was cancelled",
}
