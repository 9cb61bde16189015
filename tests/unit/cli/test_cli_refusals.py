"""What the command line refuses, and what it says when nobody answers."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Shell
from workers.embedded import EmbeddedServer, free_port
from xenlaunch.ledger import Ledger

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


def test_a_launch_that_may_not_have_arrived_is_repeated_with_its_token(
    web: str, xenlaunch: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XENLAUNCH_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")

    assert xenlaunch("launch", web, "--token", "order-1") == 3
    assert xenlaunch.err == (
        "xenlaunch: Redis does not answer. Is it running, and its URL right? "
        "It is not known whether the launch was accepted. "
        "Submit it again with the token 'order-1': it will not be launched twice.\n"
    )


@pytest.mark.parametrize("words", [["plan", "WEB"], *ASKING])
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
