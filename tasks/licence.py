"""Whether a pool's licence allows what a request asks for. Nothing is sent.

XAPI looks at that call by call, when the clone is there already.
"""

from collections.abc import Mapping
from typing import Final

from tasks import lookup
from tasks.suits import NESTS, is_on, platform_of
from xenlaunch.errors import Refused
from xenlaunch.machine import MemoryRange
from xenlaunch.model import LaunchRequest

BALLOONING: Final = ("restrict_dmc", "DMC", "a range of memory")
LOCKING: Final = ("restrict_vif_locking", "VIF_locking", "a NIC that is locked to addresses")
ADDRESSES: Final = ("restrict_guest_ip_setting", "Guest_ip_setting", "a NIC's static address")
GRAPHICS: Final = ("restrict_gpu", "GPU", "a GPU")
NESTING: Final = ("restrict_nested_virt", "Nested_virt", "virtual machines in the VM")
"""A key of the pool's ``restrictions``, XAPI's name for the feature, and people's."""


def check_licence(
    request: LaunchRequest, template: lookup.Row, records: lookup.Cache, *, is_8_2: bool = False
) -> None:
    """Raise `Refused` with XAPI's own code for what the pool's licence leaves out."""
    pool = next(iter(records.all("pool").values()))
    for key, feature, name in asked(request, platform_of(request, template, is_8_2=is_8_2)):
        if pool.get("restrictions", {}).get(key) == "true":
            said = f"The pool's licence does not include what the request asks for: {name}."
            raise Refused("LICENCE_RESTRICTION", [feature], said)


def asked(request: LaunchRequest, platform: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """What of the request wants a licence, and of what the VM's ``platform`` will say."""
    memory, nics = request.memory, request.nics or ()
    wanted = (
        (BALLOONING, isinstance(memory, MemoryRange) and memory.min < memory.max),
        (LOCKING, any(nic.locks for nic in nics)),
        (ADDRESSES, any(nic.ipv4 or nic.ipv6 for nic in nics)),
        (GRAPHICS, request.gpu is not None),
        (NESTING, is_on(platform, NESTS)),
    )
    return [feature for feature, is_wanted in wanted if is_wanted]
