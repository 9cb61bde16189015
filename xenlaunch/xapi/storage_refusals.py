"""What storage back ends refuse with: the part of ``refusals`` that bears numbers for names.

XAPI hands a back end's error through as SR_BACKEND_FAILURE_<n>, whose second parameter is the back
end's own message. What may pass by itself is tried a few times more; the rest is refused.
"""

from typing import Final

_N: Final = "SR_BACKEND_FAILURE_"

UNSTEADY: Final = {
    f"{_N}16": "The storage is in use by another operation: {1}",
    f"{_N}24": "The disk is in use by another operation: {1}",
    f"{_N}37": "The storage could not take its lock: {1}",
    f"{_N}46": "The disk is not available at the moment: {1}",
    f"{_N}47": "The storage is not available at the moment: {1}",
    f"{_N}81": "The storage could not clone the disk: {1}",
    f"{_N}82": "The storage could not take a snapshot of the disk: {1}",
    f"{_N}201": "The storage asks to be tried again: {1}",
    f"{_N}202": "The storage met an error: {1}",
    f"{_N}453": "The host could not open the disk (tapdisk): {1}",
    "SR_UNHEALTHY": "The storage {0} is unhealthy.",
    "VDI_NOT_AVAILABLE": "The disk {0} is not available at the moment.",
}

STORAGE_REFUSED: Final = {
    "SR_BACKEND_FAILURE": "The storage failed ({0}): {2}",
    f"{_N}44": "The storage is full: {1}. Free some space, or use another storage.",
    f"{_N}65": "The storage cannot load the disk: {1}",
    f"{_N}78": "The storage could not make the disk: {1}",
    f"{_N}79": "The storage does not take a disk of this size: {1}",
    f"{_N}80": "The storage could not delete the disk: {1}",
    f"{_N}109": "The disk's chain of snapshots is too long; let the storage coalesce it: {1}",
    f"{_N}140": "The storage's server has a name that is not known: {1}",
    f"{_N}200": "The storage met an input/output error: {1}",
    f"{_N}1200": "The storage driver failed: {1}",
    "SR_FULL": "The storage is full: {0:size} are asked for, {1:size} at most can be had.",
    "OUT_OF_SPACE": "There is no space left in {0}.",
    "SR_HAS_NO_PBDS": "The storage {0} is connected to no host.",
    "SR_OPERATION_NOT_SUPPORTED": "The storage {0} cannot do that.",
    "SR_NOT_SHARABLE": "The storage {0} cannot be shared with the host {1}.",
    "VDI_READONLY": "The disk {0} is read-only.",
    "VDI_NOT_MANAGED": "The pool does not manage the disk {0}.",
    "VDI_MISSING": "The disk {1} is gone from the storage {0}.",
    "VDI_LOCATION_MISSING": "The disk at {1} is gone from the storage {0}.",
    "VDI_INCOMPATIBLE_TYPE": "The disk {0} is of a type ({1}) that cannot be used so.",
    "VDI_IS_A_PHYSICAL_DEVICE": "{0} is a physical device.",
    "VDI_IS_NOT_ISO": "{0} is no ISO image ({1}).",
    "VDI_IO_ERROR": "The disk met an input/output error: {0}",
    "VDI_COPY_FAILED": "The disk could not be copied.",
    "VDI_TOO_LARGE": "The disk {0} is too large; {1} is the most.",
    "VDI_TOO_SMALL": "The disk {0} is too small; {1} is the least.",
    "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION": "The disk forgets its changes at each boot, "
    "which rules this out.",
    "DEFAULT_SR_NOT_FOUND": "The pool has no default storage; name one, or set it in the pool.",
}
