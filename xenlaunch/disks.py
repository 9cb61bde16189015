"""What a request says of disks: new ones, disks that are there already, CD drives."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, StrictInt, Tag

from xenlaunch.fields import Label, Size
from xenlaunch.frozen import Frozen


class NewDisk(Frozen):
    """A disk made for this launch, and destroyed with it when the launch is undone."""

    new: Size
    sr: Label | None = None
    role: Literal["data", "swap", "root"] = "data"
    mode: Literal["RW", "RO"] = "RW"
    device: Annotated[StrictInt, Field(ge=0, le=254)] | None = None


class ExistingDisk(Frozen):
    """A disk that is there already, by uuid: attached, never destroyed."""

    vdi: Label
    role: Literal["data", "swap", "root"] = "data"
    mode: Literal["RW", "RO"] = "RW"
    device: Annotated[StrictInt, Field(ge=0, le=254)] | None = None


class Iso(Frozen):
    """A CD drive with an image in it, by the image's name or uuid."""

    iso: Label
    device: Annotated[StrictInt, Field(ge=0, le=254)] | None = None


class Cd(Frozen):
    """An empty CD drive."""

    cd: Literal["empty"]
    device: Annotated[StrictInt, Field(ge=0, le=254)] | None = None


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
