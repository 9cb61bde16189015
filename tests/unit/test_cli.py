"""The command line against a real Redis and no worker: what it prints, and how it exits."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import wait_until
from workers.embedded import EmbeddedServer, free_port
from xenlaunch import cli
from xenlaunch.client import LaunchClient
from xenlaunch.ledger import Ledger
from xenlaunch.store import Store

KEYS = [
    "id", "name", "state", "step", "pool", "host", "vm_uuid", "addresses", "error", "batch",
    "submitted", "ended",
]  # fmt: skip
HOSTILE = {"code": "SR_FULL", "params": [], "message": "disk \x1b[2J\x9b31m\r\n[red]full[/red]"}


@pytest.fixture
def ledger(own_redis: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A Redis with which a worker has registered, and which the command line finds."""
    monkeypatch.setenv("XENLAUNCH_REDIS_URL", own_redis.url)
    store = Store(own_redis.url)
    ledger = Ledger(store)
    ledger.register("lab-east", "g1", ["lab"])
    yield ledger
    store.redis.connection_pool.disconnect()


@pytest.fixture
def web(tmp_path: Path) -> str:
    path = tmp_path / "web.yaml"
    path.write_text("name: web\ntemplate: debian-12\n")
    return str(path)


@pytest.fixture
def xenlaunch(capsys: pytest.CaptureFixture[str]) -> "Shell":
    return Shell(capsys)


