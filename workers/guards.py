"""What a worker refuses at its start, each with a sentence instead of a traceback."""

from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

from celery import signals

from xenlaunch.errors import BadSettings

T = TypeVar("T")

POOLS_ALLOWED: Final = ("threads", "solo")


def or_exit(make: Callable[[], T]) -> T:
    """What is made, or the end of this process with what is wrong with its settings."""
    try:
        return make()
    except BadSettings as wrong:
        refuse(wrong.message)


def refuse(sentence: str) -> NoReturn:
    raise SystemExit(f"xenlaunch: {sentence}") from None


def install() -> None:
    signals.celeryd_init.connect(_check_pool, weak=False)


def _check_pool(options: dict[str, Any] | None = None, **_: Any) -> None:
    """Prefork would multiply sessions and roles, gevent never gives back what a dead worker had."""
    wanted = _name((options or {}).get("pool") or "threads")
    if wanted not in POOLS_ALLOWED:
        refuse(f"The worker pool {wanted!r} does not work here: start it with -P threads.")


def _name(pool: Any) -> str:
    """Celery gives the name that was asked for, or the class that it stands for."""
    if isinstance(pool, str):
        return pool
    module = str(getattr(pool, "__module__", pool))
    return {"thread": "threads"}.get(last := module.rpartition(".")[2], last)
