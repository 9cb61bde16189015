"""The messages and results that a launch sends out: the chain of what remains, and its end.

A message is a hint. Whatever is lost here is sent again, because the ledger knows that it is due.
"""

import logging
from typing import Any

from celery import Celery, chain
from celery.canvas import Signature
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from tasks.chain import remaining
from xenlaunch import names, states
from xenlaunch.copying import steps_of
from xenlaunch.errors import LaunchCancelled, LaunchEnded, LaunchFailed, StoreUnreachable
from xenlaunch.ledger import Ledger
from xenlaunch.record import Record

log = logging.getLogger(__name__)

# The broker is Redis: what it throws at a time of trouble is all of these.
UNSENT = (OperationalError, RedisError, ConnectionError, StoreUnreachable)


def begin(app: Celery, ledger: Ledger, launch: str, step: str) -> None:
    """Enqueue the chain of the steps that remain from this one on, or the undo."""
    try:
        record = ledger.record(launch)
        # One root for all that a launch ever sends, however often it has parked.
        root = names.task_id(launch, names.CONNECT)
        if step == names.UNDO:
            link(app, record, names.UNDO).apply_async(retry=False, root_id=root)
        else:
            steps = steps_of(record.fields["request"])
            links = [link(app, record, name) for name in remaining(step, steps)]
            chain(*links, app=app).apply_async(retry=False, root_id=root)
    except UNSENT as lost:
        log.warning("Could not send %s of %s, it stays due: %s", step, launch, lost)


def link(app: Celery, record: Record, step: str) -> Signature[Any]:
    """The signature of one step: its id and its arguments follow from the launch alone."""
    return app.signature(
        names.TASK_OF[step],
        args=(record.id,),
        immutable=True,
        task_id=names.task_id(record.id, step),
        queue=names.pool_queue(record.pool),
        argsrepr=f"({record.id}, {record.name}, {record.pool})",
    )


def tell(app: Celery, ledger: Ledger, record: Record) -> None:
    """Put the result of a launch that has ended where upstream waits for it, and let it expire."""
    try:
        last = names.task_id(record.id, names.POLL)
        if record.fields.get("result"):  # also where its VM was destroyed since
            result = record.result.model_dump(mode="json")
            app.backend.store_result(last, result, "SUCCESS")
        else:
            _tell_failure(app, record, last)
        ledger.told(record.id)
    except UNSENT as lost:
        log.warning("Could not tell how %s ended, it stays due: %s", record.id, lost)


def _tell_failure(app: Celery, record: Record, last: str) -> None:
    ended = ending(record)
    app.backend.store_result(last, ended, "FAILURE")
    step = record.failed_at
    if step in names.STEPS and record.begun:
        failed = names.task_id(record.id, step)
        app.backend.store_result(failed, ended, "FAILURE")
        with app.events.default_dispatcher() as dispatcher:
            dispatcher.send("task-failed", uuid=failed, exception=repr(ended), traceback="")


def ending(record: Record) -> LaunchEnded:
    """The exception that says how a launch ended."""
    error = record.error
    kind = LaunchCancelled if record.state == states.CANCELLED else LaunchFailed
    if error is None:
        return kind(kind.__doc__ or "")
    return kind(error.message, error.code, error.params)
