"""The VBDs of a VM, and whose each is: cloned with the VM, made for its launch, or somebody's.

XAPI writes ``owner`` on the VBD of each disk that it clones. What we make bears our mark. A source
that an earlier launch made has that launch's marks on its VBDs, and so has the clone of it.
"""

from collections.abc import Mapping
from typing import Any

from tasks.hands import Asked
from xenlaunch import names
from xenlaunch.xapi.pool import NULL


def drives(pool: Asked, vm: str) -> dict[str, Any]:
    """The VBDs of a VM, by ref."""
    rows: dict[str, Any] = pool.read("VBD.get_all_records_where", f'field "VM"="{vm}"')
    return rows


def came_with_clone(row: Mapping[str, Any], whose: str) -> bool:
    """Whether a VBD has a disk of its own that was cloned with the VM of this launch."""
    is_disk = row["type"] == "Disk" and row["VDI"] != NULL
    return is_disk and "owner" in row["other_config"] and not is_marked(row, whose)


def is_marked(row: Mapping[str, Any], whose: str) -> bool:
    """Whether an object bears a mark of this launch: ``whose`` is what all of those begin with."""
    return str(row["other_config"].get(names.OTHER_CONFIG_MARK, "\n")).startswith(whose)


def marked(rows: Mapping[str, Any], mark: str) -> str | None:
    """The object that bears this mark, if there is one."""
    wanted = (
        ref for ref, row in rows.items() if row["other_config"].get(names.OTHER_CONFIG_MARK) == mark
    )
    return next(wanted, None)
