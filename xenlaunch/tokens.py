"""The token of a submit, by which it can be repeated without launching anything twice."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from xenlaunch.errors import StoreUnreachable, SubmitUnknown


@contextmanager
def repeatable(token: str | None) -> Iterator[str]:
    """The token, or a new one; who does not know whether a submit arrived is told with which."""
    sure = token or str(uuid.uuid4())
    try:
        yield sure
    except StoreUnreachable as lost:
        raise SubmitUnknown(sure, lost.message) from lost
