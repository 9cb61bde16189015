"""What a request says of disks: the template's, new ones, disks that are there, CD drives."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from xenlaunch.fields import Carried, Label, Size
from xenlaunch.frozen import Frozen

Device = Annotated[StrictInt, Field(ge=0, le=254)]
Description = Annotated[Carried, Field(max_length=4096)]


class TemplatesDisk(Frozen):
    """What becomes of one of the template's disks in this VM; the template keeps its own."""

    device: Device
    keep: StrictBool = True
    size: Size | None = None
    name: Label | None = None
    description: Description | None = None
    sr: Label | None = None

    @model_validator(mode="after")
    def _is_wanted(self) -> Self:
        said = (self.size, self.name, self.description, self.sr)
        if not self.keep and any(one is not None for one in said):
            raise PydanticCustomError("disk", "is left out (keep: false), and changed as well")
        return self


class Qos(Frozen):
    """How a disk ranks among those of its host, as XAPI's ``ionice`` has it."""

    sched: Literal["best-effort", "real-time", "idle"] = "best-effort"
    priority: Literal["highest", "high", "normal", "low", "lowest"] | None = None

    @model_validator(mode="after")
    def _ranks(self) -> Self:
        if self.sched == "idle" and self.priority is not None:
            raise PydanticCustomError("qos", "has a priority beside sched: idle, which has none")
        return self


class Drive(Frozen):
    """A disk as the VM is to see it: what its VBD says."""

    role: Literal["data", "swap", "root"] = "data"
    mode: Literal["RW", "RO"] = "RW"
    device: Device | None = None
    bootable: StrictBool | None = None
    unpluggable: StrictBool | None = None
    qos: Qos | None = None


class NewDisk(Drive):
    """A disk made for this launch, and destroyed with it when the launch is undone."""

    new: Size
    sr: Label | None = None
    name: Label | None = None
    description: Description | None = None


class ExistingDisk(Drive):
    """A disk that is there already, by uuid: attached, never destroyed."""

    vdi: Label


class Iso(Frozen):
    """A CD drive with an image in it, by the image's name or uuid."""

    iso: Label
    device: Device | None = None
    bootable: StrictBool = False


class Cd(Frozen):
    """An empty CD drive."""

    cd: Literal["empty"]
    device: Device | None = None
    bootable: StrictBool = False


_KIND_OF_DISK = {"new": "NewDisk", "vdi": "ExistingDisk", "iso": "Iso", "cd": "Cd"}


def _kind_of_disk(value: object) -> str | None:
    if isinstance(value, Frozen):
        return type(value).__name__
    keys = value if isinstance(value, Mapping) else ()
    return next((kind for key, kind in _KIND_OF_DISK.items() if key in keys), None)


Disk = Annotated[
    Annotated[NewDisk, Tag("NewDisk")]
    | Annotated[ExistingDisk, Tag("ExistingDisk")]
    | Annotated[Iso, Tag("Iso")]
    | Annotated[Cd, Tag("Cd")],
    Discriminator(_kind_of_disk),
]
