"""The model's time, pool and broker in the places where the code would find the real ones."""

import logging
from collections.abc import Iterator

import pytest

import tasks.messages
import workers.duties
import workers.watcher
import xenlaunch.xapi.pool
import xenlaunch.xapi.session
from tests.model.wired import WiredTransport, chained
from tests.model.world import TIME


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(xenlaunch.xapi.session, "Transport", WiredTransport)
    monkeypatch.setattr(xenlaunch.xapi.pool, "time", TIME)
    monkeypatch.setattr(workers.watcher, "time", TIME)
    monkeypatch.setattr(workers.duties, "time", TIME)
    monkeypatch.setattr(tasks.messages, "chain", chained)
    logging.disable(logging.CRITICAL)  # thousands of runs, each full of troubles
    yield
    logging.disable(logging.NOTSET)
