"""What a launch waits for once its VM runs: the guest's agent, an address, an open port."""

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from xenlaunch.frozen import Frozen
from xenlaunch.nics import SCOPE

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _check_cidr(value: str) -> str:
    with suppress(ValueError):
        if SCOPE not in value:
            return str(ipaddress.ip_network(value))
    raise PydanticCustomError("cidr", "is no range of addresses: write it like 10.1.0.0/16")


Cidr = Annotated[StrictStr, AfterValidator(_check_cidr)]


class Awaited(Frozen):
    """An address of the guest, of one NIC or family or range if it says so, and a port of it."""

    nic: Annotated[StrictInt, Field(ge=0, le=15)] | None = None
    family: Literal["ipv4", "ipv6"] | None = None
    cidr: Cidr | None = None
    port: Annotated[StrictInt, Field(ge=1, le=65_535)] | None = None

    @model_validator(mode="after")
    def _can_come(self) -> Self:
        version = ipaddress.ip_network(self.cidr).version if self.cidr else None
        if version and self.family and self.family != f"ipv{version}":
            raise PydanticCustomError(
                "wait", f"waits for {self.family} in a range of ipv{version}: {self.cidr}"
            )
        return self

    def takes(self, nic: str, address: Address) -> bool:
        """Whether this address of that NIC is one that is waited for.

        What every guest gives itself counts only where a range is given that it lies in.
        """
        if self.nic is not None and nic != str(self.nic):
            return False
        if self.family is not None and self.family != f"ipv{address.version}":
            return False
        if self.cidr is not None:
            return address in ipaddress.ip_network(self.cidr)
        return not (address.is_link_local or address.is_loopback or address.is_unspecified)

    def __str__(self) -> str:
        """Its address, in words.

        >>> print(Awaited(nic=1, family="ipv6"))
        its IPv6 address on NIC 1
        >>> print(Awaited())
        its address
        """
        words = ["its", "IPv" + self.family[-1] if self.family else "", "address"]
        words += [f"in {self.cidr}" if self.cidr else ""]
        words += [f"on NIC {self.nic}" if self.nic is not None else ""]
        return " ".join(word for word in words if word)


WaitFor = Annotated[
    Annotated[Literal["running", "agent", "address"], Tag("word")]
    | Annotated[Awaited, Tag("Awaited")],
    Discriminator(lambda value: "Awaited" if isinstance(value, Mapping | Awaited) else "word"),
]
