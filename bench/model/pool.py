"""One pool of the model: its line, its slots, and the SRs and hosts that work.

What decides is the scheduler's own: the turn of a launch, its host, and who gets a slot. What only
takes time is pretended: the steps of a launch are the moments at which it asks for the next thing.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from bench.model.clock import Clock
from bench.model.station import Station
from bench.model.times import Times
from scheduler.fair import Line, Turn
from scheduler.placement import MIB, HostRoom, Need, NoRoom, overhead, place, reserve
from scheduler.slots import AT_ONCE, HOST, ON_DECK, SR, Given, Slots

GIB: Final = 1024 * MIB
SMALL: Final = Need(memory=2 * GIB + overhead(2 * GIB, 2), vcpus=2)
NO_TURN: Final = Turn(0, 0, "", 0)


@dataclass(frozen=True)
class Shape:
    """What a pool has, and what of ours may be in it at once."""

    hosts: int = 16
    srs: int = 4
    memory: int = 192 * GIB
    """Of each host."""
    in_flight: int = 400
    on_deck: int = ON_DECK


@dataclass(slots=True)
class Launch:
    """A launch, and the moments of its life."""

    id: str
    owner: str = ""
    weight: float = 1
    priority: int = 5
    disks: int = 1
    need: Need = SMALL
    submitted: float = 0.0
    begun: float = -1.0
    up: float = -1.0
    host: str = ""
    turn: Turn = NO_TURN


@dataclass
class Pool:
    """A pool that launches go through."""

    name: str
    clock: Clock
    shape: Shape
    times: Times
    vary: Callable[[float], float]
    remembers: bool = False
    waiting: list[tuple[int, str, Launch]] = field(default_factory=list)
    no_room: list[Launch] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def __post_init__(self) -> None:
        hosts = [f"host-{number}" for number in range(1, self.shape.hosts + 1)]
        self.rooms = {host: self._room(host) for host in hosts}
        self.srs = {f"sr:sr-{number}": self._station(SR) for number in range(1, self.shape.srs + 1)}
        self.hosts = {f"host:{host}": self._station(HOST) for host in hosts}
        self.placement = Station(self.clock)
        self.line = Line()
        self.slots = Slots({kind: most + self.shape.on_deck for kind, most in AT_ONCE.items()})
        self._launches: dict[str, Launch] = {}
        self._nudged = False

    def _room(self, host: str) -> HostRoom:
        memory = self.shape.memory
        return HostRoom(host, f"uuid-{host}", host, memory=memory, free=memory, pcpus=32)

    def _station(self, kind: str) -> Station:
        return Station(self.clock, AT_ONCE[kind], remembers=self.remembers)

    # The line

    def submit(self, launch: Launch) -> None:
        launch.submitted = self.clock.now
        launch.turn = self.line.join(launch.owner, launch.weight, launch.priority)
        heapq.heappush(self.waiting, (launch.turn.score, launch.id, launch))
        self._nudge()

    def _nudge(self) -> None:
        if not self._nudged:
            self._nudged = True
            self.clock.after(0.0, self._dispatch)

    def _dispatch(self) -> None:
        """The head of the line goes, while there is room; as `scheduler.dispatch` has it."""
        self._nudged = False
        while self.waiting and self.in_flight < self.shape.in_flight:
            launch = heapq.heappop(self.waiting)[2]
            verdict = place(self.rooms.values(), launch.need)
            if isinstance(verdict, NoRoom):
                self.line.leave(launch.turn)
                self.no_room.append(launch)
                continue
            launch.host = verdict.host.ref
            self.rooms = reserve(self.rooms, launch.host, launch.need)
            self._begin(launch)

    def _begin(self, launch: Launch) -> None:
        launch.begun = self.clock.now
        self._launches[launch.id] = launch
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.clock.after(self.times.send, self._want_sr, launch)

    # The steps

    def _want_sr(self, launch: Launch) -> None:
        self._take(launch, tuple(self.srs))

    def _clone(self, launch: Launch, sr: Station, disks: int) -> None:
        if disks:
            sr.work(self.vary(self.times.disk), self._clone, launch, sr, disks - 1)
        else:
            self.clock.after(self.vary(self.times.rows) + self.times.hear, self._cloned, launch)

    def _cloned(self, launch: Launch) -> None:
        self._give_on(self.slots.free(launch.id))
        calls = self.vary(self.times.calls) + self.times.send
        self.clock.after(calls, self._take, launch, (f"host:{launch.host}",))

    def _start(self, launch: Launch, host: Station) -> None:
        self.placement.work(self.vary(self.times.placement), self._placed, launch, host)

    def _placed(self, launch: Launch, host: Station) -> None:
        seconds = self.times.start + self.times.more_disk * (launch.disks - 1)
        host.work(self.vary(seconds), self._started, launch)

    def _started(self, launch: Launch) -> None:
        self.clock.after(self.times.hear, self._heard, launch)

    def _heard(self, launch: Launch) -> None:
        self._give_on(self.slots.free(launch.id))
        room = self.rooms[launch.host]
        self.rooms = {**self.rooms, launch.host: replace(room, coming=room.coming - 1)}
        self.clock.after(self.vary(self.times.wait) + self.times.send, self._end, launch)

    def _end(self, launch: Launch) -> None:
        launch.up = self.clock.now
        del self._launches[launch.id]
        self.line.leave(launch.turn)
        self.in_flight -= 1
        self._nudge()

    # The slots

    def _take(self, launch: Launch, alternatives: tuple[str, ...]) -> None:
        taken = self.slots.take(launch.id, alternatives, launch.turn.score)
        if taken is not None:
            self._use(launch, taken)

    def _give_on(self, given: list[Given]) -> None:
        for one in given:
            self.clock.after(self.times.send, self._use, self._launches[one.launch], one.resource)

    def _use(self, launch: Launch, resource: str) -> None:
        if resource in self.srs:
            launch.turn = self.line.go(launch.turn)
            self._clone(launch, self.srs[resource], launch.disks)
        else:
            self._start(launch, self.hosts[resource])
