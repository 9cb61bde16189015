"""What those need of a pool who remove something: a step under its lease, or the sweeper."""

from collections.abc import Collection
from typing import Any, Protocol

from xenlaunch.xapi.pool import Finder


class Asked(Protocol):
    """A pool that is only asked."""

    def read(self, method: str, *params: Any) -> Any: ...


class Hands(Asked, Protocol):
    """A pool in which something is removed, and what is known of whose that is."""

    @property
    def failed_at(self) -> str: ...

    @property
    def vm(self) -> str: ...

    @property
    def lent(self) -> tuple[str, ...]: ...

    def made(self, cls: str) -> list[str]: ...

    def is_open(self, key: str) -> bool: ...

    def is_done(self, key: str) -> bool: ...

    def know(self, cls: str, ref: str, uuid: str = "") -> None: ...

    def recall(self, key: str) -> str | None: ...

    def remember(self, key: str, value: str) -> None: ...

    def do(self, key: str, method: str, *params: Any) -> str: ...

    def run(
        self,
        key: str,
        method: str,
        *params: Any,
        what: str,
        seconds: float,
        find: Finder | None = None,
        on: Collection[str] = (),
    ) -> str: ...
