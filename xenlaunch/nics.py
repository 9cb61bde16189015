"""What a request says of network interfaces."""

from typing import Annotated

from pydantic import Field, StrictInt

from xenlaunch.fields import Label, Mac
from xenlaunch.frozen import Frozen


class Nic(Frozen):
    """One network interface on a network that exists, by its name or uuid."""

    network: Label
    mac: Mac | None = None
    mtu: Annotated[StrictInt, Field(ge=68, le=65535)] | None = None
