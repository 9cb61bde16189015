"""Finding what a request names, in a pool of rows that a test writes."""

from collections.abc import Mapping
from typing import Any

import pytest

from tasks import lookup
from xenlaunch.errors import Refused
from xenlaunch.model import TemplateDisk

Rows = dict[str, dict[str, Any]]
UUID = "00000000-0000-0000-0000-00000000000{}"
SHAPE = {
    "memory_static_max": "1024",
    "VCPUs_max": "2",
    "VCPUs_at_startup": "2",
    "HVM_boot_policy": "BIOS order",
    "PV_bootloader": "",
}


class Book:
    """A pool as a look-up reads it: a cache of records, and questions with written answers."""

    def __init__(
        self, answers: Mapping[tuple[Any, ...], Any] | None = None, **tables: Rows
    ) -> None:
        self.tables = tables
        self.traffic: dict[str, str] = {}
        self.answers = answers or {}
        self.asked: list[tuple[Any, ...]] = []

    @property
    def records(self) -> "Book":
        return self

    def get(self, cls: str, ref: str) -> dict[str, Any] | None:
        return self.all(cls).get(ref)

    def all(self, cls: str) -> Rows:
        return self.tables.get(cls, {})

    def read(self, method: str, *params: Any) -> Any:
        self.asked.append((method, *params))
        answer = self.answers[method, *params]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def template_disk(self, vdi: str) -> TemplateDisk:
        row = self.all("vdi")[vdi]
        return TemplateDisk(sr=row["SR"], name=vdi, size=row["virtual_size"])


def vm(number: int, name: str = "debian-12", **fields: Any) -> dict[str, Any]:
    kind: dict[str, Any] = {
        "is_a_template": True,
        "is_a_snapshot": False,
        "is_control_domain": False,
    }
    kind |= {"VBDs": [f"vbd{number}"]}
    return {"uuid": UUID.format(number), "name_label": name, **kind, **SHAPE, **fields}


def sr(name: str, *, free: int, content: str = "user", number: int = 0) -> dict[str, Any]:
    return {
        "uuid": UUID.format(number),
        "name_label": name,
        "content_type": content,
        "physical_size": "1000",
        "physical_utilisation": str(1000 - free),
    }


def copies(*places: str, size: int = 8, **rows: dict[str, Any]) -> Book:
    """A template for each of these SRs, all of one name and one disk."""
    numbered = dict(enumerate(places, 1))
    return Book(
        vm={f"vm{number}": rows.get(f"vm{number}", vm(number)) for number in numbered},
        vbd={
            f"vbd{number}": {"type": "Disk", "VDI": f"vdi{number}", "userdevice": "0"}
            for number in numbered
        },
        vdi={f"vdi{n}": {"SR": place, "virtual_size": size} for n, place in numbered.items()},
        sr={
            "sr1": sr("sr-1", free=10),
            "sr2": sr("sr-2", free=30),
            "sr3": sr("sr-3", free=20),
        },
    )


