"""What sizes the disks of an SR have, and which are too large for it."""

from typing import Any

import pytest

from tasks.sizes import LARGEST, as_made, check_sizes, sized
from tasks.storage import wishes
from tests.unit.core.books import Book
from xenlaunch.errors import Refused
from xenlaunch.model import LaunchRequest, TemplateDisk
from xenlaunch.xapi.pool import NULL

MIB, GIB = 1 << 20, 1 << 30
VHDS, MORE, STRANGE, RAW = "nfs", "ext", "gfs2", "zvol"
POOL = Book(
    sr={
        kind: {"name_label": kind, "type": kind, "sm_config": {}}
        for kind in (VHDS, MORE, STRANGE, RAW)
    },
    sm={
        "s1": {"type": VHDS},  # the 8.2 generation does not know the field
        "s2": {"type": MORE, "supported_image_formats": ["vhd", "qcow2"]},
        "s3": {"type": STRANGE, "supported_image_formats": []},
        "s4": {"type": RAW, "supported_image_formats": ["raw"]},
    },
)
DISKS = {
    "0": TemplateDisk(sr=VHDS, name="root", size=8 * GIB),
    "1": TemplateDisk(sr=MORE, name="data", size=3000 * GIB),
}


def asked(**fields: Any) -> LaunchRequest:
    return LaunchRequest.parse({"name": "web", "template": "debian-12", **fields})


@pytest.mark.parametrize(
    ("sr", "size", "made"),
    [
        (VHDS, MIB, 2 * MIB),
        (VHDS, 2 * MIB, 2 * MIB),
        (VHDS, 1_181_116_006, 1_182_793_728),
        (VHDS, LARGEST, LARGEST),
        (MORE, 3 * MIB, 4 * MIB),
        (STRANGE, 3 * MIB + 1, 3 * MIB + 1),
        (RAW, 3 * MIB + 1, 3 * MIB + 1),
        ("gone", 3 * MIB + 1, 3 * MIB + 1),
    ],
)
def test_vhds_are_made_of_whole_blocks(sr: str, size: int, made: int) -> None:
    assert as_made(POOL, sr, size) == made


@pytest.mark.parametrize("sr", [MORE, STRANGE, RAW, "gone"])
def test_only_where_there_are_but_vhds_a_disk_can_be_too_large(sr: str) -> None:
    check_sizes([(VHDS, LARGEST), (sr, LARGEST + 1)], POOL)

    with pytest.raises(
        Refused, match="'nfs' makes disks of 2040 GiB at most, and one of 2041 GiB"
    ) as refused:
        check_sizes([(sr, LARGEST), (VHDS, LARGEST + 1)], POOL)
    assert refused.value.params == [str(LARGEST + 1), str(LARGEST)]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, []),
        ({"disks": [{"new": "3TiB"}, {"cd": "empty"}]}, [(VHDS, 3072)]),
        ({"template_disks": [{"device": 0, "size": "8GiB"}, {"device": 1, "keep": False}]}, []),
        ({"template_disks": [{"device": 0, "size": "3TiB"}]}, [(VHDS, 3072)]),
        ({"template_disks": [{"device": 1, "sr": VHDS}]}, [(VHDS, 3000)]),
        ({"template_disks": [{"device": 0, "sr": MORE, "size": "9GiB"}]}, [(MORE, 9)]),
        ({"clone": "full"}, []),
        ({"clone": "full", "sr": MORE}, [(VHDS, 8), (MORE, 3000)]),
    ],
)
def test_what_is_made_or_grown_counts(fields: dict[str, Any], found: list[tuple[str, int]]) -> None:
    request = asked(**fields)
    sources = tuple(VHDS for _ in request.disks)
    moved = tuple(disk.sr or NULL for disk in request.template_disks)

    assert [(sr, size // GIB) for sr, size in sized(request, DISKS, sources, moved)] == found


def test_room_is_reckoned_with_what_the_storage_makes() -> None:
    grown = [{"device": 0, "size": "8.3GiB"}, {"device": 1, "sr": VHDS}]
    request = asked(disks=[{"new": "1.1GiB"}], template_disks=grown)

    assert sorted(wishes(request, DISKS, (VHDS,), (NULL, VHDS), POOL)) == [
        (VHDS, 8_912_896_000 - 8 * GIB),
        (VHDS, 1_182_793_728),
        (VHDS, 3000 * GIB),
    ]
