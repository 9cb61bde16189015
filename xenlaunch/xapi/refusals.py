"""The one table from XAPI's error codes to what happens next, with a sentence for each.

A code that is not listed is refused: a launch that ends for a reason nobody foresaw is better than
one that is tried again on every host. Three codes say too little by themselves, and are read
further in ``refusal``: HANDLE_INVALID (an object, or the job that was waited for?), INTERNAL_ERROR
(a fault, or a line that broke inside the pool?) and OPERATION_NOT_ALLOWED (for ever, or now?).

The codes at the end of the lists, from POOL_UNREACHABLE on, are our own: what this process
saw when the pool itself said nothing.

In a sentence, ``{0}`` is the error's first parameter; ``{0:size}`` shows bytes as people do.
"""

import re
import string
from collections.abc import Sequence
from typing import Any, Final

from xenlaunch.errors import (
    Busy,
    LostRace,
    OutcomeUnknown,
    Place,
    PoolError,
    Redirected,
    Refused,
    SessionLost,
    ShutOut,
    Unsteady,
)
from xenlaunch.xapi.storage_refusals import STORAGE_REFUSED, UNSTEADY

SESSION: Final = {
    "SESSION_INVALID": "The pool has forgotten our session; log in again.",
    "SESSION_REPLACED": "This process has logged in anew since; nothing was sent.",
}

REDIRECT: Final = {
    "HOST_IS_SLAVE": "This host is no master; the pool's master is {0}.",
}

BUSY: Final = {
    "HOST_STILL_BOOTING": "The host's toolstack is still starting.",
    "HOST_IN_EMERGENCY_MODE": "The host is in emergency mode: it has lost its pool's master.",
    "HOST_HAS_NO_MANAGEMENT_IP": "The host's management interface has no address yet.",
    "HOST_UNKNOWN_TO_MASTER": "The master does not know host {0}.",
    "HOST_MASTER_CANNOT_TALK_BACK": "The master cannot reach the host at {0}.",
    "DESIGNATE_NEW_MASTER_IN_PROGRESS": "The pool is getting a new master.",
    "TOO_MANY_PENDING_TASKS": "The pool has too many jobs waiting already.",
    "TOO_BUSY": "The pool is too busy.",
    "OTHER_OPERATION_IN_PROGRESS": "The {0} {1} is busy with another operation ({2}).",
    "VDI_IN_USE": "The disk {0} is in use, by another VM or by an operation on it.",
    "DEVICE_ATTACH_TIMEOUT": "A {0} ({1}) was not attached in time.",
    "DEVICE_DETACH_TIMEOUT": "A {0} ({1}) was not detached in time.",
    "VM_CALL_PLUGIN_RATE_LIMIT": "The VM {0} was asked too often; again after {2} s.",
    "SM_PLUGIN_COMMUNICATION_FAILURE": "The storage plug-in {0} does not answer.",
    "TLS_CONNECTION_FAILED": "The pool could not open an encrypted line to {0}:{1}.",
    "POOL_UNREACHABLE": "The pool {0} cannot be reached at {1}: {2}.",
    "POOL_BUSY_HERE": "This process has {1} calls to the pool {0} under way: no more at a time.",
    "UNSENT": "{0} was not reached: {1}.",
}

