"""What a pool itself says against a VM on a host: asked of the template, which is there already.

``VM.assert_can_boot_here`` changes nothing, and says the first thing that is in the way. Of some of
these the request has its own: placement knows better than the template about memory, CPUs and
storage, and what is said of its NICs or its GPU is not true of a VM that gets others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tasks import lookup
from tasks.naming import with_names
from xenlaunch.errors import Place, PoolError, Refused
from xenlaunch.model import LaunchRequest

PLACED: Final = frozenset(
    {
        *("HOST_NOT_ENOUGH_FREE_MEMORY", "HOST_NOT_ENOUGH_PCPUS", "VM_REQUIRES_SR"),
        *("INVALID_VALUE", "VALUE_NOT_SUPPORTED", "MEMORY_CONSTRAINT_VIOLATION"),
        "HANDLE_INVALID",
    }
)
"""What is never true of the VM because it is true of its template."""

NICS: Final = frozenset(
    {
        *("VM_REQUIRES_NETWORK", "HOST_CANNOT_ATTACH_NETWORK"),
        "NETWORK_SRIOV_INSUFFICIENT_CAPACITY",
    }
)
GPUS: Final = frozenset(
    {
        *("VM_REQUIRES_GPU", "VM_REQUIRES_VGPU", "VM_REQUIRES_IOMMU"),
        "PGPU_INSUFFICIENT_CAPACITY_FOR_VGPU",
    }
)


@dataclass(frozen=True)
class Said:
    """The pool's sentence about a template on a host, and whether it is true of the VM too."""

    sentence: str = ""
    holds: bool = False


def ask(request: LaunchRequest, template: str, reader: lookup.Reader) -> Callable[[str], Said]:
    """What the pool says against the template on a host, by the host's ref."""

    def of_host(host: str) -> Said:
        try:
            reader.read("VM.assert_can_boot_here", template, host)
        except (Place, Refused) as error:
            return Said(with_names(error.message, reader.records), holds(error, request))
        return Said()

    return of_host


def holds(error: PoolError, request: LaunchRequest) -> bool:
    if error.code in NICS:
        return request.nics is None
    if error.code in GPUS:
        return request.gpu is None
    return isinstance(error, Place) and error.code not in PLACED
