"""Files that a request file names for the guest: ``user_data_file`` is read into ``user_data``.

Only here, where somebody writes on their own machine; an application gives the text itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from xenlaunch.errors import BadRequest
from xenlaunch.guest import LONGEST

READ: Final = ("user_data", "network_config")


def with_files(fields: Mapping[str, Any], beside: Path) -> Mapping[str, Any]:
    """The fields of a request with what its files hold; a path is taken from beside the file."""
    guest = fields.get("guest")
    if not isinstance(guest, Mapping):
        return fields
    told = dict(guest)
    for name in READ:
        given = f"{name}_file"
        if given in told:
            if name in told:
                raise _bad(given, f"guest has both {name} and {given}: give one of them")
            told[name] = _read(told.pop(given), given, beside)
    return {**fields, "guest": told}


def _read(path: object, field: str, beside: Path) -> str:
    if not isinstance(path, str) or not path:
        raise _bad(field, f"guest.{field} is no path of a file")
    try:
        with (beside / path).open(encoding="utf-8", newline="") as file:
            text = file.read(LONGEST + 1)
    except OSError as unreadable:
        why = (unreadable.strerror or "it cannot be read").lower()
        raise _bad(field, f"guest.{field}: {path}: {why}") from None
    except ValueError:  # no UTF-8, or a path with a NUL in it
        raise _bad(field, f"guest.{field}: {path} is no text in UTF-8") from None
    if len(text) > LONGEST:
        raise _bad(field, f"guest.{field}: {path} is longer than {LONGEST} characters")
    return text


def _bad(field: str, sentence: str) -> BadRequest:
    return BadRequest(f"{sentence}.", [(("guest", field), sentence)])
