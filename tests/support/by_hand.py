"""Somebody with a client of their own at a pool: what they do there is none of our business."""

from functools import cached_property
from typing import Any
from xmlrpc.client import ServerProxy

from tests.support.simulators import SimulatorProcess


class ByHand:
    """A user of the pool."""

    def __init__(self, pool: SimulatorProcess) -> None:
        self._pool = pool
        self._proxy = ServerProxy(pool.url)

    @cached_property
    def _session(self) -> str:
        return str(self._answer("session.login_with_password", "root", self._pool.password))

    def call(self, method: str, *params: Any) -> Any:
        return self._answer(method, self._session, *params)

    def _answer(self, method: str, *params: Any) -> Any:
        answer: Any = getattr(self._proxy, method)(*params)
        assert answer["Status"] == "Success", f"{method}: {answer['ErrorDescription']}"
        return answer.get("Value")

    def close(self) -> None:
        self._proxy("close")()
