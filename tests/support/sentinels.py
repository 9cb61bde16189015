"""A set of Redis servers, and the Sentinels that see to it that one of them is the master."""

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Self, cast

import redis
from redis.sentinel import MasterNotFoundError, Sentinel

from tests.support.waiting import wait_until
from workers.child import Child
from workers.embedded import LOOPBACK, EmbeddedServer, free_port

BINARY: Final = Path("redis-server")
MASTER: Final = "xenlaunch"

SENTINEL: Final = """\
bind {host}
port {port}
dir "{folder}"
sentinel monitor {master} {host} {master_port} 2
sentinel down-after-milliseconds {master} 1000
sentinel failover-timeout {master} 4000
sentinel parallel-syncs {master} 2
"""


class RedisSet:
    """One master, two replicas, three Sentinels, each a process on a free port."""

    def __init__(self, folder: Path, replicas: int = 2) -> None:
        self.folder = folder
        self.count = replicas
        self.servers: list[EmbeddedServer] = []
        self._stack = ExitStack()
        self._ports: list[int] = []

    @property
    def url(self) -> str:
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in self._ports)
        return f"sentinel://{hosts}/0?master={MASTER}"

    @property
    def master(self) -> EmbeddedServer:
        """The server that the Sentinels call the master now."""
        with suppress(MasterNotFoundError):
            _, port = self.sentinel().discover_master(MASTER)
            for server in self.servers:
                if server.port == port:
                    return server
        raise AssertionError("the Sentinels know no master")

    def sentinel(self) -> Any:
        return cast("Any", Sentinel)([(LOOPBACK, port) for port in self._ports], socket_timeout=2)

    def fail_over(self) -> EmbeddedServer:
        """Kill the master, and return the one that has taken over."""
        fallen = self.master
        fallen.kill()
        wait_until(lambda: self._other_than(fallen), 30, "a replica has been made the master")
        return self.master

    def back_as_a_replica(self, fallen: EmbeddedServer) -> None:
        """Restart a master that fell, and return when it is told that it is none any more.

        Until then it takes what it is sent, and loses it.
        """
        fallen.start()
        with redis.Redis.from_url(fallen.url, decode_responses=True) as client:

            def is_told() -> bool:
                with suppress(redis.RedisError):  # it drops its clients when it is told
                    return str(client.info("replication")["role"]) == "slave"
                return False

            wait_until(is_told, 60, "who was the master is a replica")

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            master = self._server(stack, "")
            more = f"replicaof {LOOPBACK} {master.port}\n"
            for _ in range(self.count):
                self._server(stack, more)
            wait_until(lambda: self._replicated(master), 20, "the replicas follow the master")
            for number in range(3):
                self._start_sentinel(stack, number, master.port)
            wait_until(self._agreed, 20, "the Sentinels know each other and the replicas")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _server(self, stack: ExitStack, more: str) -> EmbeddedServer:
        folder = self.folder / f"server-{len(self.servers)}"
        more += "repl-diskless-sync-delay 0\nrepl-timeout 5\n"
        server = EmbeddedServer(folder, binary=BINARY, more=more)
        stack.enter_context(server)
        self.servers.append(server)
        return server

    def _start_sentinel(self, stack: ExitStack, number: int, master_port: int) -> None:
        folder = self.folder / f"sentinel-{number}"
        folder.mkdir(parents=True)
        port, config = free_port(), folder / "sentinel.conf"
        config.write_text(
            SENTINEL.format(
                host=LOOPBACK, port=port, folder=folder, master=MASTER, master_port=master_port
            )
        )
        child = Child(
            f"sentinel {number}",
            [BINARY, config, "--sentinel"],
            log_path=folder / "sentinel.log",
            ready=lambda: _answers(port),
        )
        stack.enter_context(child)
        self._ports.append(port)

    def _replicated(self, master: EmbeddedServer) -> bool:
        with redis.Redis.from_url(master.url) as client:
            links = [row for row in client.info("replication").items() if "slave" in row[0]]
            return sum("online" in str(row) for row in links) == self.count

    def _agreed(self) -> bool:
        for port in self._ports:
            with redis.Redis(host=LOOPBACK, port=port, decode_responses=True) as client:
                known: Any = client.sentinel_master(MASTER)
            if known["num-other-sentinels"] != 2 or known["num-slaves"] != self.count:
                return False
        return True

    def _other_than(self, fallen: EmbeddedServer) -> bool:
        with suppress(MasterNotFoundError, AssertionError):
            return self.master is not fallen
        return False


def _answers(port: int) -> bool:
    client = redis.Redis(host=LOOPBACK, port=port, socket_timeout=1)
    with client, suppress(redis.RedisError):
        return bool(client.ping())
    return False
