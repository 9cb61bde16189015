"""The control port: what a test may do to the pool and ask of it. JSON, on loopback.

    GET    /calls?since=N&changing=1   the call log, oldest first, after number N, and only calls
                                       that change something
    DELETE /calls                      forget it
    GET    /faults                     the rules, with how often each matched and struck
    POST   /faults                     add a rule, or a list of them (see simulator.faults)
    DELETE /faults                     drop all rules
    GET    /latency                    seconds of each act as they are now
    PUT    /latency {"VM.start": 20}   set some, in seconds as they are; null gives one back
    POST   /restart {"seconds": 2}     restart xapi; for so long (or not at all) it does not answer,
                                       and for "booting" more it says HOST_STILL_BOOTING
    POST   /sessions/expire            end all sessions
    POST   /tasks/collect              forget old tasks, and all above 200, now and not in 30 s
    POST   /master/NAME                make another host the master
    POST   /hosts/NAME/kill            the host dies; /revive brings it back, empty
    POST   /srs/NAME/slow {"times": 5}  all that its disks do takes so many times as long; 1 ends it
    POST   /srs/NAME/fill              no space is left;  /empty gives it back
    GET    /state                      all rows, by class and ref
    PUT    /state                      replace the pool by such a dump

NAME is a name, a uuid or a ref. What is wrong with a request is said in {"error": "…"}, status 400.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from simulator import state
from simulator.behaviour.vm_stop import become_halted
from simulator.calls import Call
from simulator.faults import Rule
from simulator.http import Request, Response
from simulator.world import World


class Control:
    """Answers the control port."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __call__(self, request: Request) -> Response:
        try:
            given = orjson.loads(request.body) if request.body else None
            return _answer(self.do(request.method, request.target, given))
        except LookupError as missing:
            return _answer({"error": str(missing.args[0] if missing.args else missing)}, 404)
        except (ValueError, TypeError) as wrong:
            return _answer({"error": str(wrong)}, 400)

    def do(self, method: str, target: str, given: Any = None) -> Any:
        """Do what is asked; who asks is the port or a script."""
        url = urlsplit(target)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if method == "POST" and len(parts) == 2 and parts[0] == "master":
            self.world.move_master(state.named(self.world, "host", parts[1]))
            return {"done": f"{parts[1]} is the master"}
        if len(parts) == 3:
            return self._to_object(method, *parts, given=given)
        action = _ACTIONS.get((method, "/".join(parts)))
        if action is None:
            raise LookupError(f"{method} /{'/'.join(parts)} is nothing that can be asked here")
        return action(self.world, query, given)

    def _to_object(self, method: str, kind: str, name: str, act: str, *, given: Any) -> Any:
        action = _OBJECT_ACTIONS.get((kind, act))
        if action is None or method != "POST":
            raise LookupError(f"{method} /{kind}/{name}/{act} is nothing that can be asked here")
        action(self.world, name, given or {})
        return {"done": f"{act} {name}"}


def _answer(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), "application/json", status)


def _calls(world: World, query: Mapping[str, str], _given: Any) -> Any:
    changing = query.get("changing", "0") not in {"", "0", "false"}
    return world.log.read(int(query.get("since", "0")), changing=changing)


def _clear_calls(world: World, _query: Any, _given: Any) -> Any:
    world.log.clear()
    return {"done": "the call log is empty"}


def _faults(world: World, _query: Any, _given: Any) -> Any:
    return world.faults.as_list()


def _add_faults(world: World, _query: Any, given: Any) -> Any:
    rules = [Rule.read(one) for one in (given if isinstance(given, list) else [given])]
    world.faults.rules += rules
    return {"done": f"{len(rules)} added"}


def _clear_faults(world: World, _query: Any, _given: Any) -> Any:
    world.faults.rules.clear()
    return {"done": "no faults"}


def _latency(world: World, _query: Any, _given: Any) -> Any:
    return world.latency.current()


def _set_latency(world: World, _query: Any, given: Any) -> Any:
    if not isinstance(given, dict):
        raise TypeError("latencies are an object: name, then seconds")
    world.latency.set(given)
    return world.latency.current()


def _restart(world: World, _query: Any, given: Any) -> Any:
    times = given or {}
    world.restart(float(times.get("seconds", 0)), float(times.get("booting", 0)))
    return {"done": "xapi restarted", "restarts": world.restarts}


def _expire(world: World, _query: Any, _given: Any) -> Any:
    return {"done": f"{world.sessions.close_all()} sessions ended"}


def _collect(world: World, _query: Any, _given: Any) -> Any:
    world.tasks.collect(time.time())
    return {"done": f"{len(world.db.all('task'))} tasks are left"}


def _state(world: World, _query: Any, _given: Any) -> Any:
    return state.dump(world)


def _load_state(world: World, _query: Any, given: Any) -> Any:
    return {"done": f"{state.load(world, given)} rows loaded"}


_ACTIONS: Final[Mapping[tuple[str, str], Callable[[World, Mapping[str, str], Any], Any]]] = {
    ("GET", "calls"): _calls,
    ("DELETE", "calls"): _clear_calls,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "latency"): _latency,
    ("PUT", "latency"): _set_latency,
    ("POST", "restart"): _restart,
    ("POST", "sessions/expire"): _expire,
    ("POST", "tasks/collect"): _collect,
    ("GET", "state"): _state,
    ("PUT", "state"): _load_state,
}


def _kill(world: World, name: str, _given: Any = None) -> None:
    world.kill_host(state.named(world, "host", name))


def _revive(world: World, name: str, _given: Any = None) -> None:
    host = state.named(world, "host", name)
    call = Call(world, "control.revive", "control.revive")
    for vm in world.db.rows("VM", list(host["resident_VMs"])):
        if not vm["is_control_domain"]:
            become_halted(call, vm)
    world.db.set(world.db.get("host_metrics", host["metrics"]), "live", True)


def _slow(world: World, name: str, given: Any) -> None:
    times = given.get("times", 0) if isinstance(given, dict) else 0
    if not isinstance(times, int | float) or times <= 0:
        raise ValueError('say {"times": N}: how many times as long all takes, more than 0')
    world.slowness[state.named(world, "SR", name).ref] = times


def _fill(world: World, name: str, _given: Any = None) -> None:
    sr = state.named(world, "SR", name)
    world.db.set(sr, "physical_utilisation", sr["physical_size"])


def _empty(world: World, name: str, _given: Any = None) -> None:
    sr = state.named(world, "SR", name)
    used = sum(vdi["physical_utilisation"] for vdi in world.db.rows("VDI", sr["VDIs"]))
    world.db.set(sr, "physical_utilisation", used)


_OBJECT_ACTIONS: Final[Mapping[tuple[str, str], Callable[[World, str, Any], None]]] = {
    ("hosts", "kill"): _kill,
    ("hosts", "revive"): _revive,
    ("srs", "slow"): _slow,
    ("srs", "fill"): _fill,
    ("srs", "empty"): _empty,
}
