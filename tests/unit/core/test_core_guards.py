"""What a worker refuses at its start, and what its log lines say."""

import io
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from celery.concurrency import get_implementation

from workers import logs
from workers.guards import _check_pool, or_exit
from xenlaunch.errors import BadSettings


@pytest.mark.parametrize("pool", ["prefork", "gevent", "eventlet", "processes"])
def test_another_worker_pool_is_refused_with_a_sentence(pool: str) -> None:
    with pytest.raises(SystemExit) as refused:
        _check_pool(options={"pool": pool})

    assert refused.value.code == (
        f"xenlaunch: The worker pool {pool!r} does not work here: start it with -P threads."
    )


@pytest.mark.parametrize("pool", ["threads", "solo", "", None])
def test_threads_and_solo_are_taken(pool: str | None) -> None:
    _check_pool(options={"pool": pool})
    _check_pool()


@pytest.mark.parametrize(("pool", "taken"), [("threads", True), ("solo", True), ("prefork", False)])
def test_celery_may_give_the_class_instead_of_the_name(
    pool: str,
    taken: bool,  # noqa: FBT001  what is expected
) -> None:
    options = {"pool": get_implementation(pool)}

    if taken:
        _check_pool(options=options)
    else:
        with pytest.raises(SystemExit, match="'prefork' does not work here"):
            _check_pool(options=options)


def test_bad_settings_end_the_process_with_their_sentence() -> None:
    def make() -> None:
        raise BadSettings("Set XENLAUNCH_POOLS.")

    with pytest.raises(SystemExit, match=r"^xenlaunch: Set XENLAUNCH_POOLS\.$"):
        or_exit(make)
    assert or_exit(lambda: 7) == 7


@pytest.mark.parametrize(
    ("task", "named"),
    [("xenlaunch.clone", "l-1.clone"), ("celery.backend_cleanup", "-"), (None, "-")],
)
def test_a_log_line_names_its_launch(
    monkeypatch: pytest.MonkeyPatch, task: str | None, named: str
) -> None:
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(logging.Formatter(logs.FORMAT))
    handler.addFilter(logs._NameLaunch())
    log = logging.getLogger("xenlaunch.tests")
    monkeypatch.setattr(log, "handlers", [handler])
    monkeypatch.setattr(log, "propagate", False)
    log.setLevel(logging.INFO)
    running: Any = SimpleNamespace(name=task) if task else None
    logs._enter(task_id="l-1.clone", task=running)
    log.info("within")
    logs._leave()
    log.info("after")
    shown = [line.split("[")[1] for line in said.getvalue().splitlines()]

    assert shown == [f"{named}] xenlaunch.tests: within", "-] xenlaunch.tests: after"]
