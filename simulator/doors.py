"""Where the pool listens: at one address, or each host at its own; over http, and https beside it.

With `--listen-all` the hosts are 127.0.0.1, 127.0.0.2 and so on, all at the same port: a real
HOST_IS_SLAVE names a bare address, and so a client that follows it needs no other port.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from simulator import certificates
from simulator.http import Server
from simulator.rawdisk import open_upload
from simulator.rpc import Door

if TYPE_CHECKING:
    from simulator.db import Row
    from simulator.world import World

LOOPBACK: Final = "127.0.0.1"
_COUNT_FROM: Final = 127 << 24


class Doors:
    """All the listening addresses of one pool."""

    def __init__(self, world: World, listen_at: str = LOOPBACK) -> None:
        self.world = world
        self.listen_at = listen_at
        self.servers: list[Server] = []
        self.said: list[str] = []  # where else it listens, a line each
        self.address = ""  # the master's, over http

    async def open(self, port: int, https_port: int | None, *, each: bool) -> None:
        """Listen at the master's address first: where a port was left open, the rest follow it."""
        if each:
            give_addresses(self.world)
            self.world.on_death = self._fall_silent
            self.world.on_load = functools.partial(give_addresses, self.world)
        for host in self._listeners(each=each):
            server = await self._open(host, port, each=each)
            port = server.port
            if self.address:
                self.said.append(f"{host['name_label']} on {server.address}")
            self.address = self.address or server.address
            if https_port is not None:
                https_port = await self._open_https(host, https_port, each=each)

    def _listeners(self, *, each: bool) -> list[Row]:
        master = self.world.master()
        rest = (row for row in self.world.db.all("host") if row is not master)
        return [master, *(rest if each else ())]

    async def _open_https(self, host: Row, port: int, *, each: bool) -> int:
        certificate = certificates.give(self.world, host)
        server = await self._open(host, port, certificate, each=each)
        name = host["name_label"] if each else "https"
        self.said.append(f"{name} on {server.address}, fingerprint {certificate.fingerprint}")
        return server.port

    async def _open(
        self,
        host: Row,
        port: int,
        certificate: certificates.Certificate | None = None,
        *,
        each: bool,
    ) -> Server:
        address = host["address"] if each else self.listen_at
        uploads = functools.partial(open_upload, self.world)
        door = Door(self.world, address if each else "")
        server = Server(door, uploads=uploads, is_silent=door.is_silent)
        self.servers.append(server)
        await server.listen(address, port, certificate.context if certificate else None)
        return server

    def _fall_silent(self, host: Row) -> None:
        """A member is dead: who waits for it gets no answer, and with a master xapi is gone."""
        if host is self.world.master():
            self.world.restart()
        for server in self.servers:
            if server.is_silent():
                server.abort_connections()

    def abort_connections(self) -> None:
        for server in self.servers:
            server.abort_connections()

    def close(self) -> None:
        for server in self.servers:
            server.close()


def loopback_addresses() -> Iterator[str]:
    """127.0.0.1, 127.0.0.2 and so on.

    >>> list(itertools.islice(loopback_addresses(), 2))
    ['127.0.0.1', '127.0.0.2']
    """
    for number in itertools.count(_COUNT_FROM + 1):
        yield ".".join(str(number >> bits & 255) for bits in (24, 16, 8, 0))


def give_addresses(world: World) -> None:
    """
    Give each host an address of its own on loopback, its management interface too.

    A host that has one keeps it, also when a dump of the pool is loaded; another pool's hosts take
    the addresses in their order, and those beyond the doors that there are cannot be reached.
    """
    kept = {ref: at for at, ref in world.listening.items() if world.db.find("host", ref)}
    free = (address for address in loopback_addresses() if address not in kept.values())
    world.listening = {}
    for host in world.db.all("host"):
        address = kept.get(host.ref) or next(free)
        world.listening[address] = host.ref
        world.db.set(host, "address", address)
        for pif in world.db.rows("PIF", host["PIFs"]):
            if pif["management"]:
                world.db.update(pif, IP=address, netmask="255.0.0.0", gateway="")
