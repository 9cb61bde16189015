"""Waiting for the guest, once its VM runs: parked, and never for longer than was asked.

For what the guest tells, the launch is parked until the watcher hears of it. A port nobody tells
of: it is tried from here, with a short time-out, and between two tries the launch is parked.
What has not come when the time is up is no failure: the VM runs. The launch says what was missing.
"""

import json
import socket
from typing import Final

from tasks.told import condition, has_agent, met, metrics_of
from xenlaunch import names
from xenlaunch.errors import Parked
from xenlaunch.model import Launch
from xenlaunch.waiting import Awaited
from xenlaunch.xapi.pool import Pool

CONNECT_SECONDS: Final = 1.0
"""How long one try to reach a port may take."""

TRIED_ADDRESSES: Final = 4
"""How many of a guest's addresses are tried at once, one after the other."""

PAUSES: Final = (0.5, 15.0)
"""The shortest and the longest pause between two tries, in seconds."""

NO_ADDRESS: Final = "running, no address"


def await_guest(launch: Launch, pool: Pool) -> tuple[tuple[str, ...], str]:
    """Park until the guest is as far as was asked; the addresses that say so, and what is not."""
    wait = launch.request.wait_for
    if wait == "running":
        return (), ""
    awaited = None if wait == "agent" else wait if isinstance(wait, Awaited) else Awaited()
    told = await_word(launch, pool, awaited)
    if told is None:
        return (), missing(launch, pool, awaited)
    if awaited is None or awaited.port is None:
        return told, ""
    return told, await_port(launch, pool, told, awaited.port)


def await_word(launch: Launch, pool: Pool, awaited: Awaited | None) -> tuple[str, ...] | None:
    """What the guest has told; None where it has not in all the time that it was given."""
    wanted = condition(awaited)
    ref = names.guest_ref(launch.vm, wanted)
    told = met(wanted, metrics_of(pool.records, launch.vm))
    noted = pool.noted(ref)
    if told is None and noted is not None:
        told = tuple(json.loads(noted))
    left = launch.request.wait_seconds - pool.waited()
    if told is None and left > 0:
        raise Parked("its guest tools" if awaited is None else str(awaited), ref, left)
    return told


def await_port(launch: Launch, pool: Pool, addresses: tuple[str, ...], port: int) -> str:
    if any(opens(address, port) for address in addresses[:TRIED_ADDRESSES]):
        return ""
    waited = pool.waited()
    left = launch.request.wait_seconds - waited
    where = f"port {port} of {addresses[0]}"
    if left > 0:
        shortest, longest = PAUSES
        raise Parked(f"{where} to open", "", min(left, max(shortest, min(waited / 4, longest))))
    return f"running, {where} not open"


def opens(address: str, port: int) -> bool:
    """Whether something takes a connection there."""
    try:
        with socket.create_connection((address, port), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def missing(launch: Launch, pool: Pool, awaited: Awaited | None) -> str:
    """What a guest that was waited for in vain has not got."""
    if awaited is None:
        return "running, no guest tools"
    if not has_agent(metrics_of(pool.records, launch.vm)):
        return f"{NO_ADDRESS}: its guest tools are not there, or have told nothing yet"
    which = "" if awaited == Awaited(port=awaited.port) else f" ({awaited})"
    return f"{NO_ADDRESS}{which}: its guest tools are there, a lease is missing"
