"""What is asked for (`LaunchRequest`), what it is on its way (`Launch`), and what came of it."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictInt, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from xenlaunch.disks import Disk, TemplatesDisk
from xenlaunch.errors import BadRequest
from xenlaunch.fields import Label, Name, Pools, explain
from xenlaunch.frozen import Frozen
from xenlaunch.gpus import Gpu
from xenlaunch.groups import Group
from xenlaunch.guest import Guest
from xenlaunch.machine import Machine
from xenlaunch.nics import Nic, devices_of
from xenlaunch.waiting import Awaited, WaitFor

MAX_BATCH = 10_000
"""The most launches that one batch may ask for."""


class LaunchRequest(Machine):
    """One VM that somebody wants. What is left out is as the template has it."""

    name: Name
    template: Label
    clone: Literal["fast", "full"] = "fast"
    sr: Label | None = None
    pool: Pools | None = None
    template_disks: Annotated[tuple[TemplatesDisk, ...], Field(max_length=64)] = ()
    disks: Annotated[tuple[Disk, ...], Field(max_length=64)] = ()
    nics: Annotated[tuple[Nic, ...], Field(max_length=16)] | None = None
    gpu: Gpu | None = None
    host: Label | None = None
    pin: StrictBool = False
    placement: Literal["spread", "pack"] = "spread"
    group: Group | None = None
    guest: Guest | None = None
    wait_for: WaitFor = "running"
    wait_seconds: Annotated[StrictInt, Field(ge=1, le=86_400)] = 300
    on_failure: Literal["destroy", "keep"] = "destroy"
    priority: Annotated[StrictInt, Field(ge=0, le=9)] = 5
    owner: Label | None = None
    start_within: Annotated[StrictInt, Field(ge=1, le=604_800)] | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.sr is not None and self.clone == "fast":
            raise PydanticCustomError(
                "request", "has sr, to which only clone: full copies; new disks have their own"
            )
        if self.pin and self.host is None:
            raise PydanticCustomError("request", "has pin, but no host to pin to")
        devices = [disk.device for disk in self.disks if disk.device is not None]
        if len(devices) != len(set(devices)):
            raise PydanticCustomError("request", "gives two disks the same device")
        devices = [disk.device for disk in self.template_disks]
        if len(devices) != len(set(devices)):
            raise PydanticCustomError("request", "speaks of one of the template's disks twice")
        places = [nic.device for nic in self.nics or () if nic.device is not None]
        if len(places) != len(set(places)):
            raise PydanticCustomError("request", "gives two NICs the same device")
        macs = [nic.mac for nic in self.nics or () if nic.mac]
        if len(macs) != len(set(macs)):
            raise PydanticCustomError("request", "gives two NICs the same MAC address")
        return self

    @model_validator(mode="after")
    def _has_what_it_waits_for(self) -> Self:
        if self.nics is None:
            return self
        if self.guest and self.guest.remove_after == "address" and not self.nics:
            raise PydanticCustomError("request", "has remove_after: address, and no NIC")
        if self.wait_for not in ("running", "agent") and not self.nics:
            raise PydanticCustomError("request", "waits for an address, and has no NIC")
        nic = self.wait_for.nic if isinstance(self.wait_for, Awaited) else None
        if nic is not None and nic not in devices_of(self.nics):
            raise PydanticCustomError(
                "request", "waits for an address of NIC {nic}, and has no such NIC", {"nic": nic}
            )
        return self

    @classmethod
    def parse(cls, fields: object) -> Self:
        """A request from plain data (a mapping, as YAML or JSON give it).

        Raises `BadRequest` with one sentence that names each field that is wrong.
        """
        if not isinstance(fields, Mapping):
            kind = {list: "a list", str: "text", type(None): "empty"}.get(
                type(fields), "no mapping"
            )
            raise BadRequest(
                f"A request is a mapping of fields such as name and template; this is {kind}."
            )
        try:
            return cls.model_validate(fields)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
            findings = [(error["loc"], explain(error)) for error in errors]
            said = "; ".join(sentence for _, sentence in findings)
            raise BadRequest(f"{said}.", findings) from None

    def canonical(self) -> str:
        """The request as JSON without its defaults: equal for equal requests."""
        return self.model_dump_json(exclude_defaults=True)

    def apart(self) -> tuple[str, str]:
        """The request without what is told to the guest, and that alone, or ''; both as JSON."""
        told = self.guest.model_dump_json(exclude_defaults=True) if self.guest else ""
        return self.but(guest=None).canonical(), told

    def without_data(self) -> Self:
        """The request as a message may carry it: with nothing of what is told to the guest."""
        return self.but(guest=self.guest.without_data()) if self.guest else self

    def __hash__(self) -> int:  # mappings have none of their own
        return hash(self.canonical())

    def digest(self) -> str:
        return hashlib.sha256(self.canonical().encode()).hexdigest()


class Host(Frozen):
    """The host that a launch was given: its ref, uuid and name.

    ``gpu``: the group and type of the virtual GPU that is reserved there, by their refs, or ''.
    """

    ref: str
    uuid: str
    name: str
    gpu: str = ""


class TemplateDisk(Frozen):
    """One disk of a template, as its copies will be: a copy keeps name and size, and the SR."""

    sr: str
    name: str
    size: int


class TemplateCopy(Frozen):
    """A template of the same name and shape on another SR; ``mark`` as a template has it."""

    ref: str
    uuid: str
    sr: str
    mark: str = ""
    disks: tuple[TemplateDisk, ...]


class Template(Frozen):
    """The template that a launch was given, pinned by `connect`; it may be a VM or a snapshot.

    ``mark`` is that of the launch that made it; ``copy_to`` the SR that a full copy of it goes to;
    ``copies`` are those of which `clone` takes the one whose SR has a slot first.
    """

    ref: str
    uuid: str
    name: str
    mark: str = ""
    copy_to: str = ""
    vbds: int = 0
    vifs: int = 0
    pv: bool = False
    disks: tuple[TemplateDisk, ...] = ()
    copies: tuple[TemplateCopy, ...] = ()

    @property
    def marks(self) -> frozenset[str]:
        """The marks that a clone may have from what it was cloned from."""
        return frozenset({self.mark, *(copy.mark for copy in self.copies)})


class Leftover(Frozen):
    """Something that a launch had to leave in the pool, and what to do about it."""

    cls: str
    uuid: str
    advice: str


class Launch(Frozen):
    """A launch as a step sees it: what was asked for, and what the steps before have learnt.

    ``vm`` and ``networks`` are refs, ``networks`` one a NIC; ``sources`` has one ref for each disk
    that was asked for: its VDI, or the SR on which it is to be made, or the null ref for no medium.
    ``moves`` has one for each of ``template_disks``: the SR to move it to, or the null ref.
    ``setup_sr`` is the SR of the set-up drive, '' without one; ``index`` the place in its batch.
    ``loose`` are disks like the template's that no VM had before anything was cloned.
    """

    id: str
    deployment: str
    pool: str
    request: LaunchRequest
    host: Host | None = None
    template: Template | None = None
    index: int = 1
    vm: str = ""
    vm_uuid: str = ""
    setup_sr: str = ""
    sources: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    note: str = ""
    loose: tuple[str, ...] = ()
    leftovers: tuple[Leftover, ...] = ()


class LaunchResult(Frozen):
    """What a launch that succeeded has brought up."""

    id: str
    name: str
    pool: str
    vm_uuid: str
    host: str
    macs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    note: str = ""
    leftovers: tuple[Leftover, ...] = ()
    seconds: dict[str, float] = Field(default_factory=dict)


class LaunchError(Frozen):
    """Why a launch ended without a VM: the pool's code and parameters, and a sentence."""

    code: str
    params: tuple[str, ...] = ()
    message: str


class LaunchStatus(Frozen):
    """Where a launch is. Its JSON is the one that the command line prints; times are UTC."""

    id: str
    name: str
    state: str
    step: str | None = None
    pool: str | None = None
    host: str | None = None
    vm_uuid: str | None = None
    addresses: tuple[str, ...] = ()
    error: LaunchError | None = None
    batch: str | None = None
    submitted: datetime
    ended: datetime | None = None
    doing: str = Field(default="", exclude=True)
    macs: tuple[str, ...] = Field(default=(), exclude=True)
    note: str = Field(default="", exclude=True)
    leftovers: tuple[Leftover, ...] = Field(default=(), exclude=True)
    seconds: dict[str, float] = Field(default={}, exclude=True)

    @property
    def has_ended(self) -> bool:
        return self.ended is not None
