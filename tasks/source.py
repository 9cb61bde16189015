"""Whether what a request names as its template can be cloned now: it may be a VM or a snapshot."""

from tasks import lookup
from xenlaunch.errors import Refused


def check_source(row: lookup.Row) -> None:
    """Raise `Refused` for a VM that is not halted, is not finished, or has its memory with it."""
    name, state = row["name_label"], str(row["power_state"]).lower()
    if name.startswith("xenlaunch:"):
        raise Refused("SOURCE_UNFINISHED", [row["uuid"]], f"{name!r} is a VM that is being made.")
    if row["is_a_snapshot"] and state == "suspended":
        raise Refused(
            "SOURCE_HAS_MEMORY",
            [row["uuid"]],
            f"{name!r} is a snapshot with the VM's memory in it, and a clone of it could not be "
            "started: take a snapshot without.",
        )
    if state != "halted" and not row["is_a_snapshot"]:
        raise Refused(
            "SOURCE_NOT_HALTED",
            [row["uuid"], state],
            f"{name!r} is a VM that is {state}, and only a halted one can be cloned: "
            "halt it, or take a snapshot and launch from that.",
        )
