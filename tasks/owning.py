"""Whose a VM is, written on it: this launch's, and not that of the launch that made its source."""

from collections.abc import Mapping
from typing import Any, Final

from xenlaunch import names
from xenlaunch.xapi.pool import Pool

COMES_WITH_SOURCE: Final = (
    *(names.OTHER_CONFIG_FINISHED, names.OTHER_CONFIG_KEPT),
    *(names.OTHER_CONFIG_GROUP, names.OTHER_CONFIG_COPY),
    names.OTHER_CONFIG_MARK,  # last: what stands beside another's mark says nothing of this VM
)
"""What a launch writes on its VM, which a clone of that VM bears as well."""


def own(pool: Pool, vm: str, record: Mapping[str, Any], prefix: str = "") -> None:
    """Mark a VM as this launch's, after what is on it of its source's has been taken off."""
    mark = pool.mark(record["uuid"])
    for key in strange(record, mark):
        pool.do(f"{prefix}disown:{key}", "VM.remove_from_other_config", vm, key)
    pool.do(
        f"{prefix}mark",
        *("VM.add_to_other_config", vm, names.OTHER_CONFIG_MARK, mark),
        find=lambda: "" if bears(pool, vm, mark) else None,
    )


def strange(record: Mapping[str, Any], mark: str) -> list[str]:
    """The keys that came with the source; none where the VM is marked already."""
    marks = record["other_config"]
    if marks.get(names.OTHER_CONFIG_MARK, mark) == mark:
        return []
    return [key for key in COMES_WITH_SOURCE if key in marks]


def disowned(record: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """The record as it is once what came with the source has been taken off."""
    gone = strange(record, mark)
    kept = {key: value for key, value in record["other_config"].items() if key not in gone}
    return {**record, "other_config": kept}


def bears(pool: Pool, vm: str, mark: str) -> bool:
    marks = pool.read("VM.get_other_config", vm)
    return bool(marks.get(names.OTHER_CONFIG_MARK) == mark)
