"""Which hosts cannot reach a VM's storage: by PBDs, of all SRs that its drives will lie on."""

from collections.abc import Mapping
from typing import Any

import pytest

from scheduler.reachable import out_of_reach, srs_of
from tests.unit.core.books import Book, vm
from xenlaunch.disks import ExistingDisk, Iso
from xenlaunch.model import LaunchRequest

HOSTS = {f"h{number}": {"name_label": f"host-{number}"} for number in (1, 2, 3)}
SRS = ("nfs", "local-1", "local-2", "isos", "attic")


class Shelf(Book):
    """A pool that knows where the disks lie that are there."""

    def sr_of(self, disk: ExistingDisk | Iso) -> str:
        return "isos" if isinstance(disk, Iso) else "attic"


def pool(*drives: Mapping[str, Any]) -> Shelf:
    """A template with these drives; the NFS reaches all hosts, and each local SR its own."""
    plugged = {("nfs", host): True for host in HOSTS} | {("nfs", "h3"): False}
    plugged |= {("local-1", "h1"): True, ("local-2", "h2"): True}
    return Shelf(
        host=HOSTS,
        sr={name: {"uuid": name, "name_label": name, "content_type": "user"} for name in SRS},
        pool={"p": {"default_SR": "nfs"}},
        pbd={
            f"{sr} {host}": {"SR": sr, "host": host, "currently_attached": is_plugged}
            for (sr, host), is_plugged in plugged.items()
        },
        vm={"vm1": vm(1, VBDs=[f"vbd{number}" for number, _ in enumerate(drives)])},
        vbd={
            f"vbd{number}": {"userdevice": str(number), "empty": False, **drive}
            for number, drive in enumerate(drives)
        },
        vdi={f"on {name}": {"SR": name, "virtual_size": 8} for name in SRS},
    )


DISK = {"type": "Disk", "VDI": "on nfs"}


def places(*drives: Mapping[str, Any], **asked: Any) -> set[str]:
    shelf = pool(*drives)
    request = LaunchRequest.parse({"name": "web", "template": "debian-12", **asked})
    return set(srs_of(request, shelf.tables["vm"]["vm1"], shelf))


@pytest.mark.parametrize(
    ("srs", "ever", "now"),
    [
        ([], {}, {}),
        (["nfs"], {}, {"h3": "has its PBD of the storage 'nfs' unplugged"}),
        (["local-1"], dict.fromkeys(("h2", "h3"), "cannot reach the storage 'local-1'"), {}),
        (
            ["local-2", "local-1", "local-1"],
            {
                "h1": "cannot reach the storage 'local-2'",
                "h2": "cannot reach the storage 'local-1'",
                "h3": "cannot reach the storage 'local-1'",
            },
            {},
        ),
        (["gone", "OpaqueRef:NULL"], {}, {}),
    ],
)
def test_a_host_reaches_what_it_has_a_plugged_pbd_of(
    srs: list[str], ever: dict[str, str], now: dict[str, str]
) -> None:
    found = out_of_reach(pool(), srs)

    assert (found.ever, found.now) == (ever, now)


def test_the_templates_disks_count_as_they_become() -> None:
    local = {**DISK, "VDI": "on local-1"}

    assert places(DISK, local) == {"nfs", "local-1"}
    assert places(DISK, local, clone="full", sr="local-2") == {"local-2"}
    assert places(DISK, local, template_disks=[{"device": 1, "keep": False}]) == {"nfs"}
    moved = [{"device": 1, "sr": "local-2"}, {"device": 0, "size": "1GiB"}]
    assert places(DISK, local, template_disks=moved) == {"nfs", "local-2"}


def test_the_templates_cd_counts_while_there_is_one_in_it() -> None:
    cd = {"type": "CD", "VDI": "on isos"}

    assert places(DISK, cd) == {"nfs", "isos"}
    assert places(DISK, {**cd, "VDI": "OpaqueRef:NULL", "empty": True}) == {"nfs"}


def test_the_requests_own_disks_count_and_its_set_up_drive() -> None:
    new = {"new": "1GiB", "sr": "local-1"}

    assert places(disks=[new, {"new": "1GiB"}]) == {"local-1", "nfs"}
    assert places(disks=[{"vdi": "u-1"}, {"iso": "tools.iso"}, {"cd": "empty"}]) == {
        "attic",
        "isos",
    }
    assert places(guest={"user_data": "#cloud-config"}) == {"nfs"}
    assert places({**DISK, "VDI": "on attic"}, guest={"user_data": "#cloud-config"}) == {"attic"}
    assert places(guest={"user_data": "#cloud-config", "sr": "local-2"}) == {"local-2"}
    assert places(guest={"xenstore_data": {"role": "web"}}) == set()


def test_the_set_up_drive_lies_with_the_first_disk_by_device() -> None:
    """In whatever order the template's drives are listed."""
    second, first = [
        {**DISK, "VDI": f"on local-{number}", "userdevice": str(device)}
        for number, device in ((1, 10), (2, 2))
    ]
    moved = [{"device": device, "sr": "nfs"} for device in (2, 10)]
    guest = {"user_data": "#cloud-config"}

    assert places(second, first, template_disks=moved, guest=guest) == {"nfs", "local-2"}