PLACE: Final = {
    "HOST_NOT_ENOUGH_FREE_MEMORY": "The host has {1:size} of memory free, the VM needs {0:size}: "
    "free some, or ask for less.",
    "NO_HOSTS_AVAILABLE": "No host of the pool can run this VM now.",
    "HOST_DISABLED": "The host {0} is disabled; enable it, or leave maintenance mode.",
    "HOST_DISABLED_INDEFINITELY": "The host {0} is disabled until somebody enables it.",
    "HOST_DISABLED_UNTIL_REBOOT": "The host {0} is disabled until it has been rebooted.",
    "HOST_NOT_LIVE": "The host is down.",
    "HOST_OFFLINE": "The host {0} is offline.",
    "HOST_BROKEN": "The host does not work; its administrator must look at it.",
    "HOST_EVACUATE_IN_PROGRESS": "The host {0} is being evacuated.",
    "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY": "The host {0} must finish its update first.",
    "NOT_SUPPORTED_DURING_UPGRADE": "The pool is being upgraded, and this host is not yet.",
    "VM_REQUIRES_SR": "The host cannot see the storage {1} that the VM {0} needs.",
    "HOST_CANNOT_SEE_SR": "The host {0} cannot see the storage {1}.",
    "SR_NOT_ATTACHED": "The storage {0} is not attached to the host.",
    "SR_ATTACH_FAILED": "The storage {0} could not be attached to the host.",
    "VM_REQUIRES_NETWORK": "The host has no way into the network {1} that the VM {0} needs.",
    "HOST_CANNOT_ATTACH_NETWORK": "The host {0} cannot attach the network {1}.",
    "PIF_NOT_PRESENT": "The host {0} has no interface on the network {1}.",
    "REQUIRED_PIF_IS_UNPLUGGED": "The interface {0} that is needed is unplugged.",
    "INTERFACE_HAS_NO_IP": "The host's interface {0} has no address.",
    "NETWORK_SRIOV_INSUFFICIENT_CAPACITY": "The host has no SR-IOV function left on network {0}.",
    "VM_HVM_REQUIRED": "The host cannot run the VM {0}: it has no hardware virtualisation.",
    "HOST_NOT_ENOUGH_PCPUS": "The VM has {0} vCPUs, the host only {1} CPUs.",
    "VM_INCOMPATIBLE_WITH_THIS_HOST": "The VM {0} does not fit the host {1}: {2}.",
    "VM_HOST_INCOMPATIBLE_VERSION": "The VM {1} needs another version than host {0} runs.",
    "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION": "The VM {2} needs virtual hardware "
    "{3}; the host {0} offers {1}.",
    "VMS_FAILED_TO_COOPERATE": "The VMs on the host did not give memory back in time.",
    "VM_REQUIRES_GPU": "The host has no GPU free of the group {1} that the VM {0} needs.",
    "VM_REQUIRES_VGPU": "The host has no virtual GPU free that the VM {0} needs ({2}).",
    "VM_REQUIRES_VUSB": "The host has no USB device of the group {1} that the VM {0} needs.",
    "VM_REQUIRES_IOMMU": "The host {0} has no IOMMU, and the VM needs one.",
    "PGPU_INSUFFICIENT_CAPACITY_FOR_VGPU": "The GPU {0} has no room for a {1}.",
}

LOST_RACE: Final = {
    "BRIDGE_NAME_EXISTS": "There is a network with the bridge {0} already.",
    "PIF_VLAN_EXISTS": "The interface {0} has this VLAN already.",
    "VLAN_IN_USE": "The VLAN {1} is in use on {0} already.",
    "NETWORK_ALREADY_CONNECTED": "The network has an interface on this host already: {1}.",
    "PBD_EXISTS": "The storage {0} is connected to the host {1} already.",
    "DEVICE_ALREADY_EXISTS": "The VM has a device {0} already.",
    "DEVICE_ALREADY_ATTACHED": "The device {0} is attached already.",
    "DEVICE_ALREADY_DETACHED": "The device {0} is detached already.",
    "MAP_DUPLICATE_KEY": "The key {3} is set already in {1} of the {0} {2}.",
}

UNKNOWN: Final = {
    "CANNOT_CONTACT_HOST": "The master lost the host {0}, which may have done it.",
    "TASK_CANCELLED": "The pool's job was cancelled, perhaps too late.",
    "TASK_GONE": "The pool's job is gone, and how it ended with it.",
    "TASK_RUNNING": "The pool's job has not ended yet.",
    "TASK_SILENT": "The pool's job failed and does not say why.",
    "CONNECTION_LOST": "The answer to {0} was lost on the way from {1}: {2}.",
    "ANSWER_LATE": "{1} took the call {0} and did not answer in time.",
    "ANSWER_UNREADABLE": "{1} answered the call {0}, but not in a way to be read: {2}.",
}

