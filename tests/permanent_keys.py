"""The Redis keys that may stay for ever, and why. Every other key must have a TTL."""

from typing import Final

PERMANENT: Final = {
    "xenlaunch:_kombu.binding*": "kombu's table of which queue hears which exchange",
    "xenlaunch:unacked*": "messages that a killed worker had, until another one restores them",
    "xenlaunch:deployment": "whose launches these are",
    "xenlaunch:events": "a stream that is capped by length",
    "xenlaunch:state:*": "which launches are in which state; what has expired is dropped from it",
    "xenlaunch:due": "the launches that somebody must look at; each leaves it with its end",
}
"""Patterns, as in the shell."""
