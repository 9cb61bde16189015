"""Sub-operations: the calls that an operation makes of its own, each in a task under its task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from simulator.calls import Call
from simulator.errors import ApiError, TaskCancelled
from simulator.values import NULL

Body = Callable[..., Awaitable[Any]]


async def suboperation(call: Call, name: str, body: Body, *args: Any, may_stop: bool = True) -> Any:
    """
    Do a call within a call, as XAPI does: faults, marks and tasks apply to it too.

    It is cancelled with the call, unless it takes back what the call has made.
    """
    sub = Call(call.world, name, f"Async.{name}", call.session, args=args, part_of=call)
    tasks = call.world.tasks
    sub.task = tasks.begin(sub, parent=call.task.ref if call.task else NULL)
    if not may_stop:
        call.db.set(sub.task, "allowed_operations", [])
    try:
        await call.world.faults.at_body(sub, args, "before")
        value = await body(sub, *args)
        await call.world.faults.at_body(sub, args, "after")
    except ApiError as failed:
        tasks.fail(sub.task, failed)
        tasks.remove_when_read(sub.task)
        if isinstance(failed, TaskCancelled):
            call.stop_if_cancelled()
        raise
    tasks.succeed(sub.task, value)
    tasks.remove_when_read(sub.task)
    return value
