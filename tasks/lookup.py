"""Finding what a request names in a pool: one object, or a refusal that says what to do.

Nothing here changes anything. Whoever names an object gives its name or its uuid; a name that fits
several is refused with their uuids; but a template may have `copies`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from xenlaunch.errors import Refused
from xenlaunch.model import TemplateDisk

Row = Mapping[str, Any]
Rows = Mapping[str, Row]

API_OF_8_2: Final = (2, 16)
"""The last version of the API, major and minor, that belongs to the 8.2 generation."""

_DEVICE: Final = re.compile(r"(?:xvd|hd|sd)([a-z]+)[0-9]*")

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Reader(Protocol):
    """What a look-up needs of a pool: its records, and questions that change nothing."""

    @property
    def records(self) -> "Cache": ...

    @property
    def traffic(self) -> Mapping[str, str]: ...

    def read(self, method: str, *params: Any) -> Any: ...

    def template_disk(self, vdi: str) -> TemplateDisk: ...


class Cache(Protocol):
    """What a look-up needs of a pool's cached records."""

    def get(self, cls: str, ref: str) -> Row | None: ...

    def all(self, cls: str) -> Rows: ...


def named(rows: Rows, wanted: str) -> list[tuple[str, Row]]:
    """The rows of that uuid or, where none is, of that name."""
    found = [(ref, row) for ref, row in rows.items() if row["uuid"] == wanted.lower()]
    return found or [(ref, row) for ref, row in rows.items() if row["name_label"] == wanted]


def one(cls: str, rows: Rows, wanted: str) -> tuple[str, Row]:
    """The one row of that name or uuid.

    Raises `Refused` with ``<CLASS>_NOT_FOUND`` or ``<CLASS>_AMBIGUOUS``.
    """
    found = named(rows, wanted)
    if not found:
        raise Refused(
            f"{cls.upper()}_NOT_FOUND", [wanted], f"The pool has no {_word(cls)} {wanted!r}."
        )
    if len(found) > 1:
        raise ambiguous(cls, wanted, (row["uuid"] for _, row in found))
    return found[0]


def ambiguous(cls: str, wanted: str, uuids: Iterable[str]) -> Refused:
    listed = sorted(uuids)
    return Refused(
        f"{cls.upper()}_AMBIGUOUS",
        [wanted, *listed],
        f"The pool has {len(listed)} of the {_word(cls)} name {wanted!r}; "
        f"give the uuid of the one you mean: {', '.join(listed)}.",
    )


def templates(records: Cache, wanted: str) -> list[tuple[str, Row]]:
    """The templates of that name or the one of that uuid; where there is none, a VM or snapshot."""
    rows = records.all("vm")
    known = {ref: row for ref, row in rows.items() if is_template(row)}
    return named(known, wanted) or [_vm_or_snapshot(rows, known, wanted)]


def is_template(row: Row) -> bool:
    return bool(row["is_a_template"]) and not row["is_a_snapshot"]


def _vm_or_snapshot(rows: Rows, templates: Rows, wanted: str) -> tuple[str, Row]:
    others = {ref: row for ref, row in rows.items() if not row["is_control_domain"]}
    found = named(others, wanted)
    if len(found) > 1:
        raise ambiguous("template", wanted, (row["uuid"] for _, row in found))
    if not found:
        raise _no_template(templates, wanted)
    return found[0]


def _no_template(templates: Rows, wanted: str) -> Refused:
    known = sorted({row["name_label"] for row in templates.values()})
    near = [name for name in known if wanted.lower() in name.lower() or name.lower() in wanted]
    shown = ", ".join(repr(name) for name in (near or known)[:8])
    return Refused(
        "TEMPLATE_NOT_FOUND",
        [wanted],
        f"The pool has no template, VM or snapshot {wanted!r}; "
        f"of templates it has, among others: {shown or 'none at all'}.",
    )


def disks_of(reader: Reader, row: Row) -> dict[str, TemplateDisk]:
    """The disks of a template, by device, in the order of the devices."""
    drives = (drive for drive in drives_of(reader, row) if drive["type"] == "Disk")
    return {
        str(device_of(drive)): reader.template_disk(drive["VDI"])
        for drive in sorted(drives, key=device_of)
    }


def device_of(drive: Row) -> int:
    """The number of a VBD's place, which may have a name there: 0, hda, sda and xvda are one.

    >>> device_of({"userdevice": "3"}), device_of({"userdevice": "xvdd"})
    (3, 3)
    """
    said = str(drive["userdevice"])
    named = _DEVICE.fullmatch(said)
    if named is None and not (said.isascii() and said.isdigit()):
        uuid = str(drive.get("uuid", ""))
        sentence = f"A drive of the template has the place {said!r}, which is no disk's: move it."
        raise Refused("INVALID_DEVICE", [said, uuid], sentence)
    if named is None:
        return int(said)
    number = 0
    for letter in named[1]:
        number = number * 26 + ord(letter) - ord("a") + 1
    return number - 1