SHUT_OUT: Final = {
    "SESSION_AUTHENTICATION_FAILED": "The pool does not accept the user {0} with this password; "
    "correct the pools file.",
    "SESSION_AUTHORIZATION_FAILED": "The user {0} has no role in this pool: {1}",
    "PASSWORD_MISSING": "The password of the pool {0} is not to be had: {1}",
}

REFUSED: Final = STORAGE_REFUSED | {
    "HANDLE_INVALID": "The {0} is gone from the pool ({1}).",
    "UUID_INVALID": "The pool has no {0} with the uuid {1}.",
    "OBJECT_NOLONGER_EXISTS": "What the call is about is gone from the pool.",
    "INTERNAL_ERROR": "The pool met an error of its own: {0}",
    "OPERATION_NOT_ALLOWED": "The pool does not allow that: {0}",
    "OPERATION_BLOCKED": "Somebody has blocked this operation on {0} (reason: {1}).",
    "INVALID_VALUE": "The pool does not take this value of {0}: {1}",
    "VALUE_NOT_SUPPORTED": "The pool does not take the value {1} of {0}: {2}",
    "FIELD_TYPE_ERROR": "The value of {0} is of the wrong type.",
    "NOT_IMPLEMENTED": "The pool does not know how to do that ({0}).",
    "MESSAGE_METHOD_UNKNOWN": "The pool does not know the call {0}; its version may be too old.",
    "MESSAGE_PARAMETER_COUNT_MISMATCH": "The pool takes {1} parameters for {0}, not {2}.",
    "MESSAGE_REMOVED": "The pool no longer has this call.",
    "RBAC_PERMISSION_DENIED": "The user of the pools file lacks the permission {0}: {1}",
    "PERMISSION_DENIED": "The pool denies permission: {0}",
    "LICENCE_RESTRICTION": "The pool's licence does not include {0}.",
    "LICENSE_EXPIRED": "The pool's licence has expired.",
    "FEATURE_REQUIRES_HVM": "What the VM is to have needs it to boot as HVM: {0}",
    "FEATURE_RESTRICTED": "The pool's licence does not include this.",
    "VM_BAD_POWER_STATE": "The VM {0} is {2}; for this it must be {1}.",
    "VM_IS_TEMPLATE": "{0} is a template, which cannot do that.",
    "VM_IS_SNAPSHOT": "{0} is a snapshot, which cannot do that.",
    "VM_CANNOT_DELETE_DEFAULT_TEMPLATE": "{0} is one of the pool's own templates.",
    "VM_LACKS_FEATURE": "The guest of the VM {0} does not support that.",
    "VM_MISSING_PV_DRIVERS": "The guest of the VM {0} has no guest tools.",
    "VM_CRASHED": "The VM {0} crashed.",
    "VM_HALTED": "The VM {0} halted at once.",
    "VM_REBOOTED": "The VM {0} rebooted unexpectedly.",
    "VM_UNSAFE_BOOT": "The pool holds that starting the VM {0} is not safe.",
    "VM_NO_VCPUS": "The VM {0} has no vCPUs.",
    "VM_TOO_MANY_VCPUS": "The VM {0} has too many vCPUs.",
    "VM_MEMORY_SIZE_TOO_LOW": "The VM {0} has too little memory to start.",
    "VM_SHUTDOWN_TIMEOUT": "The VM {0} did not shut down within {1} s.",
    "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT": "The guest of the VM {0} did not take the shutdown.",
    "VM_DUPLICATE_VBD_DEVICE": "The VM {0} has two disks as device {2}.",
    "VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE": "{0} vCPUs is no multiple of the template's {1} "
    "cores a socket.",
    "MEMORY_CONSTRAINT_VIOLATION": "The VM's memory limits cannot be kept: {0}",
    "MEMORY_CONSTRAINT_VIOLATION_ORDER": "The VM's memory limits are out of order.",
    "MEMORY_CONSTRAINT_VIOLATION_MAXPIN": "The VM's memory must be fixed at its maximum: {0}",
    "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN": "High availability keeps its memory for a failure: "
    "the pool has no room for one more VM.",
    "PROVISION_ONLY_ALLOWED_ON_TEMPLATE": "Only a template can be provisioned.",
    "PROVISION_FAILED_OUT_OF_SPACE": "There is no space for the template's disks.",
    "BOOTLOADER_FAILED": "The boot loader of the VM {0} found nothing to start: {1}",
    "UNKNOWN_BOOTLOADER": "The VM {0} names a boot loader that the host does not have: {1}.",
    "FAILED_TO_START_EMULATOR": "The host could not start {1} for the VM {0}: {2}",
    "DOMAIN_BUILDER_ERROR": "The host could not build the VM ({0}, {1}): {2}",
    "XAPI_HOOK_FAILED": "The pool's own script {0} stopped the operation: {1}",
    "INVALID_DEVICE": "{0} is no device that a VM can have.",
    "ILLEGAL_VBD_DEVICE": "{1} is no device that a disk can have.",
    "DISK_VBD_MUST_BE_READWRITE_FOR_HVM": "The disk {0} is read-only, which this VM cannot have.",
    "VBD_CDS_MUST_BE_READONLY": "A CD must be read-only.",
    "VBD_IS_EMPTY": "The drive {0} is empty.",
    "VBD_NOT_EMPTY": "The drive {0} is not empty.",
    "VBD_NOT_REMOVABLE_MEDIA": "Only a CD drive can be empty ({0}).",
    "VBD_NOT_UNPLUGGABLE": "The disk {0} cannot be unplugged.",
    "DEVICE_DETACH_REJECTED": "The guest keeps the {0} {1}: {2}",
    "ADDRESS_VIOLATES_LOCKING_CONSTRAINT": "The VIF is locked to other addresses than {0}.",
    "MAC_INVALID": "{0} is no MAC address.",
    "VIF_IN_USE": "The network {0} is in use by {1}.",
    "VLAN_TAG_INVALID": "{0} is no VLAN tag: it must be 0 to 4094.",
    "NETWORK_UNMANAGED": "The pool does not manage the network {0}.",
    "NETWORK_CONTAINS_VIF": "VMs are connected to the network: {0}.",
    "NETWORK_CONTAINS_PIF": "Hosts are connected to the network: {0}.",
    "CANNOT_DESTROY_SYSTEM_NETWORK": "The network {0} belongs to the system.",
    "PIF_UNMANAGED": "The pool does not manage the interface {0}.",
    "PIF_IS_VLAN": "The interface {0} is a VLAN itself.",
    "IS_TUNNEL_ACCESS_PIF": "The interface {0} is a tunnel's.",
    "CANNOT_ADD_VLAN_TO_BOND_SLAVE": "The interface {0} belongs to a bond: use the bond.",
    "CANNOT_ADD_TUNNEL_TO_BOND_SLAVE": "The interface {0} belongs to a bond: use the bond.",
    "CANNOT_PLUG_BOND_SLAVE": "The interface {0} belongs to a bond: use the bond.",
    "CANNOT_PLUG_VIF": "The VIF {0} cannot be plugged.",
    "OPENVSWITCH_NOT_ACTIVE": "The hosts do not run Open vSwitch.",
    "TRANSPORT_PIF_NOT_CONFIGURED": "The interface {0} has no address to carry a tunnel.",
    "XENAPI_MISSING_PLUGIN": "The host has no plug-in {0}.",
    "XENAPI_PLUGIN_FAILURE": "A plug-in of the host failed ({0}): {2}",
    "REQUEST_TOO_LONG": "The call has {0:size}; the pool takes {1:size} at most.",
}

