"""Names in place of refs, in what a pool says: nobody can act on an opaque ref."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tasks.lookup import Cache
from xenlaunch.errors import PoolError

REF: Final = re.compile(r"OpaqueRef:[0-9A-Za-z-]+")
CLASSES: Final = ("host", "sr", "network", "vm", "gpu_group")
"""The classes whose objects a pool speaks of in its errors, and people call by name."""


def with_names(sentence: str, records: Cache) -> str:
    """The sentence with the name of each object that is known, and the ref of any other."""

    def name(found: re.Match[str]) -> str:
        rows = (records.get(cls, found[0]) for cls in CLASSES)
        return next((f"'{row['name_label']}'" for row in rows if row), found[0])

    return REF.sub(name, sentence)


@contextmanager
def naming(records: Cache) -> Iterator[None]:
    """Have what the pool refuses say names. What is sent or compared are its params, not this."""
    try:
        yield
    except PoolError as error:
        error.args = (with_names(error.message, records),)
        raise