def refused(look: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        look()
    return caught.value


def test_a_template_by_name_and_by_uuid() -> None:
    book = copies("sr1")

    for wanted in ("debian-12", UUID.format(1), UUID.format(1).upper()):
        assert lookup.template(book, wanted)[0] == "vm1"


def test_a_uuid_goes_before_a_name() -> None:
    rows = {"a": vm(1, name=UUID.format(2)), "b": vm(2)}

    assert [ref for ref, _ in lookup.named(rows, UUID.format(2))] == ["b"]


def test_of_several_copies_the_one_with_most_room() -> None:
    assert lookup.template(copies("sr1", "sr2", "sr3"), "debian-12")[0] == "vm2"


def test_one_of_several_copies_by_uuid() -> None:
    assert lookup.template(copies("sr1", "sr2"), UUID.format(1))[0] == "vm1"


@pytest.mark.parametrize(
    "book",
    [
        copies("sr1", "sr1"),
        copies("sr1", "sr2", vm2=vm(2, VCPUs_max="4")),
        copies("sr1", "sr2", vm2=vm(2, memory_static_max="2048")),
        copies("sr1", "sr2", vm2=vm(2, PV_bootloader="pygrub")),
        copies("sr1", "sr2", vm2=vm(2, VBDs=[])),
    ],
    ids=["same SR", "other CPUs", "other memory", "other boot", "no disks"],
)
def test_templates_of_one_name_that_are_no_copies_are_ambiguous(book: Book) -> None:
    error = refused(lambda: lookup.template(book, "debian-12"))

    assert error.code == "TEMPLATE_AMBIGUOUS"
    assert error.params == ["debian-12", UUID.format(1), UUID.format(2)]
    assert error.message == (
        "The pool has 2 of the template name 'debian-12'; give the uuid of the one you mean: "
        f"{UUID.format(1)}, {UUID.format(2)}."
    )


def test_disks_of_another_size_make_another_template() -> None:
    book = copies("sr1", "sr2")
    book.tables["vdi"]["vdi2"]["virtual_size"] = 9

    assert refused(lambda: lookup.template(book, "debian-12")).code == "TEMPLATE_AMBIGUOUS"


def test_a_drive_that_the_cache_does_not_know_is_asked_for() -> None:
    book = copies("sr1", "sr2")
    row = book.tables["vbd"].pop("vbd2")
    book.answers = {("VBD.get_record", "vbd2"): row}

    assert lookup.template(book, "debian-12")[0] == "vm2"


def test_a_cd_drive_says_nothing_of_where_a_template_lies() -> None:
    book = copies("sr1")
    book.tables["vm"]["vm1"]["VBDs"].append("cd")
    book.tables["vbd"]["cd"] = {"type": "CD", "VDI": "OpaqueRef:NULL", "userdevice": "3"}
    copy = lookup.copy_of(book, "vm1", book.tables["vm"]["vm1"])

    assert copy.sr == "sr1"
    assert copy.shape[-1] == (("0", 8),)


@pytest.mark.parametrize(
    "fields", [{"is_a_snapshot": True}, {"is_a_template": False}], ids=["snapshot", "VM"]
)
def test_a_snapshot_or_vm_will_do_where_there_is_no_template(fields: dict[str, Any]) -> None:
    book = Book(vm={"vm1": vm(1, **fields)})

    assert lookup.template(book, "debian-12")[0] == "vm1"


def test_two_vms_of_a_name_are_ambiguous() -> None:
    book = Book(vm={f"vm{n}": vm(n, is_a_template=False) for n in (1, 2)})

    assert refused(lambda: lookup.template(book, "debian-12")).code == "TEMPLATE_AMBIGUOUS"
    assert lookup.template(book, UUID.format(2))[0] == "vm2"


def test_a_control_domain_is_never_cloned() -> None:
    book = Book(vm={"vm1": vm(1, is_a_template=False, is_control_domain=True)})

    assert refused(lambda: lookup.template(book, "debian-12")).code == "TEMPLATE_NOT_FOUND"


def test_a_snapshot_beside_its_template_does_not_count() -> None:
    book = copies("sr1", "sr2", vm2=vm(2, is_a_snapshot=True))

    assert lookup.template(book, "debian-12")[0] == "vm1"


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
    error = refused(lambda: lookup.template(book, wanted))

    sentence = f"The pool has no template, VM or snapshot {wanted!r}; "

    assert error.message == f"{sentence}of templates it has, among others: {among}."


def test_a_pool_without_templates_says_so() -> None:
    error = refused(lambda: lookup.template(Book(), "debian-12"))

    assert error.message.endswith("among others: none at all.")


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
        book.answers["VDI.get_record", row]["name_label"] = "tools.iso"

    assert lookup.iso(book, "tools.iso") == "vdi1"


def test_a_cd_image_by_uuid() -> None:
    found = {("VDI.get_by_uuid", UUID.format(1)): "vdi1", ("VDI.get_record", "vdi1"): {}}

    assert lookup.iso(Book(found), UUID.format(1)) == "vdi1"


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
