"""The command line against a real Redis and no worker: what it prints, and how it exits."""

import signal
import subprocess
import sys

from tests.support.paths import ROOT
from tests.support.waiting import wait_until
from tests.unit.cli.conftest import Shell
from xenlaunch.ledger import Ledger

KEYS = [
    "id", "name", "state", "step", "pool", "host", "vm_uuid", "addresses", "error", "batch",
    "submitted", "ended",
]  # fmt: skip
HOSTILE = {"code": "SR_FULL", "params": [], "message": "disk \x1b[2J\x9b31m\r\n[red]full[/red]"}


# launch


def test_launch_prints_one_line_of_json(ledger: Ledger, web: str, xenlaunch: Shell) -> None:
    assert xenlaunch("launch", web, "--json") == 0
    one = xenlaunch.json
    assert xenlaunch("launch", web, "--count", "3", "--name", "web-{:02}", "--json") == 0
    many = xenlaunch.json

    assert one["batch"] is None
    assert [ledger.status(launch).name for launch in one["launches"]] == ["web"]
    assert ledger.launches_of(many["batch"]) == many["launches"]
    names = [ledger.status(launch).name for launch in many["launches"]]
    assert names == ["web-01", "web-02", "web-03"]


def test_launch_reads_standard_input(ledger: Ledger) -> None:
    options = ["--name", "web-{}", "--pool", "lab"]
    said = subprocess.run(
        [sys.executable, "-m", "xenlaunch.cli", "launch", "-", *options],
        input="template: debian-12",
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    launch = said.stdout.split()[-1]
    assert said.stdout == f"accepted web-1 as launch {launch}\n"
    assert ledger.record(launch).request.pool == "lab"


def test_the_same_token_prints_the_same_launch(ledger: Ledger, web: str, xenlaunch: Shell) -> None:
    said = [(xenlaunch("launch", web, "--token", "t"), xenlaunch.out) for _ in range(2)]

    assert said[0] == said[1]
    assert xenlaunch("launch", web, "--token", "t", "--name", "db") == 2
    assert "was used before for another request" in xenlaunch.err


def test_a_wait_that_ends_too_soon_says_that_the_launch_goes_on(
    ledger: Ledger, web: str, xenlaunch: Shell
) -> None:
    assert xenlaunch("launch", web, "--wait", "--timeout", "0.1", "--json") == 1

    launch = xenlaunch.json["launches"][0]
    assert f"it goes on. 'xenlaunch watch {launch}' follows on." in xenlaunch.err


def test_ctrl_c_while_waiting_says_what_can_be_done(ledger: Ledger, web: str) -> None:
    words = [sys.executable, "-m", "xenlaunch.cli", "launch", web, "--wait"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as waiting:
        wait_until(lambda: "xread" in clients(ledger), 20, "the command waits for events")
        out, said = interrupted(waiting)
    launch = out.split()[-1]

    assert waiting.returncode == 130
    assert f"'xenlaunch watch {launch}' follows them again" in said
    assert "Traceback" not in said
    assert ledger.status(launch).state == "waiting"


def interrupted(waiting: "subprocess.Popen[str]") -> tuple[str, str]:
    """What it printed, after Ctrl-C: after a second one where Python was in a finaliser."""
    waiting.send_signal(signal.SIGINT)
    try:
        return waiting.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        waiting.send_signal(signal.SIGINT)
        return waiting.communicate(timeout=20)


def clients(ledger: Ledger) -> str:
    return str(ledger.store.redis.execute_command("CLIENT", "LIST"))


# Looking and cancelling


def test_list_and_status_print_the_keys_of_the_interface(
    ledger: Ledger, web: str, xenlaunch: Shell
) -> None:
    xenlaunch("launch", web, "--count", "2", "--json")
    batch, (first, second) = xenlaunch.json["batch"], xenlaunch.json["launches"]
    ledger.refuse(second, "failed", HOSTILE)

    xenlaunch("list")
    listed = xenlaunch.json
    xenlaunch("status", "--json", batch)
    assert listed == xenlaunch.json
    xenlaunch("status", "--json", first)
    assert listed[:1] == xenlaunch.json
    xenlaunch("list", "--json", "--state", "failed", "--batch", batch)
    assert listed[1:] == xenlaunch.json

    assert [list(launch) for launch in listed] == [KEYS, KEYS]
    assert listed[0]["error"] is listed[0]["ended"] is listed[0]["host"] is None
    assert listed[0]["submitted"].endswith("Z")
    assert listed[1]["error"] == HOSTILE
    assert listed[1]["batch"] == batch


def test_no_control_code_of_a_pool_reaches_a_terminal(
    ledger: Ledger, web: str, xenlaunch: Shell
) -> None:
    xenlaunch("launch", web, "--count", "2", "--json")
    batch, launches = xenlaunch.json["batch"], xenlaunch.json["launches"]
    for launch in launches:
        ledger.refuse(launch, "failed", HOSTILE)

    for words in (["status", launches[0]], ["status", batch], ["watch", batch], ["list"]):
        xenlaunch(*words)
        said = (xenlaunch.out + xenlaunch.err).replace("\n", "")
        assert said.isprintable(), words
        assert "[red]full[/red]" in said, words


def test_status_of_a_batch_counts_and_names_what_did_not_succeed(
    ledger: Ledger, web: str, xenlaunch: Shell
) -> None:
    xenlaunch("launch", web, "--count", "3", "--json")
    batch, launches = xenlaunch.json["batch"], xenlaunch.json["launches"]
    ledger.refuse(launches[1], "failed", HOSTILE | {"message": "The disk is full."})

    xenlaunch("status", batch)
    first, *rest = xenlaunch.out.splitlines()
    assert first == f"{batch}: 2 waiting, 1 failed of 3"
    assert f"  web-002 ({launches[1]}) failed: The disk is full. (SR_FULL)" in rest


def test_cancel_says_what_became_of_it(ledger: Ledger, web: str, xenlaunch: Shell) -> None:
    xenlaunch("launch", web, "--json")
    launch = xenlaunch.json["launches"][0]
    xenlaunch("launch", web, "--json")
    failed = xenlaunch.json["launches"][0]
    ledger.refuse(failed, "failed", HOSTILE)

    assert xenlaunch("cancel", launch) == 0
    assert xenlaunch.out == f"{launch}: cancelled\n"
    assert xenlaunch("watch", launch) == 1
    assert "1 cancelled" in xenlaunch.err
    assert xenlaunch("cancel", failed) == 1
    assert "has ended already: it failed" in xenlaunch.err


def test_a_reader_that_goes_away_is_no_traceback(ledger: Ledger, web: str) -> None:
    shell = f'"{sys.executable}" -m xenlaunch.cli list | true'
    said = subprocess.run(
        ["sh", "-c", shell], capture_output=True, text=True, check=False, cwd=ROOT
    )

    assert "Traceback" not in said.stderr
