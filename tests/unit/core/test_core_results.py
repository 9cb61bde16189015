"""What the result backend says of steps, and of questions."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context

from workers import results
from xenlaunch import names

# Celery's own way of writing.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")


@pytest.fixture
def backend(redis_url: str) -> Iterator[Any]:
    app = Celery("results", backend=redis_url, set_as_current=False)
    results.install(app)
    app.conf.result_backend_transport_options = {"global_keyprefix": names.PREFIX}
    yield app.backend
    backend: Any = app.backend
    backend.client.connection_pool.disconnect()
    app.close()


def request(app: Celery, task: str, task_id: str) -> Context:
    behind = app.signature(names.TASK_POLL, task_id="l-1.poll", immutable=True)
    return Context(id=task_id, task=task, chain=[dict(behind)])


def test_celery_cannot_say_that_a_launch_has_failed(backend: Any) -> None:
    asked = request(backend.app, names.TASK_CLONE, "l-1.clone")
    backend.mark_as_failure("l-1.clone", OSError("Redis is away"), request=asked)

    assert backend.get_state("l-1.clone") == "PENDING"
    assert backend.get_state("l-1.poll") == "PENDING"


def test_a_question_may_fail(backend: Any) -> None:
    asked = Context(id="q-1", task=names.TASK_PLAN)
    backend.mark_as_failure("q-1", OSError("Redis is away"), request=asked)

    assert backend.get_state("q-1") == "FAILURE"