_CLASSES: Final[tuple[tuple[type[PoolError], dict[str, str]], ...]] = (
    (SessionLost, SESSION),
    (Redirected, REDIRECT),
    (Busy, BUSY),
    (Unsteady, UNSTEADY),
    (Place, PLACE),
    (LostRace, LOST_RACE),
    (ShutOut, SHUT_OUT),
    (OutcomeUnknown, UNKNOWN),
    (Refused, REFUSED),
)

NEXT: Final[dict[str, type[PoolError]]] = {
    code: next_ for next_, sentences in _CLASSES for code in sentences
}
"""What happens next, by XAPI's code; a code that is not here is ``Refused``."""

SENTENCES: Final[dict[str, str]] = {
    code: text for _, sentences in _CLASSES for code, text in sentences.items()
}

_BROKEN_INSIDE: Final = re.compile(r"timed? ?out|connection|stunnel", re.IGNORECASE)
"""An INTERNAL_ERROR that says that one part of the pool lost another, which may have done it."""

_LOCKED_NOW: Final = "failed to lock"
"""An OPERATION_NOT_ALLOWED that is over as soon as the other operation is."""

_SECRET_FIELDS: Final = ("password", "secret", "user_data", "user-data", "userdata", "xenstore")

_LONGEST: Final = 300


