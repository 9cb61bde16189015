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

NAME is a name, a uuid or a ref. What is wrong with a request is said in {"error": "…"}, status 400,
or 404 where what it names is not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from simulator import latency, state
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
        return read(method, target, given)(self.world)


def read(method: str, target: str, given: Any = None) -> Callable[[World], Any]:
    """What is asked, looked at as far as that can be done without knowing the pool."""
    url = urlsplit(target)
    parts = [unquote(part) for part in url.path.strip("/").split("/")]
    if (act := _ACTS.get((method, "/".join(parts)))) is not None:
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        asked = act.read(given)
        return lambda world: act.do(world, query, asked)
    kind, name, how = (*parts, "", "")[:3]
    act_on = _OBJECT_ACTS.get((method, kind, how)) if 2 <= len(parts) <= 3 else None
    if act_on is None:
        raise LookupError(f"{method} /{'/'.join(parts)} is nothing that can be asked here")
    body = act_on.read(given)
    return lambda world: act_on.do(world, name, body)


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


def _read_rules(given: Any) -> list[Rule]:
    return [Rule.read(one) for one in (given if isinstance(given, list) else [given])]


def _add_faults(world: World, _query: Any, rules: list[Rule]) -> Any:
    world.faults.rules += rules
    return {"done": f"{len(rules)} added"}


def _clear_faults(world: World, _query: Any, _given: Any) -> Any:
    world.faults.rules.clear()
    return {"done": "no faults"}


def _latency(world: World, _query: Any, _given: Any) -> Any:
    return world.latency.current()


def _set_latency(world: World, _query: Any, figures: dict[str, float | None]) -> Any:
    world.latency.set(figures)
    return world.latency.current()


def _read_times(given: Any) -> dict[str, float]:
    times = {} if given is None else given
    if not isinstance(times, dict) or set(times) - {"seconds", "booting"}:
        raise ValueError('say {"seconds": N, "booting": N}, or nothing')
    for name, seconds in times.items():
        if not latency.is_seconds(seconds):
            raise ValueError(f"{name} is a number from 0, not {seconds!r}")
    return times


def _restart(world: World, _query: Any, times: dict[str, float]) -> Any:
    world.restart(**times)
    return {"done": "xapi restarted", "restarts": world.restarts}


def _expire(world: World, _query: Any, _given: Any) -> Any:
    return {"done": f"{world.sessions.close_all()} sessions ended"}


def _collect(world: World, _query: Any, _given: Any) -> Any:
    world.tasks.collect(time.time())
    return {"done": f"{len(world.db.all('task'))} tasks are left"}


def _state(world: World, _query: Any, _given: Any) -> Any:
    return state.dump(world)


def _load_state(world: World, _query: Any, given: Any) -> Any:
    count = state.load(world, given)
    world.on_load()
    return {"done": f"{count} rows loaded"}


class _Act(NamedTuple):
    """What can be asked, and how its body is read, which needs no pool."""

    do: Callable[[World, Any, Any], Any]
    read: Callable[[Any], Any] = lambda given: given


_ACTS: Final[Mapping[tuple[str, str], _Act]] = {
    ("GET", "calls"): _Act(_calls),
    ("DELETE", "calls"): _Act(_clear_calls),
    ("GET", "faults"): _Act(_faults),
    ("POST", "faults"): _Act(_add_faults, _read_rules),
    ("DELETE", "faults"): _Act(_clear_faults),
    ("GET", "latency"): _Act(_latency),
    ("PUT", "latency"): _Act(_set_latency, latency.read),
    ("POST", "restart"): _Act(_restart, _read_times),
    ("POST", "sessions/expire"): _Act(_expire),
    ("POST", "tasks/collect"): _Act(_collect),
    ("GET", "state"): _Act(_state),
    ("PUT", "state"): _Act(_load_state),
}


# -- what is asked of one object


def _lead(world: World, name: str, _given: Any) -> Any:
    world.move_master(state.named(world, "host", name))
    return {"done": f"{name} is the master"}


def _kill(world: World, name: str, _given: Any) -> Any:
    world.kill_host(state.named(world, "host", name))
    return {"done": f"kill {name}"}


def _revive(world: World, name: str, _given: Any = None) -> Any:
    host = state.named(world, "host", name)
    call = Call(world, "control.revive", "control.revive")
    for vm in world.db.rows("VM", list(host["resident_VMs"])):
        if not vm["is_control_domain"]:
            become_halted(call, vm)
    world.db.set(world.db.get("host_metrics", host["metrics"]), "live", True)
    return {"done": f"revive {name}"}


def _read_slowness(given: Any) -> float:
    times = given.get("times") if isinstance(given, dict) else None
    if not latency.is_seconds(times) or not times:
        raise ValueError('say {"times": N}: how many times as long all takes, more than 0')
    return float(times)


def _slow(world: World, name: str, times: float) -> Any:
    world.slowness[state.named(world, "SR", name).ref] = times
    return {"done": f"slow {name}"}


def _fill(world: World, name: str, _given: Any) -> Any:
    sr = state.named(world, "SR", name)
    world.db.set(sr, "physical_utilisation", sr["physical_size"])
    return {"done": f"fill {name}"}


def _empty(world: World, name: str, _given: Any) -> Any:
    sr = state.named(world, "SR", name)
    used = sum(vdi["physical_utilisation"] for vdi in world.db.rows("VDI", sr["VDIs"]))
    world.db.set(sr, "physical_utilisation", used)
    return {"done": f"empty {name}"}


_OBJECT_ACTS: Final[Mapping[tuple[str, str, str], _Act]] = {
    ("POST", "master", ""): _Act(_lead),
    ("POST", "hosts", "kill"): _Act(_kill),
    ("POST", "hosts", "revive"): _Act(_revive),
    ("POST", "srs", "slow"): _Act(_slow, _read_slowness),
    ("POST", "srs", "fill"): _Act(_fill),
    ("POST", "srs", "empty"): _Act(_empty),
}
