"""Finding what a request names, in a pool of rows that a test writes."""

from typing import Any

import pytest

from tasks import lookup
from tests.unit.core.books import UUID, Book, sr, vm
from xenlaunch.errors import Refused


def refused(look: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        look()
    return caught.value


def test_a_uuid_goes_before_a_name() -> None:
    rows = {"a": vm(1, name=UUID.format(2)), "b": vm(2)}

    assert [ref for ref, _ in lookup.named(rows, UUID.format(2))] == ["b"]


SRS = {
    "sr1": sr("sr-1", free=1, number=1),
    "sr2": sr("twice", free=1, number=2),
    "sr3": sr("twice", free=1, number=3),
    "isos": sr("ISOs", free=0, content="iso", number=4),
}


@pytest.mark.parametrize("wanted", ["sr-1", UUID.format(1), None])
def test_a_storage_by_name_by_uuid_or_by_default(wanted: str | None) -> None:
    book = Book(sr=SRS, pool={"p": {"default_SR": "sr1"}})

    assert lookup.storage(book, wanted)[0] == "sr1"


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("twice", "SR_AMBIGUOUS"),
        ("nowhere", "SR_NOT_FOUND"),
        ("ISOs", "SR_NOT_FOUND"),
        (None, "SR_NOT_FOUND"),
    ],
)
def test_a_storage_that_is_not_there_or_not_alone(wanted: str | None, code: str) -> None:
    book = Book(sr=SRS, pool={"p": {"default_SR": "OpaqueRef:NULL"}})

    assert refused(lambda: lookup.storage(book, wanted)).code == code


def test_the_room_of_a_storage_that_nobody_knows_is_none() -> None:
    book = Book(sr=SRS)

    assert (lookup.room(book, "sr1"), lookup.room(book, "gone")) == (1, 0)


def test_a_disk_by_uuid() -> None:
    row = {"uuid": UUID.format(1)}
    book = Book({("VDI.get_by_uuid", UUID.format(1)): "vdi1", ("VDI.get_record", "vdi1"): row})

    assert lookup.disk(book, UUID.format(1)) == ("vdi1", row)


def test_a_disk_that_is_not_there() -> None:
    gone = Book({("VDI.get_by_uuid", "u"): Refused("UUID_INVALID", ["VDI", "u"])})
    odd = Book({("VDI.get_by_uuid", "u"): Refused("RBAC_PERMISSION_DENIED")})

    assert refused(lambda: lookup.disk(gone, "u")).message == "The pool has no disk with uuid 'u'."
    assert refused(lambda: lookup.disk(odd, "u")).code == "RBAC_PERMISSION_DENIED"


def test_a_cd_image_by_name_is_looked_for_in_the_libraries_alone() -> None:
    book = Book(
        {
            ("VDI.get_by_name_label", "tools.iso"): ["vdi1", "vdi2"],
            ("VDI.get_record", "vdi1"): {"uuid": UUID.format(1), "SR": "isos"},
            ("VDI.get_record", "vdi2"): {"uuid": UUID.format(2), "SR": "sr1"},
        },
        sr=SRS,
    )
    for row in ("vdi1", "vdi2"):
        book.answers["VDI.get_record", row].update(name_label="tools.iso", missing=False)

    assert lookup.iso(book, "tools.iso") == "vdi1"


def test_a_cd_image_by_uuid() -> None:
    assert lookup.iso(cd_book(), UUID.format(1)) == "vdi1"


def cd_book(**fields: Any) -> Book:
    """A pool with one CD image, which says something else in these fields."""
    row = {"uuid": UUID.format(1), "name_label": "x.iso", "SR": "isos", "missing": False}
    row |= {"type": "user", **fields}
    answers = {("VDI.get_by_uuid", UUID.format(1)): "vdi1", ("VDI.get_record", "vdi1"): row}
    return Book({**answers, ("VDI.get_by_name_label", "x.iso"): ["vdi1"]}, sr=SRS)


def test_a_disk_that_is_no_cd_image() -> None:
    error = refused(lambda: lookup.iso(cd_book(SR="sr1"), UUID.format(1)))

    assert error.code == "VDI_IS_NOT_ISO"


@pytest.mark.parametrize("wanted", ["x.iso", UUID.format(1)])
def test_a_cd_image_that_its_library_has_lost(wanted: str) -> None:
    error = refused(lambda: lookup.iso(cd_book(missing=True), wanted))

    assert error.code == "VDI_MISSING"


def test_a_cd_image_that_is_not_there() -> None:
    book = Book({("VDI.get_by_name_label", "x.iso"): []}, sr=SRS)
    error = refused(lambda: lookup.iso(book, "x.iso"))

    assert error.code == "ISO_NOT_FOUND"
    assert error.message == "The pool has no CD image 'x.iso'."


def test_who_has_a_mac() -> None:
    book = Book(
        vif={
            "vif1": {"MAC": "02:AA:00:00:00:01", "VM": "vm1"},
            "vif2": {"MAC": "02:aa:00:00:00:02", "VM": "gone"},
            "vif3": {"MAC": "02:aa:00:00:00:03", "VM": "vm1"},
        },
        vm={"vm1": vm(1, name="web")},
    )
    macs = [f"02:aa:00:00:00:0{number}" for number in (1, 2, 9)]

    assert lookup.mac_holders(book, macs) == {macs[0]: "web", macs[1]: "a VM"}
    assert lookup.mac_holders(book, []) == {}


@pytest.mark.parametrize(
    ("row", "pv"),
    [
        ({"HVM_boot_policy": ""}, True),
        ({"HVM_boot_policy": "BIOS order"}, False),
        ({"HVM_boot_policy": "", "domain_type": "pvh"}, False),
        ({"HVM_boot_policy": "", "domain_type": "hvm"}, False),
        ({"HVM_boot_policy": "", "domain_type": "pv"}, True),
        ({"HVM_boot_policy": "", "domain_type": "unspecified"}, True),
    ],
)
def test_how_a_template_boots(row: dict[str, str], pv: bool) -> None:  # noqa: FBT001  what is expected
    assert lookup.is_pv(row) is pv
