"""The result backend, which does not say of a step that it has failed unless the ledger has.

Celery calls a step failed also where its next link could not be published, and marks all links
behind it as failed with it: the launch goes on, and whoever waits for its end would hear a lie.
"""

import logging
from typing import Any, Final

from celery import Celery
from celery.backends.redis import RedisBackend, SentinelBackend

from xenlaunch import names

log = logging.getLogger(__name__)

STEPS: Final = frozenset(names.TASK_OF.values())


class _LedgerSaysSo:
    def mark_as_failure(self, task_id: str, exc: BaseException, *args: Any, **more: Any) -> None:
        request = more.get("request") or (args[1] if len(args) > 1 else None)
        if getattr(request, "task", None) in STEPS:
            log.warning("Celery gave %s up, the launch goes on: %s", task_id, exc)
            return
        super().mark_as_failure(task_id, exc, *args, **more)  # type: ignore[misc]  # it is mixed in


class Results(_LedgerSaysSo, RedisBackend):
    """On one Redis."""


class SentinelResults(_LedgerSaysSo, SentinelBackend):
    """Behind Sentinel."""


def install(app: Celery) -> None:
    loader: Any = app.loader
    loader.override_backends = {
        "redis": f"{__name__}:Results",
        "rediss": f"{__name__}:Results",
        "sentinel": f"{__name__}:SentinelResults",
    }