def refusal(call: str, code: str, params: Sequence[str]) -> PoolError:
    """Make the error whose class says what happens next.

    >>> type(refusal("VM.start_on", "HOST_OFFLINE", ["OpaqueRef:1"])).__name__
    'Place'
    """
    shown = showable(code, params)
    return _next(code, shown)(code, shown, sentence(code, shown), call=call)


def _next(code: str, params: Sequence[str]) -> type[PoolError]:
    said = params[0].lower() if params else ""
    if code == "HANDLE_INVALID" and said == "task":
        return OutcomeUnknown
    if code == "INTERNAL_ERROR" and _BROKEN_INSIDE.search(said):
        return OutcomeUnknown
    if code == "OPERATION_NOT_ALLOWED" and _LOCKED_NOW in said:
        return Busy
    return NEXT.get(code, Refused)


def showable(code: str, params: Sequence[str]) -> list[str]:
    """Leave out of an error's parameters what lets somebody in: sessions, and values of secrets.

    >>> showable("SESSION_INVALID", ["OpaqueRef:1"])
    []
    """
    if code.startswith("SESSION_") and code not in {
        "SESSION_AUTHENTICATION_FAILED",
        "SESSION_AUTHORIZATION_FAILED",
    }:
        return []
    first = params[0].lower() if params else ""
    if code == "HANDLE_INVALID" and first == "session":
        return [params[0]]
    if code in {"INVALID_VALUE", "VALUE_NOT_SUPPORTED"} and any(
        name in first for name in _SECRET_FIELDS
    ):
        return [params[0]]
    return list(params)


class _Said(str):
    """A parameter in a sentence: on one line, not too long, and bytes as people write them."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        if spec == "size":
            return _size(int(self)) if self.isdecimal() else f"{self} bytes"
        line = " ".join(self.split())
        return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


class _AllSaid(Sequence[Any]):
    """The parameters of a sentence: one that the pool left out reads "?"."""

    def __init__(self, params: Sequence[str]) -> None:
        self._params = params

    def __len__(self) -> int:
        return len(self._params)

    def __getitem__(self, index: Any) -> Any:
        return _Said(self._params[index] if index < len(self._params) else "?")


def sentence(code: str, params: Sequence[str]) -> str:
    """Say what a person can act on.

    >>> sentence("HOST_NOT_ENOUGH_PCPUS", ["8", "4"])
    'The VM has 8 vCPUs, the host only 4 CPUs.'
    """
    template = SENTENCES.get(code)
    if template is None:
        told = f": {', '.join(_Said(param).__format__('') for param in params)}" if params else ""
        return f"The pool refuses with {code}{told}."
    said = string.Formatter().vformat(template, _AllSaid(params), {})
    return f"{said.removesuffix(': ?')}." if said.endswith(": ?") else said


def _size(count: int) -> str:
    """Show bytes as people do.

    >>> _size(1536 * 1024**2)
    '1.5 GiB'
    """
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
