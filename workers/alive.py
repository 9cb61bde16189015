"""A file whose age says whether a worker lives: touched at each beat, from when it is ready.

Who looks after the worker (a container's health check) looks at that, and need not start Celery a
second time to ask.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import signals


class Alive:
    """Touches the file, if there is to be one."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._ready = False
        signals.worker_ready.connect(self._set_ready)

    def _set_ready(self, **_: Any) -> None:
        self._ready = True

    def beating(self, beat: Callable[[], None]) -> Callable[[], None]:
        """The beat, which also touches the file."""

        def beat_and_touch() -> None:
            beat()
            if self._ready and self.path is not None:
                self.path.touch()

        return beat_and_touch
