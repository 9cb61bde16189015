"""The storm by hand: ``make storm``, and ``make storm STORM_ARGS=points`` for the crash points.

What a run keeps (logs, and how far it is) lies in ``.xenlaunch/storm`` of the checkout.
"""

import argparse
import secrets
import shutil
import sys
from functools import partial

from tests.storm import random_storm
from tests.storm.checker import Findings
from tests.storm.crash_points import CrashPoints, share
from tests.storm.table import Tally
from tests.support.paths import ROOT

say = partial(print, flush=True)

FOLDER = ROOT / ".xenlaunch" / "storm"


def main(argv: list[str]) -> int:
    options = parsed(argv)
    FOLDER.mkdir(parents=True, exist_ok=True)
    return strike(options) if options.command == "points" else rage(options)


def parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make storm")
    commands = parser.add_subparsers(dest="command", required=True)
    points = commands.add_parser("points", help="strike the crash points")
    points.add_argument("--only", default="", help="those that have this in their names")
    points.add_argument("--share", type=int, help="a twentieth of them: 0 to 19")
    points.add_argument(
        "--stall", metavar="SECONDS", help="a worker does not die at its point, but stands still"
    )
    points.add_argument("--list", action="store_true", help="list them, and strike none")
    rage = commands.add_parser("random", help="kill at random")
    rage.add_argument("--seed", help="goes on where the storm of this seed has ended")
    rage.add_argument("--kills", type=int, default=1000, help="in all rounds together")
    rage.add_argument("--a-round", type=int, default=100, help="kills of one round")
    rage.add_argument("--round", type=int, help="this one alone, and again")
    # `make storm` says nothing, or an option: that is the random storm.
    return parser.parse_args(["random", *argv] if not argv or argv[0][0] == "-" else argv)


def rage(options: argparse.Namespace) -> int:
    seed = options.seed or secrets.token_hex(4)
    kept = FOLDER / f"{seed}.json"
    tally = Tally.from_json(kept.read_text()) if kept.exists() else Tally(seed)
    if options.round:
        tally = Tally(seed)
    say(f"seed {seed}")
    number = 0
    while sum(tally.kills.values()) < options.kills and not (options.round and tally.rounds):
        number = options.round or number + 1
        if number in tally.rounds:
            continue
        kills = min(options.a_round, options.kills - sum(tally.kills.values()))
        folder = FOLDER / seed
        done = random_storm.one_round(folder, seed, number, kills, say)
        tally.add(done)
        if done.findings:
            describe(f"round {number}", done.findings)
            again = f"--seed {seed} --round {number} --kills {kills} --a-round {options.a_round}"
            say(f"again: make storm STORM_ARGS='{again}'; its logs: {folder}/round-{number}")
        else:
            shutil.rmtree(folder / f"round-{number}")
        if not options.round:
            kept.write_text(tally.to_json())
    for line in tally.lines():
        say(line)
    return not tally.is_right


def strike(options: argparse.Namespace) -> int:
    folder = FOLDER / "points"
    shutil.rmtree(folder, ignore_errors=True)
    more = {"STORM_STALL": options.stall} if options.stall else {}
    with CrashPoints(folder, say, **more) as crash_points:
        listed = crash_points.listed()
        chosen = [one for one in listed if options.only in str(one)]
        if options.share is not None:
            chosen = share(chosen, options.share)
        if options.list:
            say("\n".join(map(str, chosen)))
            return 0
        say(f"{len(listed)} crash points, {len(chosen)} of them chosen")
        outcome = crash_points.strike(chosen)
    say(f"{outcome.struck} struck, {outcome.deaths} deaths, in {outcome.seconds:.0f} s")
    for one in outcome.unreached:
        say(f"not reached: {one}")
    for name, findings in outcome.findings:
        describe(name, findings)
        stall = f" --stall {options.stall}" if options.stall else ""
        say(f"again: make storm STORM_ARGS='points --only \"{name}\"{stall}'")
    return bool(outcome.findings)


def describe(where: str, findings: Findings) -> None:
    say("\n  ".join([f"wrong in {where}:", *findings.all()]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
