"""Somebody else who works in the pool, as any client of XAPI may."""

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.support.simulators import SimulatorProcess


class Operator:
    """An administrator of the pool, who knows nothing of xenlaunch."""

    def __init__(self, pool: SimulatorProcess) -> None:
        self._pool = pool
        self._session = str(self._post("session.login_with_password", pool.username, pool.password))

    def call(self, method: str, *params: Any) -> Any:
        """Call the pool; an error of the pool's fails the test."""
        return self._post(method, self._session, *params)

    def named(self, cls: str, name: str) -> str:
        """The ref of the one object of that name."""
        (ref,) = self.call(f"{cls}.get_by_name_label", name)
        return str(ref)

    def _post(self, method: str, *params: Any) -> Any:
        connection = HTTPConnection(urlsplit(self._pool.url).netloc, timeout=30)
        try:
            sent = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
            connection.request("POST", "/jsonrpc", json.dumps(sent))
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]
