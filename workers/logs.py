"""Log lines of a worker: each names the launch that it is about."""

import logging
import sys
from contextvars import ContextVar
from typing import Any, Final

from celery import Task, signals

FORMAT: Final = "%(asctime)s %(levelname)s [%(launch)s] %(name)s: %(message)s"

_launch: ContextVar[str] = ContextVar("launch", default="-")


class _NameLaunch(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.launch = _launch.get()
        return True


def install() -> None:
    signals.setup_logging.connect(_set_up, weak=False)
    signals.task_prerun.connect(_enter, weak=False)
    signals.task_postrun.connect(_leave, weak=False)


def _set_up(loglevel: int | str = logging.INFO, logfile: str | None = None, **_: Any) -> None:
    handler = logging.FileHandler(logfile) if logfile else logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(_NameLaunch())
    logging.basicConfig(level=loglevel, handlers=[handler], force=True)
    # One line for each of the seven steps of hundreds of launches: our own events tell it better.
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)


def _enter(task_id: str = "", task: "Task[Any, Any] | None" = None, **_: Any) -> None:
    if task is not None and task.name.startswith("xenlaunch."):
        _launch.set(task_id)


def _leave(**_: Any) -> None:
    _launch.set("-")
