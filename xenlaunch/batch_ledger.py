"""Batches in the ledger: written down, and counted.

Beside the launches themselves a batch has a hash, with what it was submitted as and the counters
that the scripts keep, and the list of its launches in order.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from xenlaunch.batch_status import BatchStatus
from xenlaunch.batches import ANYHOW, BatchPolicy
from xenlaunch.errors import TokenReused, UnknownLaunch
from xenlaunch.ledger import KEEP_BATCH, Ledger, batch_id, launch_id
from xenlaunch.model import LaunchRequest
from xenlaunch.store import reachable

AT_ONCE: Final = 1000
"""The most launches that are written, or written to, in one round trip."""


def submit_batch(
    ledger: Ledger,
    deployment: str,
    name: str,
    wanted: Sequence[LaunchRequest],
    token: str,
    policy: BatchPolicy = ANYHOW,
) -> tuple[str, list[str]]:
    """Write down a batch: one launch for each request, in order; its id and theirs.

    Raises `TokenReused` where the token stands for other requests, or for another policy.
    """
    batch, count = batch_id(deployment, token), len(wanted)
    said = policy.canonical()
    asked = [*(request.canonical() for request in wanted), *([said] if said else [])]
    digest = hashlib.sha256("\n".join(asked).encode()).hexdigest()
    tokens = [f"{token}/{index}" for index in range(1, count + 1)]
    launches = [launch_id(deployment, one) for one in tokens]
    described = (digest, count, name, KEEP_BATCH * ledger.times.keep, policy.fields(count))
    if ledger.store.run("submit_batch", batch, *described, *launches) == "reused":
        raise TokenReused(f"The token {token!r} was used before for another batch.")
    place = {"count": count, "digest": digest, "name": name}
    places = [json.dumps({"index": index, **place}) for index in range(1, count + 1)]
    for start in range(0, count, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        pairs = zip(wanted[part], tokens[part], strict=True)
        ledger.submit_all(deployment, pairs, batch, places[part])
    return batch, launches


def batch_status(ledger: Ledger, batch: str) -> BatchStatus:
    """How a batch stands, in one round trip. Raises `UnknownLaunch`."""
    key = ledger.store.key("batch", batch)
    with reachable(), ledger.store.redis.pipeline(transaction=False) as pipe:
        pipe.hgetall(key)
        pipe.zcard(f"{key}:launches")
        fields, known = pipe.execute()
    if "id" not in fields:
        raise UnknownLaunch(f"No batch has the id {batch!r}.")
    return BatchStatus.of(fields, known)


def is_batch(ledger: Ledger, name: str) -> bool:
    """Whether a batch has this id, not a launch."""
    with reachable():
        return bool(ledger.store.redis.exists(ledger.store.key("batch", name)))


def failed_of(ledger: Ledger, batch: str, limit: int) -> list[str]:
    """The launches of a batch that have failed, the latest first, at most so many."""
    with reachable():
        key = ledger.store.key("batch", batch, "failed")
        return list(ledger.store.redis.zrevrange(key, 0, limit - 1))
