"""Every name that goes over the wire, written once: tasks, queues, steps and keys.

Plain strings on purpose: a ``StrEnum`` member has ``.name``, and Celery would take it for a task.
"""

from typing import Final

PREFIX: Final = "xenlaunch:"
"""In front of every key that we, Celery and kombu write into Redis."""

CONNECT: Final = "connect"
CLONE: Final = "clone"
VBDS: Final = "vbds"
VIFS: Final = "vifs"
NETWORK: Final = "network"
START: Final = "start"
POLL: Final = "poll"
UNDO: Final = "undo"

STEPS: Final = (CONNECT, CLONE, VBDS, VIFS, NETWORK, START, POLL)
"""The steps of a launch in their order. Undo is a leased step too, but no link of the chain."""

COPY_STEPS: Final = (CONNECT, CLONE, POLL)
"""Those of a launch that makes a copy of a template."""

TASK_CONNECT: Final = "xenlaunch.connect"
TASK_CLONE: Final = "xenlaunch.clone"
TASK_VBDS: Final = "xenlaunch.vbds"
TASK_VIFS: Final = "xenlaunch.vifs"
TASK_NETWORK: Final = "xenlaunch.network"
TASK_START: Final = "xenlaunch.start"
TASK_POLL: Final = "xenlaunch.poll"
TASK_UNDO: Final = "xenlaunch.undo"
TASK_LOOK: Final = "xenlaunch.look"
TASK_CANCEL: Final = "xenlaunch.cancel"
TASK_PLAN: Final = "xenlaunch.plan"
TASK_POOLS: Final = "xenlaunch.pools"
TASK_ADOPT: Final = "xenlaunch.adopt"
TASK_NETWORKS: Final = "xenlaunch.networks"
TASK_COPIES: Final = "xenlaunch.copies"
TASK_SPREAD: Final = "xenlaunch.spread"
TASK_REMOVE_COPIES: Final = "xenlaunch.remove_copies"

TASK_OF: Final = {
    CONNECT: TASK_CONNECT,
    CLONE: TASK_CLONE,
    VBDS: TASK_VBDS,
    VIFS: TASK_VIFS,
    NETWORK: TASK_NETWORK,
    START: TASK_START,
    POLL: TASK_POLL,
    UNDO: TASK_UNDO,
}
"""The Celery task that runs a step."""

CONTROL_QUEUE: Final = "xenlaunch.control"

OTHER_CONFIG_MARK: Final = "xenlaunch"
"""The key of our mark in an ``other_config``; in a pool task's it is ``http:xenlaunch``."""

OTHER_CONFIG_DISK: Final = "xenlaunch-disk"
"""On a disk that was made for a launch: its own ref. Another's ref in it tells a copy."""

DOM0: Final = "dom0"
"""What the mark of a control domain's VIF says of it, and the keys of the calls that make it."""

MADE_BY_US: Final = "Made by xenlaunch"
"""The description of the disks that are made: what they are listed by, their marks decide."""

OTHER_CONFIG_FINISHED: Final = "xenlaunch-finished"
"""Set on a VM and its new disks once their launch is finishing: not ours to remove any more.
"""

OTHER_CONFIG_KEPT: Final = "xenlaunch-kept"
"""Set on what a failed launch left behind on its owner's word (``on_failure: keep``)."""

OTHER_CONFIG_GROUP: Final = "xenlaunch-group"
"""On a VM that was asked to be kept together with others, or apart: what is kept, and the name."""

OTHER_CONFIG_COPY: Final = "xenlaunch-copy"
"""Set on a copy of a template that was made here: the uuid of what it was copied from."""

OTHER_CONFIG_NETWORK: Final = "xenlaunch-network"
"""On a network that was made for all launches: the deployment that has made it, and may prune it.
"""


def generation_key(deployment: str) -> str:
    """The key in a pool's ``other_config`` under which it bears this deployment's generation."""
    return f"xenlaunch-generation:{deployment}"


def epoch_key(deployment: str) -> str:
    """The key in a pool's ``other_config`` that tells an older copy of the ledger from this one."""
    return f"xenlaunch-epoch:{deployment}"


def pool_queue(pool: str) -> str:
    """The queue on which the steps of a pool's launches travel."""
    return f"xenlaunch.pool.{pool}"


def task_id(launch: str, step: str) -> str:
    """The id of the Celery task that runs this step of this launch: always the same.

    >>> task_id("l-7f3k", "poll")
    'l-7f3k.poll'
    """
    return f"{launch}.{step}"


GUEST: Final = "guest:"
"""How what a launch is parked on begins, if that is its guest."""


def working_name(deployment: str, launch: str, attempt: int) -> str:
    """The name a VM bears until its launch succeeds.

    >>> working_name("lab-east", "l-7f3k", 1)
    'xenlaunch:lab-east:l-7f3k:1'
    """
    return f"xenlaunch:{deployment}:{launch}:{attempt}"


BREAKER: Final = "breaker:"
"""How what a launch is parked on begins, if that is that its pool answers again."""


def breaker_ref(launch: str) -> str:
    """What a launch is parked on while its pool's breaker is open: nobody shares it."""
    return f"{BREAKER}{launch}"


def breaker_field(pool: str) -> str:
    """Where in the record of the deployment a pool's breaker lies while it is open."""
    return f"breaker:{pool}"


def guest_ref(vm: str, condition: str) -> str:
    """What a launch is parked on that waits for its guest, until that meets the condition."""
    return f"{GUEST}{vm} {condition}"
