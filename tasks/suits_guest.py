"""Whether the VM will have what its guest is told of, and what is waited for. Nothing is sent.

A word that is filled in may be far longer than what stands for it, so what the guest is told is
measured as it will be.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from tasks import lookup
from tasks.copies import interfaces_of
from tasks.image import SIZE, image
from tasks.setup import drive_of, filled_words
from xenlaunch.errors import Refused
from xenlaunch.fields import MOST_AT_ONCE, is_too_long
from xenlaunch.guest import LONGEST_VALUE
from xenlaunch.model import Launch, LaunchRequest
from xenlaunch.nics import devices_of
from xenlaunch.waiting import Awaited

ANY_MAC: Final = "00:00:00:00:00:00"
ANY_UUID: Final = "00000000-0000-0000-0000-000000000000"
"""As long as that which it stands for."""

SETS_ADDRESSES: Final = "feature-static-ip-setting"
"""What tools tell that set the addresses that XAPI tells them: those of Windows do."""


def check_guest(launch: Launch, template: lookup.Row, pool: lookup.Reader) -> None:
    """Raise `Refused` where a NIC is supposed that the VM does not have, or too much is told."""
    nics = launch.request.nics
    cloned = (int(row["device"]) for row in interfaces_of(pool, template)) if nics is None else ()
    devices = frozenset(cloned if nics is None else devices_of(nics))
    check_told(launch.request, devices)
    check_wait(launch.request, devices)
    check_size(launch, devices)


def check_addresses(
    request: LaunchRequest, templates: Iterable[lookup.Row], records: lookup.Cache
) -> None:
    """Raise `Refused` where a static address would be left to tools that are not known to set it.

    A clone is known by what the guest of its template told; so each must have that may be cloned.
    """
    wanted = [
        f"{field} of nics.{place}"
        for place, nic in enumerate(request.nics or ())
        for field, address in (("ipv4", nic.ipv4), ("ipv6", nic.ipv6))
        if address
    ]
    for template in templates if wanted else ():
        metrics = records.get("vm_guest_metrics", template["guest_metrics"])
        if metrics is None or metrics["other"].get(SETS_ADDRESSES) != "1":
            name = template["name_label"]
            raise Refused(
                "VM_LACKS_FEATURE",
                [name],
                "A static address is set by the guest's own tools, and the template "
                f"{name!r} is not known to have any that do that: leave out {', '.join(wanted)}, "
                "and give the guest its address by guest.network_config.",
            )


def check_told(request: LaunchRequest, devices: Collection[int]) -> None:
    named = request.guest.macs_named() if request.guest else frozenset()
    missing = (one for one in named if not devices or (one is not None and one not in devices))
    wrong = sorted(missing, key=str)
    if wrong:
        which = "a NIC" if wrong[0] is None else f"NIC {wrong[0]}"
        raise Refused(
            "SETUP_NAMES_NO_NIC",
            [str(one) for one in wrong],
            f"What the guest is told names the MAC of {which}, which the VM does not have: "
            "add it to nics, or say fill: false.",
        )


def check_wait(request: LaunchRequest, devices: Collection[int]) -> None:
    """An address comes by a NIC."""
    wait = request.wait_for
    nic = wait.nic if isinstance(wait, Awaited) else None
    removes = request.guest is not None and request.guest.remove_after == "address"
    if nic is not None and nic not in devices:
        said = f"The launch waits for an address on NIC {nic}, which the VM does not have."
        raise Refused("WAIT_NEEDS_NIC", [str(nic)], said)
    if not devices and (removes or wait not in ("running", "agent")):
        said = "The launch waits for an address, and the VM has no NIC: give nics."
        raise Refused("WAIT_NEEDS_NIC", [], said)


def check_size(launch: Launch, devices: Collection[int]) -> None:
    if launch.request.guest is None:
        return
    guest = launch.request.guest.filled(filled_words(launch, dict.fromkeys(devices, ANY_MAC)))
    check_xenstore(guest.xenstore_data)
    if drive_of(launch.request):
        name = launch.request.name
        size = len(image(guest, instance=launch.id, uuid=ANY_UUID, name=name))
        if size > SIZE:
            raise Refused(
                "SETUP_TOO_LARGE",
                [str(size), str(SIZE)],
                f"What the guest is told makes, with its words filled in, a drive of {size} bytes, "
                f"and the set-up drive has {SIZE}: tell it less, and have it fetch the rest.",
            )


def check_xenstore(told: Mapping[str, str]) -> None:
    for key, value in told.items():
        if len(value) > LONGEST_VALUE:
            raise Refused(
                "SETUP_TOO_LARGE",
                [key, str(len(value)), str(LONGEST_VALUE)],
                f"What the guest is told in xenstore under {key!r} has, with its words filled in, "
                f"{len(value)} characters: at most {LONGEST_VALUE} are possible.",
            )
    if is_too_long(told):
        raise Refused(
            "SETUP_TOO_LARGE",
            ["xenstore_data", str(MOST_AT_ONCE)],
            "What the guest is told in xenstore is, with its words filled in, longer than "
            f"{MOST_AT_ONCE} bytes in all: tell it less, and have it fetch the rest.",
        )
