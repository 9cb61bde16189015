"""What a request says of network interfaces: which network, and what each may do there."""

import ipaddress
import itertools
import re
from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StrictInt, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from xenlaunch.fields import Label, Mac
from xenlaunch.frozen import Frozen

Traffic = Literal["guest", "control", "management", "public", "storage"]
Kind = Literal["native", "link-local", "vlan", "vswitch", "tunnel"]

MOST_KEYS: Final = {"gre": (1 << 32) - 1, "vxlan": (1 << 24) - 1}
"""The largest key of a tunnel, by its protocol."""

SCOPE: Final = "%"
"""What stands before an interface of one's own in an IPv6 address: nothing that XAPI could keep."""

_RATE: Final = re.compile(r"([0-9]{1,16}(?:\.[0-9]{1,16})?)\s*([kMG])(B|b)ps")
_POWERS: Final = {"k": 0, "M": 1, "G": 2}
_BITS: Final = 8
_MOST_RATE: Final = (1 << 31) - 1


def kilobytes(rate: str) -> int:
    """A rate in kilobytes a second, as XAPI counts in what it calls ``kbps``.

    >>> kilobytes("10MBps"), kilobytes("100Mbps")
    (10240, 12800)
    """
    written = _RATE.fullmatch(rate.strip())
    if written is None:
        raise PydanticCustomError(
            "rate", "is not a rate: write it like 10MBps, in bytes, or 100Mbps, in bits"
        )
    each = 1024 ** _POWERS[written[2]] / (_BITS if written[3] == "b" else 1)
    return int(float(written[1]) * each)


def _check_rate(value: str) -> str:
    found = kilobytes(value)
    if not 1 <= found <= _MOST_RATE:
        raise PydanticCustomError("rate", "is no rate that XAPI can keep: at least 1kBps")
    return f"{found}kBps"


def _check_address(value: str, version: int) -> str:
    try:
        found = ipaddress.ip_address(value.strip())
    except ValueError:
        found = None
    if found is None or found.version != version or SCOPE in value:
        raise PydanticCustomError("address", f"is not an IPv{version} address")
    return str(found)


def _check_interface(value: str, version: int) -> str:
    try:
        found = ipaddress.ip_interface(value.strip())
    except ValueError:
        found = None
    if found is None or found.version != version or "/" not in value or SCOPE in value:
        raise PydanticCustomError(
            "address", f"is not an IPv{version} address with the length of its prefix"
        )
    return str(found)


Rate = Annotated[StrictStr, AfterValidator(_check_rate)]
Ipv4 = Annotated[StrictStr, AfterValidator(lambda value: _check_address(value, 4))]
Ipv6 = Annotated[StrictStr, AfterValidator(lambda value: _check_address(value, 6))]
Ipv4Interface = Annotated[StrictStr, AfterValidator(lambda value: _check_interface(value, 4))]
Ipv6Interface = Annotated[StrictStr, AfterValidator(lambda value: _check_interface(value, 6))]
Tag = Annotated[StrictInt, Field(ge=0, le=4094)]


