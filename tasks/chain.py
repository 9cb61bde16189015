"""A launch on one screen: the steps, in their order; and those of a copy of a template."""

from collections.abc import Callable
from typing import Final

from tasks.clone import clone
from tasks.connect import connect
from tasks.network import network
from tasks.poll import poll
from tasks.spread import choose, copy, keep
from tasks.start import start
from tasks.vbds import vbds
from tasks.vifs import vifs
from xenlaunch.copying import CopyRequest
from xenlaunch.model import Launch
from xenlaunch.names import COPY_STEPS, STEPS
from xenlaunch.xapi.pool import Pool

Step = Callable[[Launch, Pool], Launch]

LAUNCH: Final[tuple[Step, ...]] = (connect, clone, vbds, vifs, network, start, poll)

COPY: Final[tuple[Step, ...]] = (choose, copy, keep)

BODIES: Final[dict[str, Step]] = dict(zip(STEPS, LAUNCH, strict=True))
COPY_BODIES: Final[dict[str, Step]] = dict(zip(COPY_STEPS, COPY, strict=True))


def body(launch: Launch, step: str) -> Step:
    """What is carried out for this launch in a step."""
    return (COPY_BODIES if isinstance(launch.request, CopyRequest) else BODIES)[step]


def remaining(step: str, steps: tuple[str, ...] = STEPS) -> tuple[str, ...]:
    """The steps from this one on.

    >>> remaining("start")
    ('start', 'poll')
    """
    return steps[steps.index(step) :]


def following(step: str, steps: tuple[str, ...] = STEPS) -> str:
    """The step after this one; the last has none.

    >>> following("clone"), following("poll")
    ('vbds', '')
    """
    return (*steps, "")[steps.index(step) + 1]