def drives_of(reader: Reader, row: Row) -> list[Row]:
    """The VBDs of a template: its disks and its CD drives."""
    return [
        reader.records.get("vbd", vbd) or reader.read("VBD.get_record", vbd) for vbd in row["VBDs"]
    ]


def room(records: Cache, sr: str) -> int:
    """The bytes that are free on a storage repository."""
    row = records.get("sr", sr)
    return int(row["physical_size"]) - int(row["physical_utilisation"]) if row else 0


def storage(records: Cache, wanted: str | None) -> tuple[str, Row]:
    """The SR of that name or uuid, or the pool's default one."""
    rows = {ref: row for ref, row in records.all("sr").items() if row["content_type"] != "iso"}
    if wanted is not None:
        return one("sr", rows, wanted)
    default = next(iter(records.all("pool").values()))["default_SR"]
    if default not in rows:
        raise Refused(
            "SR_NOT_FOUND",
            [],
            "The pool has no default storage repository: name one, with sr, for each new disk.",
        )
    return default, rows[default]


def disk(reader: Reader, uuid: str) -> tuple[str, Row]:
    """The disk of that uuid."""
    try:
        ref = str(reader.read("VDI.get_by_uuid", uuid))
    except Refused as refused:
        if refused.code != "UUID_INVALID":
            raise
        raise Refused(
            "VDI_NOT_FOUND", [uuid], f"The pool has no disk with uuid {uuid!r}."
        ) from None
    return ref, reader.read("VDI.get_record", ref)


def iso(reader: Reader, wanted: str) -> str:
    """The CD image of that name or uuid, on one of the pool's ISO libraries."""
    by_uuid = _UUID.fullmatch(wanted)
    refs = [disk(reader, wanted)[0]] if by_uuid else _labelled(reader, wanted)
    libraries = {
        ref for ref, row in reader.records.all("sr").items() if row["content_type"] == "iso"
    }
    rows = {ref: reader.read("VDI.get_record", ref) for ref in refs}
    found = {ref: row for ref, row in rows.items() if row["SR"] in libraries}
    if by_uuid and not found:
        said = f"The disk {wanted} is no CD image: it lies on no ISO library of the pool."
        kinds = [str(row["type"]) for row in rows.values()]
        raise Refused("VDI_IS_NOT_ISO", [wanted, *kinds], said)
    ref, row = one("iso", found, wanted)
    check_present(row, wanted)
    return ref


def check_present(row: Row, wanted: str) -> None:
    """A storage that has been scanned may have told the pool that a disk of its is gone."""
    if row["missing"]:
        raise Refused(
            "VDI_MISSING",
            [str(row["SR"]), wanted],
            f"The storage repository of {wanted!r} has it no more: put it back and scan the "
            "repository, or name another.",
        )


def _labelled(reader: Reader, wanted: str) -> list[str]:
    return list(reader.read("VDI.get_by_name_label", wanted))


def mac_holders(records: Cache, macs: Iterable[str]) -> dict[str, str]:
    """Of these MACs those that a VIF of the pool has, each with the name of its VM."""
    wanted = set(macs)
    found = {}
    for row in records.all("vif").values() if wanted else ():
        mac = str(row["MAC"]).lower()
        if mac in wanted:
            holder = records.get("vm", row["VM"])
            found[mac] = str(holder["name_label"]) if holder else "a VM"
    return found


def is_pv(row: Row) -> bool:
    """Whether the VM boots paravirtualised, by its record and not by its name."""
    if row.get("domain_type") in ("hvm", "pvh"):
        return False
    return str(row["HVM_boot_policy"]) == ""


def is_8_2(records: Cache, host: str) -> bool:
    """Whether a host is of the 8.2 generation, or older."""
    row = records.get("host", host)
    version = (int(row["API_version_major"]), int(row["API_version_minor"])) if row else (2, 99)
    return version <= API_OF_8_2


def has_8_2(records: Cache) -> bool:
    """Whether a pool is of the 8.2 generation; one that is being upgraded still is."""
    return any(is_8_2(records, host) for host in records.all("host"))


def host_speeds(records: Cache) -> dict[str, int]:
    """The MHz of each host's first CPU, as far as the pool knows them."""
    rows = sorted(records.all("host_cpu").values(), key=lambda row: int(row["number"]))
    first = {str(row["host"]): int(row["speed"]) for row in reversed(rows)}
    return {host: speed for host, speed in first.items() if speed > 0}


def has_ha(records: Cache) -> bool:
    """Whether a pool keeps its VMs alive itself, by high availability."""
    return any(row["ha_enabled"] for row in records.all("pool").values())


def _word(cls: str) -> str:
    return {"sr": "storage repository", "iso": "CD image", "gpu_group": "group of GPUs"}.get(
        cls, cls
    )
