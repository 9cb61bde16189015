"""The Celery app: where settings, steps, roles and questions come together.

``celery -A workers worker -P threads -c 64`` finds it here. What a worker does beside its tasks
(roles, leases, sessions) begins when it is ready and ends before it does.
"""

import logging
from contextlib import suppress
from typing import Any

from celery import Celery, bootsteps, signals

from tasks import step
from workers import control, guards, logs, results, settings
from workers.alive import Alive
from workers.batching import Batching
from workers.config import celery_config
from workers.duties import Beginning, Dispatching, Duties, Recovering
from workers.leaving import Leaving
from workers.prober import Probing
from workers.roles import Role, Roles
from workers.runtime import Runtime
from workers.sweeper import Sweeping
from workers.watcher import GuestWatcher, TaskWatcher
from xenlaunch import names
from xenlaunch.errors import StoreUnreachable

log = logging.getLogger(__name__)

app = Celery("xenlaunch", set_as_current=False)
runtime = Runtime()
duties = Duties(app, runtime)

results.install(app)
step.register(app, runtime)
control.register(app, duties)


@app.on_configure.connect
def configure(sender: Celery, **_: Any) -> None:
    """Read the settings when Celery first asks for its own, not when this file is imported."""
    found = guards.or_exit(lambda: runtime.settings)
    sender.conf.update(celery_config(found.redis_url, tuple(found.pools)))


def roles_for(queues: set[str]) -> list[Role]:
    """The roles that a worker of these queues stands by for."""
    found: list[Role] = []
    if names.CONTROL_QUEUE in queues:
        found += [Recovering(duties), Batching(duties)]
    for pool in runtime.settings.pools:
        if names.pool_queue(pool) in queues:
            found += pool_roles(pool)
    return found


def pool_roles(pool: str) -> list[Role]:
    def reach() -> Any:
        return runtime.reach(pool)

    return [
        Dispatching(duties, pool),
        Beginning(duties, pool),
        TaskWatcher(runtime.ledger, runtime.deployment, reach, pool, duties.begin),
        GuestWatcher(runtime.ledger, reach, pool, duties.begin),
        Sweeping(runtime, pool),
        Probing(duties, pool),
    ]


class Duty(bootsteps.StartStopStep):
    """The part of a worker process that is no Celery task: roles and leases."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **_: Any) -> None:
        self.roles: Roles | None = None
        self.alive = Alive(settings.named_file(settings.ALIVE_FILE))
        super().__init__(parent)

    def start(self, parent: Any) -> None:
        # A Redis that is away now is waited for; one that is another deployment's is not.
        with suppress(StoreUnreachable):
            guards.or_exit(runtime.register)
        queues = set(parent.app.amqp.queues.consume_from)
        served = sum(names.pool_queue(pool) in queues for pool in runtime.settings.pools)
        runtime.divide(parent.concurrency, served)
        beat = self.alive.beating(runtime.beat)
        self.roles = Roles(runtime.ledger, runtime.worker, roles_for(queues), beat)
        self.roles.start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002  bootsteps' own shape
        if self.roles is not None:
            self.roles.stop()

    terminate = stop


app.steps["worker"].add(Duty)


@signals.celeryd_init.connect
def look_at_pools(**_: Any) -> None:
    """A pool that could never be reached as it is described is said at the start."""
    guards.or_exit(lambda: runtime.pools)


@signals.worker_shutdown.connect
def leave(**_: Any) -> None:
    """Log out of every pool: XAPI keeps only so many sessions."""
    runtime.close()


guards.install()
Leaving(runtime).install()
logs.install()
