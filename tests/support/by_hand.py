"""Somebody with a client of their own at a pool: what they do there is none of our business."""

from functools import cached_property
from typing import Any
from xmlrpc.client import ServerProxy

from tests.support.simulators import SimulatorProcess


class ByHand:
    """A user of the pool, who knows nothing of xenlaunch."""

    def __init__(self, pool: SimulatorProcess) -> None:
        self._pool = pool

    @cached_property
    def _session(self) -> str:
        return str(self._answer("session.login_with_password", "root", self._pool.password))

    def call(self, method: str, *params: Any) -> Any:
        """Call the pool; an error of the pool's fails the test."""
        return self._answer(method, self._session, *params)

    def named(self, cls: str, name: str) -> str:
        """The ref of the one object of that name."""
        (ref,) = self.call(f"{cls}.get_by_name_label", name)
        return str(ref)

    def _answer(self, method: str, *params: Any) -> Any:
        with ServerProxy(self._pool.url) as proxy:
            answer: Any = getattr(proxy, method)(*params)
        assert answer["Status"] == "Success", f"{method}: {answer['ErrorDescription']}"
        return answer.get("Value")
