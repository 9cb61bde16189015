"""Whose an object of a pool is, by what we have written on it.

A VM's mark has the VM's own uuid in it, and a disk that was made bears its own ref beside its mark:
where it is another's, the object is a copy that somebody made of ours, and theirs.
"""

from collections.abc import Mapping
from typing import Any

from xenlaunch import names

Row = Mapping[str, Any]


def launch_of_vm(row: Row, deployment: str) -> str:
    """The launch of this deployment that made a VM, or '' where none did.

    A VM that has no mark yet but a working name was cloned a moment ago.
    """
    mark = row["other_config"].get(names.OTHER_CONFIG_MARK)
    if row["is_a_snapshot"]:
        return ""
    if mark is None:
        return launch_of_name(row["name_label"], deployment)
    owner, launch, subject = _parts(str(mark))
    return launch if (owner, subject) == (deployment, row["uuid"]) else ""


def mark_of_source(row: Row, deployment: str) -> str:
    """The mark that a VM with a working name of ours has from what it was cloned from, or ''.

    What an earlier launch made bears that launch's mark, and so does each clone of it at first.
    Whether it was a launch that cloned it, and not somebody who gave such a name, its record tells.
    """
    mark = str(row["other_config"].get(names.OTHER_CONFIG_MARK, ""))
    owner, launch, subject = _parts(mark)
    named = launch_of_name(row["name_label"], deployment)
    is_its_own = subject == row["uuid"] or (owner, launch) == (deployment, named)
    return mark if named and not (is_its_own or row["is_a_snapshot"]) else ""


def marks_of_vm(row: Row) -> str:
    """What all marks of the launch begin with that made a VM; of a VM that is nobody's, ''."""
    owner, launch, subject = _parts(str(row["other_config"].get(names.OTHER_CONFIG_MARK, "")))
    if subject != row["uuid"]:
        _, owner, launch, _ = _name_parts(row["name_label"])
    return f"{owner}/{launch}/" if launch else ""


def launch_of_disk(ref: str, row: Row, deployment: str) -> str:
    """The launch of this deployment that made a disk anew, or ''. Those of a clone bear no mark."""
    other_config = row["other_config"]
    owner, launch, subject = _parts(str(other_config.get(names.OTHER_CONFIG_MARK, "")))
    if owner != deployment or not subject.startswith("vdi:") or row["is_a_snapshot"]:
        return ""
    return launch if other_config.get(names.OTHER_CONFIG_DISK, ref) == ref else ""


def launch_of_bridge(row: Row, deployment: str) -> str:
    """The launch of this deployment that gave a control domain this VIF, or ''."""
    mark = str(row["other_config"].get(names.OTHER_CONFIG_MARK, ""))
    owner, launch, subject = _parts(mark)
    return launch if owner == deployment and subject.startswith(f"{names.DOM0}:") else ""


def launch_of_name(name: str, deployment: str) -> str:
    """The launch whose working name this is, or ''.

    >>> launch_of_name("xenlaunch:lab-east:l-7f3k:2", "lab-east")
    'l-7f3k'
    """
    _, owner, launch, _ = _name_parts(name)
    return launch if owner == deployment else ""


def _name_parts(name: str) -> list[str]:
    parts = name.split(":")
    is_ours = len(parts) == 4 and parts[0] == "xenlaunch" and parts[3].isdecimal()
    return parts if is_ours else ["", "", "", ""]


def is_settled(row: Row) -> bool:
    """Whether an object is its owner's: its launch succeeded, or left it on the owner's word."""
    marks = row["other_config"]
    return names.OTHER_CONFIG_FINISHED in marks or names.OTHER_CONFIG_KEPT in marks


def _parts(mark: str) -> tuple[str, str, str]:
    match mark.split("/"):
        case [owner, launch, subject]:
            return owner, launch, subject
    return "", "", ""
