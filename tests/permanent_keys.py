"""The Redis keys that may stay without a TTL, and why. Every other key must have one."""

from typing import Final

PERMANENT: Final = {
    "xenlaunch:_kombu.binding*": "kombu's table of which queue hears which exchange",
    "xenlaunch:xenlaunch.*": "a queue: hints that no worker has taken yet",
    "xenlaunch:unacked*": "messages that a killed worker had, until another one restores them",
    "xenlaunch:deployment": "whose launches these are",
    "xenlaunch:events": "a stream that is capped by length",
    "xenlaunch:slots:*": "how many slots a pool's SRs and hosts have: some fields for each",
    "xenlaunch:copies:*": "which launch is to make each copy of a template that was ever wanted",
    "xenlaunch:batches": "which batches there are; what has expired is dropped from it",
    "xenlaunch:reserved:*": "which version of a pool's reservations is the latest: one word a pool",
    "xenlaunch:state:*": "which launches are in which state; what has expired is dropped from it",
}
"""Patterns, as in the shell."""

WHILE_LIVE: Final = {
    "xenlaunch:launch:*": "a launch's record and what lies beside it; telling its end dates them",
    "xenlaunch:batch:*": "a batch; telling the end of a launch of it dates it",
    "xenlaunch:due_batches": "the batches that have news; each leaves it when it was looked at",
    "xenlaunch:due": "the launches that somebody must look at; each leaves it when it was told",
    "xenlaunch:waiting:*": "a pool's line; each leaves it with its turn or its end",
    "xenlaunch:fair:*": "what owners have had of a pool's line; it goes when the pool is idle",
    "xenlaunch:line:*": "an owner's launches in a line; each leaves it with its turn or its end",
    "xenlaunch:inflight:*": "a pool's slots and reservations; each is freed with its end",
    "xenlaunch:slot:*": "who has an SR or a host work; each is freed when that is over",
    "xenlaunch:slotline:*": "who waits for an SR or a host; each leaves it with its turn",
    "xenlaunch:ready:*": "who waits for a message to be taken; each leaves it when it is claimed",
    "xenlaunch:parked:*": "what is waited for on a pool; each goes with the waking",
    "xenlaunch:hunting:*": "who looks for disks without a mark; each leaves it with its end",
    "xenlaunch:networks:*": "who is to be on which network; each leaves it with its end",
    "xenlaunch:macs:*": "the MACs and disks that are claimed on a pool; each is freed with its end",
}
"""Patterns of keys that may stay as long as every launch they name lives: its end is not told."""