class Nic(Frozen):
    """One network interface: on a network that is there, or on one that is made for all."""

    network: Label | None = None
    traffic: Traffic | None = None
    broadcast: Kind | None = None
    vlan: Tag | None = None
    tunnel: Annotated[StrictInt, Field(ge=0, le=MOST_KEYS["gre"])] | None = None
    protocol: Literal["gre", "vxlan"] | None = None
    device: Annotated[StrictInt, Field(ge=0, le=15)] | None = None
    mac: Mac | None = None
    mtu: Annotated[StrictInt, Field(ge=68, le=65535)] | None = None
    rate: Rate | None = None
    locking_mode: Literal["network_default", "locked", "unlocked", "disabled"] | None = None
    ipv4_allowed: Annotated[tuple[Ipv4, ...], Field(max_length=64)] = ()
    ipv6_allowed: Annotated[tuple[Ipv6, ...], Field(max_length=64)] = ()
    ipv4: Ipv4Interface | None = None
    ipv4_gateway: Ipv4 | None = None
    ipv6: Ipv6Interface | None = None
    ipv6_gateway: Ipv6 | None = None
    trunks: Annotated[tuple[Tag, ...], Field(max_length=64)] = ()

    @property
    def kind(self) -> Kind:
        """The broadcast type, said or meant."""
        if self.broadcast is not None:
            return self.broadcast
        if self.vlan is not None:
            return "vlan"
        return "native" if self.tunnel is None else "tunnel"

    @property
    def locks(self) -> bool:
        """Whether XAPI is to let it send from the addresses that are allowed, and no other."""
        return self.locking_mode == "locked" or bool(self.ipv4_allowed or self.ipv6_allowed)

    @property
    def shown(self) -> str:
        """Its network, as people say it."""
        named = self.network or self.traffic or ""
        detail = {"vlan": f"VLAN {self.vlan}", "tunnel": f"tunnel {self.tunnel}", "native": ""}
        return f"{named} {detail.get(self.kind, self.kind)}".strip()

    @model_validator(mode="after")
    def _says_one_network(self) -> Self:
        contradiction = _contradiction(self) or _idle(self) or _locked_out(self)
        if contradiction:
            raise PydanticCustomError("nic", contradiction)
        return self


def devices_of(nics: Sequence[Nic]) -> list[int]:
    """The device of each NIC: as given, else the first that is free.

    >>> devices_of([Nic(network="a"), Nic(network="b", device=0), Nic(network="c")])
    [1, 0, 2]
    """
    given = {nic.device for nic in nics}
    free = (number for number in itertools.count() if number not in given)
    return [next(free) if nic.device is None else nic.device for nic in nics]


def _contradiction(nic: Nic) -> str:
    """What of the network's description cannot be, or ''."""
    kind, named = nic.kind, nic.network is not None
    protocol = nic.protocol or "gre"
    found = (
        (
            named and nic.traffic is not None,
            "has both network and traffic: one of them names the network",
        ),
        (
            kind in ("native", "vlan") and not named and nic.traffic is None,
            "names no network: give network, traffic, or a broadcast type that needs none",
        ),
        (
            kind == "link-local" and (named or nic.traffic not in (None, "control")),
            "is link-local, which is a network of its own: leave network and traffic out",
        ),
        (
            kind == "vswitch" and named,
            "is on the vswitch, which is a network of its own: leave network out",
        ),
        (
            (kind == "vlan") != (nic.vlan is not None),
            "must have broadcast vlan and a tag, vlan, together",
        ),
        (
            (kind == "tunnel") != (nic.tunnel is not None),
            "must have broadcast tunnel and a key, tunnel, together",
        ),
        (
            (nic.tunnel or 0) > MOST_KEYS[protocol],
            f"has a key for which {protocol} has no room: at most {MOST_KEYS[protocol]}",
        ),
    )
    return next((sentence for wrong, sentence in found if wrong), "")


def _idle(nic: Nic) -> str:
    """What would say nothing where it stands, or ''."""
    allowed = nic.ipv4_allowed or nic.ipv6_allowed
    found = (
        (nic.protocol is not None and nic.kind != "tunnel", "has a protocol, but no tunnel"),
        (nic.ipv4_gateway is not None and nic.ipv4 is None, "has ipv4_gateway, but no ipv4"),
        (nic.ipv6_gateway is not None and nic.ipv6 is None, "has ipv6_gateway, but no ipv6"),
        (
            nic.trunks and nic.kind == "vlan",
            "has trunks on a VLAN, which carries no other tags",
        ),
        (
            allowed and nic.locking_mode not in (None, "locked"),
            f"allows addresses, which locking_mode {nic.locking_mode} does not heed",
        ),
    )
    return next((sentence for wrong, sentence in found if wrong), "")


def _locked_out(nic: Nic) -> str:
    """Which static address it could not send from, or ''."""
    said = (("ipv4", nic.ipv4, nic.ipv4_allowed), ("ipv6", nic.ipv6, nic.ipv6_allowed))
    for field, address, allowed in said:
        if nic.locks and address and address.partition("/")[0] not in allowed:
            return (
                f"is locked, and {field}, {address}, is not among the addresses of {field}_allowed"
            )
    return ""
