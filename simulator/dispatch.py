"""From the name of a call to its answer, in XAPI's order.

The method is looked up, its parameters are counted and read, then the session is checked and the
role of its user, and only then anything happens. Whoever gets an error from one of the earlier
steps knows that nothing ran. A host that is not the master names the master; one that is still
booting says so before all else.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final

from simulator import members, rbac
from simulator.behaviour import load
from simulator.calllog import Entry
from simulator.calls import DECLARED, Call, Method
from simulator.errors import ApiError, Dropped
from simulator.generic import generated, read_constructor
from simulator.world import World

_ASYNC: Final = "Async."
_ALIVE: Final = "system.isAlive:"


def _table() -> dict[str, Method]:
    load()
    return {made.name: made for made in generated()} | DECLARED


METHODS: Final[Mapping[str, Method]] = _table()

#: every name that may stand on the wire: `VM.clone`, `VM_clone`, `Async.VM.clone`
_ON_THE_WIRE: Final[Mapping[str, tuple[Method, bool]]] = (
    {f"{m.cls}_{m.verb}": (m, False) for m in METHODS.values()}
    | {m.name: (m, False) for m in METHODS.values()}
    | {_ASYNC + m.name: (m, True) for m in METHODS.values() if m.has_async}
)


def serve(
    world: World, sent_as: str, params: Sequence[Any], headers: dict[str, str], host: str = ""
) -> Any | Awaitable[Any]:
    """
    Do one call: its value, or an awaitable of it; a failure is raised.

    `host` is the member that was asked; none is the pool's one address, which is the master's. What
    needs no waiting is done at once, so that reading the pool costs no task of the event loop.
    """
    if sent_as == "system.listMethods":
        return sorted(_ON_THE_WIRE)
    if sent_as.startswith(_ALIVE):
        return params[0] if params else sent_as.removeprefix(_ALIVE)
    entry = world.log.begin(sent_as)
    try:
        members.check_booted(world, sent_as)
        method, is_async = _look_up(sent_as)
        session, args = _read(method, params)
        if method.needs_session:
            world.sessions.check(session, method.name, host)
            rbac.check(world.sessions.role_of(session), method.name)
        else:
            members.check_master(world, method.name, host)
        _note(world, entry, method, session, args)
        call = Call(world, method.name, sent_as, session, headers=headers, args=args, host=host)
        delay = world.latency.of_call(method.verb, changes=method.changes)
        if not (world.faults.rules or delay or is_async or method.has_async):
            value = method.body(call, *args)
            if not inspect.isawaitable(value):
                entry.end("ok")
                return value
            return _settle(entry, value)
    except ApiError as refused:
        entry.end(refused.code)
        raise
    except Exception as bug:
        raise _unforeseen(entry, bug) from bug
    return _settle(entry, _exchange(call, method, entry, delay, is_async=is_async))


def _look_up(sent_as: str) -> tuple[Method, bool]:
    found = _ON_THE_WIRE.get(sent_as)
    if found is not None:
        return found
    if sent_as.startswith(_ASYNC) and (plain := sent_as.removeprefix(_ASYNC)) in METHODS:
        raise ApiError("Fault", f"No async mode for this operation (rpc: {plain})")
    raise ApiError("MESSAGE_METHOD_UNKNOWN", sent_as)


def _read(method: Method, params: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """Count the parameters and read them; too many are let pass where one of them is optional."""
    skip = 1 if method.needs_session else 0
    given = len(params) - skip
    most = len(method.params)
    lenient = method.required < most
    if given < method.required or (given > most and not lenient):
        raise ApiError(
            "MESSAGE_PARAMETER_COUNT_MISMATCH",
            method.name,
            str(method.required),
            str(len(params) - 1),
        )
    session = ""
    if skip:
        session = _SESSION.read(params[0])
    args = [p.read(value) for p, value in zip(method.params, params[skip:], strict=False)]
    args += [p.default for p in method.params[len(args) :]]
    if method.verb == "create" and method.params[0].type == f"{method.cls} record":
        read_constructor(method.cls, args[0])  # what is wrong with it comes before the session
    return session, tuple(args)


_SESSION: Final = next(p for p in METHODS["session.get_uuid"].params if p.name == "self")


def _note(world: World, entry: Entry, method: Method, session: str, args: Sequence[Any]) -> None:
    entry.describe(method, args)
    if (row := world.db.find("session", session)) is not None:
        entry.originator = row["originator"]
        entry.session_uuid = row.uuid


async def _exchange(
    call: Call, method: Method, entry: Entry, delay: float, *, is_async: bool
) -> Any:
    """One call with all that may befall it on its way."""
    world, args = call.world, call.args
    if delay:
        await world.tasks.sleep(None, delay)
    await world.faults.at_reply(call, args, "before")
    if is_async:
        value: Any = _begin(call, method, entry)
    else:
        value = await _in_task(call, method)
    await world.faults.at_reply(call, args, "after")
    return value


def _begin(call: Call, method: Method, entry: Entry) -> str:
    """Start the call's work in a task of its own and give the task back."""
    call.task = call.world.tasks.begin(call)
    entry.task = call.task.ref
    call.world.run(_in_background(call, method, entry))
    return call.task.ref


async def _in_background(call: Call, method: Method, entry: Entry) -> None:
    tasks, task = call.world.tasks, call.task
    if task is None:
        return
    try:
        value = await _body(call, method)
    except ApiError as failed:
        entry.end(failed.code)
        tasks.fail(task, failed)
    except Exception as bug:  # noqa: BLE001 - a client is told INTERNAL_ERROR, never a traceback
        tasks.fail(task, _unforeseen(entry, bug))
    else:
        entry.end("ok")
        tasks.succeed(task, value)


async def _in_task(call: Call, method: Method) -> Any:
    """A synchronous call; one that could be Async has a task for as long as it runs."""
    if not method.has_async:
        return await _body(call, method)
    call.task = call.world.tasks.begin(call)
    try:
        return await _body(call, method)
    finally:
        if call.db.find("task", call.task.ref) is call.task:
            call.world.tasks.remove(call.task)


async def _body(call: Call, method: Method) -> Any:
    faults = call.world.faults
    if faults.rules:
        await faults.at_body(call, call.args, "before")
    value = method.body(call, *call.args)
    if inspect.isawaitable(value):
        value = await value
    if faults.rules:
        await faults.at_body(call, call.args, "after")
    return value


async def _settle(entry: Entry, work: Awaitable[Any]) -> Any:
    """Write the outcome down, whatever it is. An Async call's outcome is its task's."""
    try:
        value = await work
    except ApiError as refused:
        entry.end(refused.code)
        raise
    except Dropped:
        if entry.outcome == "running" and not entry.task:
            entry.end("dropped")
        raise
    except Exception as bug:
        raise _unforeseen(entry, bug) from bug
    if not entry.task:
        entry.end("ok")
    return value


def _unforeseen(entry: Entry, bug: Exception) -> ApiError:
    sys.stderr.write(f"simulator: {entry.method} met a bug:\n")
    traceback.print_exception(bug)
    entry.end("INTERNAL_ERROR")
    return ApiError("INTERNAL_ERROR", repr(bug))
