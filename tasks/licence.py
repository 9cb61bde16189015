"""Whether a pool's licence allows what a request asks for. Nothing is sent.

XAPI looks at that call by call, when the clone is there already.
"""

from typing import Final

from tasks import lookup
from xenlaunch.errors import Refused
from xenlaunch.machine import MemoryRange
from xenlaunch.model import LaunchRequest

BALLOONING: Final = ("restrict_dmc", "DMC", "a range of memory")
LOCKING: Final = ("restrict_vif_locking", "VIF_locking", "a NIC that is locked to addresses")
"""A key of the pool's ``restrictions``, XAPI's name for the feature, and people's."""


def check_licence(request: LaunchRequest, records: lookup.Cache) -> None:
    """Raise `Refused` with XAPI's own code for what the pool's licence leaves out."""
    pool = next(iter(records.all("pool").values()))
    for key, feature, name in asked(request):
        if pool.get("restrictions", {}).get(key) == "true":
            said = f"The pool's licence does not include what the request asks for: {name}."
            raise Refused("LICENCE_RESTRICTION", [feature], said)


def asked(request: LaunchRequest) -> list[tuple[str, str, str]]:
    """What of the request wants a licence."""
    memory, nics = request.memory, request.nics or ()
    balloons = isinstance(memory, MemoryRange) and memory.min < memory.max
    locks = any(
        nic.locking_mode == "locked" or nic.ipv4_allowed or nic.ipv6_allowed for nic in nics
    )
    return [*([BALLOONING] if balloons else []), *([LOCKING] if locks else [])]
