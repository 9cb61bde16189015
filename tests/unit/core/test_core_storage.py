"""What a launch takes of each storage repository, as far as can be known before it is made."""

from typing import Any

import pytest

from tasks.storage import check_room, is_thick, wishes
from tests.unit.core.books import Book
from xenlaunch.errors import Refused
from xenlaunch.model import LaunchRequest, TemplateDisk
from xenlaunch.xapi.pool import NULL

GIB = 1 << 30


def sr(kind: str, free: int = 100, **sm_config: str) -> dict[str, Any]:
    sizes = {"physical_size": str(200 * GIB), "physical_utilisation": str((200 - free) * GIB)}
    return {"name_label": kind, "type": kind, "sm_config": sm_config, **sizes}


POOL = Book(sr={"nfs": sr("nfs"), "lvm": sr("lvm"), "iscsi": sr("lvmoiscsi", allocation="thick")})
DISKS = {
    "0": TemplateDisk(sr="lvm", name="root", size=8 * GIB),
    "1": TemplateDisk(sr="nfs", name="data", size=4 * GIB),
}


def wanted(**asked: Any) -> list[tuple[str, int]]:
    request = LaunchRequest.parse({"name": "web", "template": "debian-12", **asked})
    sources = tuple("nfs" for _ in request.disks)
    moved = tuple(disk.sr or NULL for disk in request.template_disks)
    found = wishes(request, DISKS, sources, moved, POOL)
    return sorted((place, size // GIB) for place, size in found)


def test_a_fast_clone_takes_nothing_but_where_the_sr_is_thick() -> None:
    assert wanted() == [("lvm", 8)]
    assert wanted(clone="full") == [("lvm", 8), ("nfs", 4)]
    assert wanted(disks=[{"new": "2GiB"}]) == [("lvm", 8), ("nfs", 2)]
    grown, moved = {"device": 0, "size": "9GiB"}, {"device": 1, "sr": "iscsi"}
    assert wanted(template_disks=[grown, moved]) == [("iscsi", 4), ("lvm", 1), ("lvm", 8)]


@pytest.mark.parametrize("kind", ["lvm", "lvmoiscsi", "lvmohba", "lvmofcoe"])
def test_lvm_is_thick_unless_it_is_said_to_be_thin(kind: str) -> None:
    assert is_thick(sr(kind))
    assert is_thick(sr(kind, allocation="thick"))
    assert not is_thick(sr(kind, allocation="thin"))


@pytest.mark.parametrize("kind", ["nfs", "ext", "smb", "file", "iso"])
def test_others_are_thin(kind: str) -> None:
    assert not is_thick(sr(kind))
    assert not is_thick(None)


def test_all_that_is_wanted_of_one_sr_must_have_room_there() -> None:
    check_room([("nfs", 60 * GIB), ("lvm", 100 * GIB), ("nfs", 40 * GIB)], POOL)

    with pytest.raises(Refused, match="'nfs' has 100 GiB free, and this launch wants 101 GiB"):
        check_room([("nfs", 60 * GIB), ("lvm", 1), ("nfs", 41 * GIB)], POOL)
