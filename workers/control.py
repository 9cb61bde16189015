"""What a worker is asked by message that is no step: to look, cancel, plan, describe its pools."""

import logging
from functools import partial
from typing import Any, Final

from celery import Celery

from scheduler.adopt import Adoption
from scheduler.overview import overview
from scheduler.plan import plan
from scheduler.prune import prune
from scheduler.spread import Spreading
from scheduler.spread_asked import Question, change_copies, look_at_copies
from workers import durability
from workers.duties import Duties
from xenlaunch import names
from xenlaunch.errors import StoreUnreachable
from xenlaunch.model import LaunchRequest

CANCELLED_IN_FLOWER: Final = {
    "code": "CANCELLED",
    "params": [],
    "message": "Cancelled in Flower.",
}

log = logging.getLogger(__name__)


def register(app: Celery, duties: Duties) -> None:
    """Teach Celery the nudges and the questions."""
    register_questions(app, duties)

    @app.task(name=names.TASK_LOOK, ignore_result=True)
    def look(subject: str) -> None:
        try:
            if subject.startswith("b-"):
                duties.recovery.sweep()
            else:
                duties.recovery.look(subject)
        except StoreUnreachable as lost:
            log.info("Did not look at %s, it stays due: %s", subject, lost)

    @app.task(name=names.TASK_CANCEL, ignore_result=True)
    def cancel(launch: str) -> None:
        try:
            duties.ledger.cancel(launch, CANCELLED_IN_FLOWER)
            duties.recovery.look(launch)
        except StoreUnreachable as lost:
            log.info("Did not cancel %s: %s", launch, lost)


def register_questions(app: Celery, duties: Duties) -> None:
    """Teach Celery what has an answer."""
    register_copies(app, duties)

    @app.task(name=names.TASK_PLAN)
    def answer_plan(request: str) -> dict[str, Any]:
        return plan(LaunchRequest.model_validate_json(request), duties, duties.choosing.pool_for)

    @app.task(name=names.TASK_ADOPT)
    def answer_adopt() -> list[dict[str, Any]]:
        runtime = duties.runtime
        runtime.register()
        adoption = Adoption(duties.ledger, runtime.generations, runtime.deployment, runtime.reach)
        return [adoption.adopt(pool) for pool in duties.pools]

    @app.task(name=names.TASK_NETWORKS)
    def answer_networks(pool: str | None, remove: bool) -> list[dict[str, Any]]:  # noqa: FBT001  a message's arguments have no names
        runtime = duties.runtime
        return prune(duties, runtime.deployment, runtime.reach, pool, remove=remove)

    @app.task(name=names.TASK_POOLS)
    def answer_pools() -> list[dict[str, Any]]:
        doubts = durability.doubts(duties.ledger.store.redis)
        return [{**overview(pool, duties), "doubts": doubts} for pool in duties.pools]


def register_copies(app: Celery, duties: Duties) -> None:
    """Teach Celery the questions about a template's copies."""

    @app.task(name=names.TASK_COPIES)
    def answer_copies(template: str, pool: str | None) -> list[dict[str, Any]]:
        runtime = duties.runtime
        ask = partial(Spreading.report, template=template)
        return look_at_copies(duties, runtime.deployment, runtime.reach, pool, ask)

    @app.task(name=names.TASK_SPREAD)
    def answer_spread(template: str, srs: list[str], pool: str | None) -> list[dict[str, Any]]:
        return changed(template, pool, partial(Spreading.spread, template=template, srs=srs))

    @app.task(name=names.TASK_REMOVE_COPIES)
    def answer_remove(template: str, srs: list[str], pool: str | None) -> list[dict[str, Any]]:
        return changed(template, pool, partial(Spreading.remove, template=template, srs=srs))

    def changed(template: str, pool: str | None, ask: Question) -> list[dict[str, Any]]:
        runtime = duties.runtime
        return change_copies(duties, runtime.deployment, runtime.reach, pool, template, ask)
