"""The Redis keys that may stay for ever, and why. Every other key must have a TTL."""

from typing import Final

PERMANENT: Final = {
    "xenlaunch:_kombu.binding*": "kombu's table of which queue hears which exchange",
    "xenlaunch:unacked*": "messages that a killed worker had, until another one restores them",
}
"""Patterns, as in the shell."""
