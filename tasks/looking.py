"""Looking at one object of a pool, which somebody may have removed meanwhile."""

from typing import Any

from tasks.hands import Asked
from xenlaunch.errors import Refused


def look(pool: Asked, cls: str, ref: str) -> dict[str, Any] | None:
    """An object's record, or None where it is gone."""
    try:
        record: dict[str, Any] = pool.read(f"{cls}.get_record", ref)
    except Refused as refused:
        if refused.code == "HANDLE_INVALID":
            return None
        raise
    return record
