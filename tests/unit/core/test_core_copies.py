"""Which templates are copies of one, in a pool of rows that a test writes."""

from typing import Any

import pytest

from tasks.copies import copies, roomiest
from tests.unit.core.books import UUID, Book, templates, vm
from xenlaunch.errors import Refused


def refused(look: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        look()
    return caught.value


def cloned(book: Book, wanted: str) -> str:
    """The ref of the copy that is taken where all else is equal."""
    return roomiest(book, copies(book, wanted)).ref


def test_a_template_by_name_and_by_uuid() -> None:
    book = templates("sr1")

    for wanted in ("debian-12", UUID.format(1), UUID.format(1).upper()):
        assert cloned(book, wanted) == "vm1"


def test_of_several_copies_the_one_with_most_room() -> None:
    assert cloned(templates("sr1", "sr2", "sr3"), "debian-12") == "vm2"


def test_one_of_several_copies_by_uuid() -> None:
    assert cloned(templates("sr1", "sr2"), UUID.format(1)) == "vm1"


@pytest.mark.parametrize(
    "book",
    [
        templates("sr1", "sr1"),
        templates("sr1", "sr2", vm2=vm(2, VCPUs_max="4")),
        templates("sr1", "sr2", vm2=vm(2, memory_static_max="2048")),
        templates("sr1", "sr2", vm2=vm(2, PV_bootloader="pygrub")),
        templates("sr1", "sr2", vm2=vm(2, VBDs=[])),
    ],
    ids=["same SR", "other CPUs", "other memory", "other boot", "no disks"],
)
def test_templates_of_one_name_that_are_no_copies_are_ambiguous(book: Book) -> None:
    error = refused(lambda: cloned(book, "debian-12"))

    assert error.code == "TEMPLATE_AMBIGUOUS"
    assert error.params == ["debian-12", UUID.format(1), UUID.format(2)]
    assert error.message == (
        "The pool has 2 of the template name 'debian-12'; give the uuid of the one you mean: "
        f"{UUID.format(1)}, {UUID.format(2)}."
    )


def test_disks_of_another_size_make_another_template() -> None:
    book = templates("sr1", "sr2")
    book.tables["vdi"]["vdi2"]["virtual_size"] = 9

    assert refused(lambda: cloned(book, "debian-12")).code == "TEMPLATE_AMBIGUOUS"


def test_a_drive_that_the_cache_does_not_know_is_asked_for() -> None:
    book = templates("sr1", "sr2")
    row = book.tables["vbd"].pop("vbd2")
    book.answers = {("VBD.get_record", "vbd2"): row}

    assert cloned(book, "debian-12") == "vm2"


def test_a_cd_drive_says_nothing_of_where_a_template_lies() -> None:
    book = templates("sr1")
    book.tables["vm"]["vm1"]["VBDs"].append("cd")
    book.tables["vbd"]["cd"] = {"type": "CD", "VDI": "OpaqueRef:NULL", "userdevice": "3"}
    (copy,) = copies(book, "debian-12")

    assert copy.srs == ("sr1",)
    assert list(copy.disks) == ["0"]


def test_the_copies_of_a_template_in_the_order_of_their_uuids() -> None:
    found = copies(templates("sr3", "sr1"), "debian-12")

    assert [(copy.ref, copy.srs) for copy in found] == [("vm1", ("sr3",)), ("vm2", ("sr1",))]


def test_a_copy_may_lie_on_several_storages() -> None:
    book = templates("sr1", "sr2")
    for number, place in (("1", "sr2"), ("2", "sr3")):
        book.tables["vm"][f"vm{number}"]["VBDs"].append(f"more{number}")
        more = {"type": "Disk", "VDI": f"vdi-more{number}", "userdevice": "1"}
        book.tables["vbd"][f"more{number}"] = more
        book.tables["vdi"][f"vdi-more{number}"] = {"SR": place, "virtual_size": 4}

    assert [copy.srs for copy in copies(book, "debian-12")] == [("sr1", "sr2"), ("sr2", "sr3")]
    assert cloned(book, "debian-12") == "vm2"


def test_templates_with_interfaces_on_other_networks_are_no_copies() -> None:
    book = templates("sr1", "sr2")
    for number, network in (("1", "net1"), ("2", "net2")):
        book.tables["vm"][f"vm{number}"]["VIFs"] = [f"vif{number}"]
        book.tables.setdefault("vif", {})[f"vif{number}"] = {"device": "0", "network": network}

    assert refused(lambda: cloned(book, "debian-12")).code == "TEMPLATE_AMBIGUOUS"

    book.tables["vif"]["vif2"]["network"] = "net1"

    assert cloned(book, "debian-12") == "vm2"


@pytest.mark.parametrize(
    "fields", [{"is_a_snapshot": True}, {"is_a_template": False}], ids=["snapshot", "VM"]
)
def test_a_snapshot_or_vm_will_do_where_there_is_no_template(fields: dict[str, Any]) -> None:
    book = templates("sr1", vm1=vm(1, **fields))

    assert cloned(book, "debian-12") == "vm1"


def test_two_vms_of_a_name_are_ambiguous() -> None:
    book = templates("sr1", "sr2", vm1=vm(1, is_a_template=False), vm2=vm(2, is_a_template=False))

    assert refused(lambda: cloned(book, "debian-12")).code == "TEMPLATE_AMBIGUOUS"
    assert cloned(book, UUID.format(2)) == "vm2"


def test_a_control_domain_is_never_cloned() -> None:
    book = Book(vm={"vm1": vm(1, is_a_template=False, is_control_domain=True)})

    assert refused(lambda: cloned(book, "debian-12")).code == "TEMPLATE_NOT_FOUND"


def test_a_snapshot_beside_its_template_does_not_count() -> None:
    book = templates("sr1", "sr2", vm2=vm(2, is_a_snapshot=True))

    assert cloned(book, "debian-12") == "vm1"


@pytest.mark.parametrize(
    ("wanted", "among"),
    [
        ("debian", "'debian-12'"),
        ("Debian-12 (new)", "'centos-6-pv', 'debian-12'"),
        ("fedora", "'centos-6-pv', 'debian-12'"),
    ],
)
def test_a_missing_template_comes_with_those_that_are_there(wanted: str, among: str) -> None:
    book = Book(vm={"vm1": vm(1), "vm2": vm(2, name="centos-6-pv")})
    error = refused(lambda: cloned(book, wanted))

    sentence = f"The pool has no template, VM or snapshot {wanted!r}; "

    assert error.message == f"{sentence}of templates it has, among others: {among}."


def test_a_pool_without_templates_says_so() -> None:
    error = refused(lambda: cloned(Book(), "debian-12"))

    assert error.message.endswith("among others: none at all.")


def test_the_disks_of_a_copy_are_in_the_order_of_the_devices() -> None:
    places = ("10", "xvdb", "2", "0")
    book = Book(
        vm={"vm1": vm(1, VBDs=list(places))},
        vbd={at: {"type": "Disk", "VDI": at, "userdevice": at} for at in places},
        vdi={at: {"SR": "sr1", "virtual_size": 8} for at in places},
    )
    [copy] = copies(book, "debian-12")

    assert list(copy.disks) == ["0", "1", "2", "10"]