class Shell:
    """Runs command lines; what was said last is in ``out`` and ``err``."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        code = cli.run(words)
        self.out, self.err = self.capsys.readouterr()
        return code

    @property
    def json(self) -> Any:
        assert self.out.count("\n") == 1, "one line"
        return json.loads(self.out)


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
        waiting.send_signal(signal.SIGINT)
        out, said = waiting.communicate(timeout=20)
    launch = out.split()[-1]

    assert waiting.returncode == 130
    assert f"'xenlaunch watch {launch}' follows them again" in said
    assert "Traceback" not in said
    assert ledger.status(launch).state == "waiting"


def clients(ledger: Ledger) -> str:
    return str(ledger.store.redis.execute_command("CLIENT", "LIST"))


# Bad input


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["launch", "missing.yaml"], "No such file or directory"),
        (["launch", "WEB", "--count", "0"], "from 1 to 10000"),
        (["launch", "WEB", "--count", "many"], "'many' is not a valid integer"),
        (["launch", "WEB", "--count", "2", "--name", "web"], "has no number in it"),
        (["launch", "WEB", "--name", "web-{host}"], "is no pattern"),
        (["launch", "WEB", "--name", "a\tb"], "name has control characters in it"),
        (["launch", "WEB", "--timeout", "3"], "it goes with --wait"),
        (["launch", "WEB", "--colour"], "No such option"),
        (["launch"], "Missing argument 'FILE'"),
        (["plan", "BAD"], "vcpus must be at least 1 (it is 0)"),
        (["launch", "BAD"], "vcpus must be at least 1 (it is 0)"),
        (["status", "l-nothing"], "No launch or batch has the id 'l-nothing'"),
        (["watch", "b-nothing"], "No launch or batch has the id 'b-nothing'"),
        (["cancel", "\x1b[2J"], "No launch or batch has the id '\\x1b[2J'"),
        (["list", "--state", "finishing"], "'finishing' is not one of"),
        (["explode"], "No such command 'explode'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    ledger: Ledger, web: str, xenlaunch: Shell, words: list[str], sentence: str
) -> None:
    bad = Path(web).with_name("bad.yaml")
    bad.write_text("name: web\ntemplate: debian-12\nvcpus: 0\n")

    files = {"WEB": web, "BAD": str(bad)}
    code = xenlaunch(*(files.get(word, word) for word in words))

    assert code == 2
    assert sentence in xenlaunch.err
    assert xenlaunch.err.startswith("xenlaunch: ")
    assert xenlaunch.err.count("\n") == 1
    assert xenlaunch.out == ""
    assert ledger.all_launches() == []


def test_without_a_command_the_help_is_shown(xenlaunch: Shell) -> None:
    assert xenlaunch() == 2
    assert "Commands:" in xenlaunch.err
    assert xenlaunch("--help") == 0
    assert "Commands:" in xenlaunch.out


# Redis and workers that are not there


ASKING = [["status", "x"], ["watch", "x"], ["cancel", "x"], ["list"], ["pools"]]


@pytest.mark.parametrize("words", [["launch", "WEB"], ["plan", "WEB"], *ASKING])
def test_no_redis_is_exit_code_3(
    web: str, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("XENLAUNCH_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")

    assert xenlaunch(*(web if word == "WEB" else word for word in words)) == 3
    assert xenlaunch.err == (
        "xenlaunch: Redis does not answer. Is it running, and its URL right?\n"
    )


@pytest.mark.parametrize("words", [["launch", "WEB"], ["plan", "WEB"], ["pools"]])
def test_no_worker_is_exit_code_3(
    own_redis: EmbeddedServer,
    web: str,
    xenlaunch: Shell,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    monkeypatch.setenv("XENLAUNCH_REDIS_URL", own_redis.url)

    assert xenlaunch(*(web if word == "WEB" else word for word in words)) == 3
    assert "No worker has registered with this Redis yet" in xenlaunch.err


def test_a_url_that_is_not_set_or_none_is_bad_input(
    xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XENLAUNCH_REDIS_URL", raising=False)
    assert xenlaunch("list") == 2
    assert "Set XENLAUNCH_REDIS_URL" in xenlaunch.err

    monkeypatch.setenv("XENLAUNCH_REDIS_URL", "//:secret@host")
    assert xenlaunch("list") == 2
    assert "secret" not in xenlaunch.err


def test_a_redis_that_wants_a_password_is_no_traceback(ledger: Ledger, xenlaunch: Shell) -> None:
    ledger.store.redis.config_set("requirepass", "secret")

    assert xenlaunch("list") == 3
    assert xenlaunch.err.startswith("xenlaunch: Redis ")
    assert xenlaunch.err.count("\n") == 1


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


# Asking a worker, whose answers are given here


PLAN = {
    "pool": "lab",
    "template": {"name": "debian-12", "uuid": "6a7c", "sr": "sr-1"},
    "memory": 2 << 30,
    "vcpus": 2,
    "hosts": [
        {"host": "host-1", "fits": True, "reason": ""},
        {"host": "host-2", "fits": False, "reason": "is \x1b[1mdisabled"},
    ],
    "calls": ["VM.clone"],
    "error": None,
}
POOL = {
    "name": "lab", "reachable": True, "master": "host-1", "version": "8.4.0", "hosts": 4,
    "hosts_live": 3, "memory_total": 512 << 30, "memory_free": 100 << 30,
    "srs": [{"name": "sr-1", "size": 2 << 40, "free": 1 << 40}], "waiting": 3, "in_flight": 7,
    "error": None,
}  # fmt: skip
AWAY = POOL | {
    "name": "far", "reachable": False, "master": None, "version": None, "srs": [],
    "error": "No host of the pool answers.",
}  # fmt: skip


def test_plan_says_what_would_be_done(
    ledger: Ledger, web: str, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LaunchClient, "plan", lambda *_: PLAN)

    assert xenlaunch("plan", web) == 0
    assert xenlaunch.out.splitlines() == [
        "pool      lab",
        "template  debian-12 (6a7c) on sr-1",
        "size      2 vCPUs, 2 GiB",
        "host      host-1 fits",
        "host      host-2 does not fit: is \\x1b[1mdisabled",
        "call      VM.clone",
    ]
    assert xenlaunch("plan", web, "--json") == 0
    assert xenlaunch.json == PLAN


@pytest.mark.parametrize(
    "changes",
    [
        {"error": {"code": "CANNOT_FIT", "params": [], "message": "No."}, "template": None},
        {"hosts": [{"host": "host-1", "fits": False, "reason": "is full"}]},
    ],
)
def test_a_plan_that_would_fail_is_exit_code_1(
    ledger: Ledger,
    web: str,
    xenlaunch: Shell,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    monkeypatch.setattr(LaunchClient, "plan", lambda *_: PLAN | changes)

    assert xenlaunch("plan", web) == 1


def test_pools_are_a_table(
    ledger: Ledger, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LaunchClient, "pools", lambda *_: [POOL, AWAY])

    assert xenlaunch("pools") == 0
    rows = [line.split() for line in xenlaunch.out.splitlines()]
    assert rows[1] == [
        "lab",
        "host-1",
        "8.4.0",
        "3",
        "of",
        "4",
        "100",
        "GiB",
        "of",
        "512",
        "GiB",
        "3",
        "7",
    ]
    assert " ".join(rows[2]) == "far 3 7 No host of the pool answers."
    assert rows[4] == ["lab", "sr-1", "1", "TiB", "2", "TiB"]
    assert xenlaunch("pools", "--json") == 0
    assert xenlaunch.json == [POOL, AWAY]
