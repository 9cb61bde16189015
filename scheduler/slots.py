"""Who may keep an SR or a host busy. Pure: the ledger's scripts do the same on records.

XAPI works on one disk of an SR at a time and starts a few VMs on a host at once; whoever sends more
only has it wait there. So a call that keeps one of them busy takes a *slot* first: as many as the
pool carries out at once, and one on deck, so that the next is there when one ends. Who finds no
slot free waits in line; a slot that is freed is given on at once, to the least turn that waits.

A launch whose template lies on several SRs may take a slot of any of them. It waits in the lines of
all, and leaves them when one of them is given to it.
"""

import heapq
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

SR: Final = "sr"
HOST: Final = "host"

AT_ONCE: Final[Mapping[str, int]] = {SR: 1, HOST: 4}
"""How many calls a pool carries out at once on one SR, or on one host."""

ON_DECK: Final = 1
"""How many more are sent, so that neither idles while we hear that one has ended."""

LIMITS: Final[Mapping[str, int]] = {kind: most + ON_DECK for kind, most in AT_ONCE.items()}
"""How many slots an SR or a host has for which nothing else is said."""


class Given(NamedTuple):
    """A slot that was given on to a launch that waited for it."""

    launch: str
    resource: str


class Wish(NamedTuple):
    """What a launch waits for: a slot of any of these."""

    turn: float
    resources: tuple[str, ...]


class Slots:
    """The slots of one pool: ``sr:<ref>`` and ``host:<ref>``, each with a limit.

    No resource has at once a slot that is free and a launch that waits for it.
    """

    def __init__(self, limits: Mapping[str, int] = LIMITS) -> None:
        self._limits = dict(limits)
        self._held: dict[str, dict[str, None]] = {}  # by resource, in the order they came
        self._holds: dict[str, dict[str, None]] = {}  # by launch
        self._wishes: dict[str, Wish] = {}
        self._lines: dict[str, list[tuple[float, str]]] = {}  # with some who have left them

    def limit(self, resource: str) -> int:
        """Its own limit, else that of its kind."""
        kind = resource.partition(":")[0]
        return self._limits[resource if resource in self._limits else kind]

    def holders(self, resource: str) -> tuple[str, ...]:
        return tuple(self._held.get(resource, ()))

    def held(self, launch: str) -> tuple[str, ...]:
        return tuple(self._holds.get(launch, ()))

    def waits_for(self, launch: str) -> tuple[str, ...]:
        wish = self._wishes.get(launch)
        return wish.resources if wish else ()

    def take(self, launch: str, alternatives: Collection[str], turn: float) -> str | None:
        """A slot of one of the resources, or None, and the launch waits for one.

        Who holds one of them has it already. Where several have room, the one that fewest hold.

        >>> slots = Slots({"sr": 1})
        >>> slots.take("a", ["sr:1", "sr:2"], 1), slots.take("b", ["sr:1", "sr:2"], 2)
        ('sr:1', 'sr:2')
        >>> slots.take("c", ["sr:1", "sr:2"], 3)
        >>> slots.free("b")
        [Given(launch='c', resource='sr:2')]
        """
        self._wishes.pop(launch, None)
        for resource in self._holds.get(launch, ()):
            if resource in alternatives:
                return resource
        roomy = [resource for resource in alternatives if self._room(resource) > 0]
        if roomy:
            return self._hold(launch, min(roomy, key=lambda one: len(self._held.get(one, ()))))
        self._wishes[launch] = Wish(turn, tuple(alternatives))
        for resource in alternatives:
            heapq.heappush(self._lines.setdefault(resource, []), (turn, launch))
        return None

    def free(self, launch: str) -> list[Given]:
        """The launch neither holds nor waits for a slot any more; who has got what it held."""
        self._wishes.pop(launch, None)
        freed = self._holds.pop(launch, {})
        for resource in freed:
            del self._held[resource][launch]
        return [given for resource in freed for given in self._give(resource)]

    def set_limit(self, resource: str, limit: int) -> list[Given]:
        """The resource, or a kind of them, has so many slots from now on; who has got one.

        Nobody loses a slot by it: there are too many holders until enough of them are done.
        """
        self._limits[resource] = limit
        concerned = [one for one in sorted(self._lines) if resource in (one, one.partition(":")[0])]
        return [given for one in concerned for given in self._give(one)]

    def _room(self, resource: str) -> int:
        return self.limit(resource) - len(self._held.get(resource, ()))

    def _hold(self, launch: str, resource: str) -> str:
        self._held.setdefault(resource, {})[launch] = None
        self._holds.setdefault(launch, {})[resource] = None
        return resource

    def _give(self, resource: str) -> list[Given]:
        given = []
        while self._room(resource) > 0 and (launch := self._next(resource)):
            self._hold(launch, resource)
            given.append(Given(launch, resource))
        return given

    def _next(self, resource: str) -> str:
        """Who has the least turn of those that still wait for the resource, or ''."""
        line = self._lines.get(resource, [])
        while line:
            turn, launch = heapq.heappop(line)
            wish = self._wishes.get(launch)
            if wish and wish.turn == turn and resource in wish.resources:
                del self._wishes[launch]
                return launch
        return ""
