"""A launch on one screen: the steps, in their order."""

from collections.abc import Callable
from typing import Final

from tasks.clone import clone
from tasks.connect import connect
from tasks.network import network
from tasks.poll import poll
from tasks.start import start
from tasks.vbds import vbds
from tasks.vifs import vifs
from xenlaunch.model import Launch
from xenlaunch.names import STEPS
from xenlaunch.xapi.pool import Pool

Step = Callable[[Launch, Pool], Launch]

LAUNCH: Final[tuple[Step, ...]] = (connect, clone, vbds, vifs, network, start, poll)

BODIES: Final[dict[str, Step]] = dict(zip(STEPS, LAUNCH, strict=True))


def remaining(step: str) -> tuple[str, ...]:
    """The steps from this one on.

    >>> remaining("start")
    ('start', 'poll')
    """
    return STEPS[STEPS.index(step) :]


def following(step: str) -> str:
    """The step after this one; the last has none.

    >>> following("clone"), following("poll")
    ('vbds', '')
    """
    return (*STEPS, "")[STEPS.index(step) + 1]
