"""What an upstream application holds: submit a launch, follow it, cancel it, and ask of a worker.

A submit is one write to the ledger; the message that follows is a nudge, and may be lost. Waiting
reads the ledger's own stream of events, so it sees the truth and not a message about it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from xenlaunch import names, states
from xenlaunch.batch_client import (
    NOT_ENDED,
    NOTHING_FAILED,
    NOTHING_LEFT,
    UNTOLD,
    BatchCalls,
)
from xenlaunch.batch_ledger import is_batch
from xenlaunch.errors import (
    BadRequest,
    BadSettings,
    LaunchCancelled,
    LaunchDestroyed,
    LaunchFailed,
    NoWorker,
    StillRunning,
    StoreUnreachable,
    TooLate,
    XenlaunchError,
)
from xenlaunch.following import follow, read
from xenlaunch.ledger import Ledger, Times
from xenlaunch.model import LaunchRequest, LaunchResult, LaunchStatus
from xenlaunch.redis_url import RedisUrl
from xenlaunch.rulings import CANCELLED_BY_OWNER
from xenlaunch.store import Store
from xenlaunch.templates import Templates
from xenlaunch.tokens import repeatable

if TYPE_CHECKING:
    from celery import Celery

Statuses: TypeAlias = list[LaunchStatus]
Answers: TypeAlias = list[dict[str, Any]]

ANSWER_SECONDS: Final = 15.0
"""How long a worker may take to answer `plan` and `pools`."""

ADOPT_SECONDS: Final = 600.0
"""How long a worker may take to read all pools."""


class LaunchClient(BatchCalls):
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
        with repeatable(token) as sure:
            launch = self._ledger.submit(self._deployment(), request, sure)
            status = self._ledger.status(launch)
        self._nudge(launch)
        return status

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
        if is_batch(self._ledger, which):
            self._cancel_all(which)
            return self.statuses(which)
        verdict = self._ledger.cancel(which, CANCELLED_BY_OWNER)
        status = self._ledger.status(which)
        if verdict in {"ended", "late", "gone"}:
            raise _too_late(status)
        self._nudge(which)
        return [status]

    # After the end

    def destroy(self, which: str) -> Statuses:
        """Have the VM of a launch that has ended, or of all of a batch, removed with its disks.

        Disks that were there before stay, and so do those that somebody took off the VM: they are
        named as left over. Returns at once; `watch` shows how it goes, and repeating is harmless.
        Raises `StillRunning` where one has not ended, `TooLate` where there is nothing to remove.
        """
        if is_batch(self._ledger, which):
            self._destroy_all(which)
        else:
            self._reopen(which, states.DESTROYED, NOTHING_LEFT)
        return self.statuses(which)

    def retry(self, which: str) -> Statuses:
        """Have a launch that failed or was cancelled, or all such of a batch, begin again.

        It is the same launch, with its id and token. A VM that was kept is gone on with at the step
        that failed; what was undone begins at the first. Returns at once.
        Raises `StillRunning` where one has not ended, `TooLate` where none has failed.
        """
        if is_batch(self._ledger, which):
            self._retry_all(which)
        else:
            self._reopen(which, states.WAITING, NOTHING_FAILED)
        return self.statuses(which)

    def _reopen(self, launch: str, outcome: str, nothing: str) -> None:
        self._ledger.record(launch)
        verdict = self._ledger.reopen(launch, outcome)
        if verdict == "lives":
            raise StillRunning(NOT_ENDED.format(launch))
        if verdict in {"nothing", "gone", "untold"}:
            raise TooLate((UNTOLD if verdict == "untold" else nothing).format(launch))
        self._nudge(launch)

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
def _published() -> Iterator[None]:
    """Turn Celery's ways of not reaching Redis into `StoreUnreachable`."""
    from kombu.exceptions import OperationalError
    from redis import RedisError

    try:
        yield
    except (OperationalError, RedisError, OSError) as lost:
        raise StoreUnreachable("Redis does not answer. Is it running, and its URL right?") from lost


def _too_late(status: LaunchStatus) -> TooLate:
    if not status.has_ended:
        return TooLate(
            f"The launch {status.id} is about to succeed: it can no longer be cancelled."
        )
    return TooLate(f"The launch {status.id} has ended already: it {_ENDED[status.state]}.")


_ENDED: Final = {
    states.DESTROYED: "was destroyed",
    states.SUCCEEDED: "succeeded",
    states.FAILED: "failed",
    states.CANCELLED: "was cancelled",
}
