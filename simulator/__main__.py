"""The command line: `python -m simulator --port 8080 --control-port 8081`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import NoReturn

from simulator import plans, pool, script
from simulator.control import Control
from simulator.doors import LOOPBACK, Doors
from simulator.http import Server
from simulator.latency import FIGURES
from simulator.rbac import User, read_users
from simulator.world import Options, World

_USERS_HELP = 'users beside root, in JSON: [{"name": …, "password": …, "role": …}]'

_SCRIPT_HELP = "what befalls the pool, and when: faults and the control port's acts, in JSON"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"simulator: {message}\n")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535)")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000")
    return int(text)


def _scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = -1.0
    if not math.isfinite(scale) or scale < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0")
    return scale


def _latency(text: str) -> tuple[str, float]:
    name, _, seconds = text.rpartition("=")
    if name not in FIGURES:
        raise argparse.ArgumentTypeError(f"no latency is called {name!r}: {', '.join(FIGURES)}")
    return name, _scale(seconds)


def _users(text: str) -> tuple[User, ...]:
    try:
        return read_users(json.loads(Path(text).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as wrong:
        raise argparse.ArgumentTypeError(f"{text}: {wrong}") from None


def _plan(text: str) -> plans.Plan:
    try:
        return plans.load(text)
    except (OSError, TypeError, ValueError) as wrong:
        names = ", ".join(plans.shipped())
        raise argparse.ArgumentTypeError(f"{text}: {wrong} (there are: {names})") from None


def _script(text: str) -> tuple[script.Step, ...]:
    try:
        return script.read(json.loads(Path(text).read_text(encoding="utf-8")))
    except (OSError, LookupError, TypeError, ValueError) as wrong:
        raise argparse.ArgumentTypeError(f"{text}: {wrong}") from None


def _parser() -> _Parser:
    parser = _Parser("simulator", description="Pretends to be a XenServer pool, on loopback.")
    add = parser.add_argument
    add("--port", type=_port, default=8080, help="where the pool listens; 0 picks one")
    add("--https-port", type=_port, help="where it listens over https too; 0 picks one")
    add("--address", default=LOOPBACK, help="where the pool listens; the control port stays there")
    add("--listen-all", action="store_true", help="each host listens, from 127.0.0.1 on")
    add("--control-port", type=_port, help="where the control port listens; 0 picks one")
    add("--pool", type=_plan, metavar="FILE|NAME", help=f"one of {', '.join(plans.shipped())}")
    add("--hosts", type=_positive, default=4)
    add("--srs", type=_positive, default=2, help="shared SRs, beside the one for ISOs")
    add("--time-scale", type=_scale, default=1.0, help="multiplies latencies; 0: none")
    add("--profile", choices=("current", "8.2"), default="current", help="which generation")
    backends = ("openvswitch", "bridge")
    add("--network-backend", choices=backends, default=backends[0], help="of every host")
    add("--host-workers", type=_positive, default=4, help="starts that a host runs at once")
    add("--seed", type=int, default=0, help="of jitter and of faults by chance")
    add("--latency", type=_latency, action="append", default=[], metavar="NAME=SECONDS")
    add("--script", type=_script, default=(), metavar="FILE", help=_SCRIPT_HELP)
    add("--users", type=_users, default=(), metavar="FILE", help=_USERS_HELP)
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--password", default="xenroot", help="of root (default: xenroot)")
    secret.add_argument("--password-file", type=Path)
    return parser


def _options(args: argparse.Namespace) -> Options:
    password = args.password
    if args.password_file is not None:
        password = args.password_file.read_text(encoding="utf-8").strip()
    return Options(
        hosts=args.hosts,
        srs=args.srs,
        time_scale=args.time_scale,
        profile=args.pool.profile if args.pool else args.profile,
        network_backend=args.pool.network_backend if args.pool else args.network_backend,
        host_workers=args.host_workers,
        seed=args.seed,
        password=password,
        users=args.users,
        plan=args.pool,
    )


async def _run(args: argparse.Namespace, options: Options) -> None:
    world = World(options)
    world.latency.set(dict(args.latency))
    pool.build(world)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    acts = Control(world)
    doors, control = Doors(world, args.address), Server(acts, body_max=None)
    world.on_restart = doors.abort_connections
    try:
        script.begin(acts, args.script)
        await doors.open(args.port, args.https_port, each=args.listen_all)
        if args.control_port is not None:
            await control.listen(LOOPBACK, args.control_port)
            sys.stderr.write(f"control on {control.address}\n")
        await _serve(world, doors, stop, script.go_on(acts, args.script))
    finally:
        doors.close()
        control.close()
        await world.stop()


async def _serve(
    world: World, doors: Doors, stop: asyncio.Event, fate: Coroutine[None, None, None]
) -> None:
    """Say where the pool listens, now that it does, until it is to stop."""
    beside = [asyncio.create_task(work) for work in (world.tasks.collect_for_ever(), fate)]
    sys.stderr.write("".join(f"{line}\n" for line in doors.said))
    sys.stderr.flush()
    sys.stdout.write(f"listening on {doors.address}\n")
    sys.stdout.flush()
    await stop.wait()
    for work in beside:
        work.cancel()


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        options = _options(args)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(args, options))
    except (OSError, UnicodeDecodeError, script.WrongStep) as problem:
        sys.stderr.write(f"simulator: {problem}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
