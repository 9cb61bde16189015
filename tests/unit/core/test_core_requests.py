"""Requests: what is taken, what is refused and with which sentence, and when two are equal."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenlaunch.disks import Cd, ExistingDisk, Iso, NewDisk
from xenlaunch.errors import BadRequest
from xenlaunch.fields import UNITS, parse_size, show_size
from xenlaunch.machine import Operation
from xenlaunch.model import Launch, LaunchRequest
from xenlaunch.nics import Nic

LEAST = {"name": "web", "template": "debian-12"}
GIB = 1 << 30

GOOD: dict[str, tuple[dict[str, Any], Any]] = {
    "nothing but the least": ({}, LaunchRequest(name="web", template="debian-12").model_dump()),
    "a size in words": ({"memory": "1.5GiB"}, {"memory": 1610612736}),
    "a size in bytes": ({"memory": 1 << 20}, {"memory": 1 << 20}),
    "a size with a space": ({"memory": " 512 MiB "}, {"memory": 512 << 20}),
    "a mac in capitals": (
        {"nics": [{"network": "guest", "mac": "02-AA-00-00-00-01"}]},
        {"nics": (Nic(network="guest", mac="02:aa:00:00:00:01").model_dump(),)},
    ),
    "no nics at all": ({"nics": []}, {"nics": ()}),
    "the template's nics": ({"nics": None}, {"nics": None}),
    "the first priority": ({"priority": 0}, {"priority": 0}),
    "a limited cpu": (
        {"cpu_speed": 500, "limit_cpu_use": True},
        {"cpu_speed": 500, "limit_cpu_use": True},
    ),
}


@pytest.mark.parametrize(("fields", "expected"), GOOD.values(), ids=GOOD)
def test_a_good_request(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    parsed = LaunchRequest.parse(LEAST | fields).model_dump()

    assert {name: parsed[name] for name in expected} == expected


def test_each_kind_of_disk() -> None:
    disks = [{"new": "10GiB", "sr": "sr-1"}, {"vdi": "u-1", "mode": "RO"}, {"iso": "tools.iso"}]
    parsed = LaunchRequest.parse({**LEAST, "disks": [*disks, {"cd": "empty", "device": 5}]})

    assert parsed.disks == (
        NewDisk(new=10 * GIB, sr="sr-1"),
        ExistingDisk(vdi="u-1", mode="RO"),
        Iso(iso="tools.iso"),
        Cd(cd="empty", device=5),
    )


NO_KIND = "is none of the kinds of disk: new, vdi, iso or cd"
MAC = "02:00:00:00:00:01"
MULTICAST = "01:00:00:00:00:01"
BAD: dict[str, tuple[object, str]] = {
    "a list": ([], "A request is a mapping of fields such as name and template; this is a list."),
    "text": ("x", "A request is a mapping of fields such as name and template; this is text."),
    "nothing": (None, "A request is a mapping of fields such as name and template; this is empty."),
    "a number": (
        7,
        "A request is a mapping of fields such as name and template; this is no mapping.",
    ),
    "no fields": ({}, "name is missing; template is missing."),
    "no template": ({"name": "web"}, "template is missing."),
    "an unknown field": (LEAST | {"ram": 1}, "ram is not a field of a request."),
    "two findings": (
        LEAST | {"ram": 1, "vcpus": 0},
        "vcpus must be at least 1 (it is 0); ram is not a field of a request.",
    ),
    "an unknown field of a new disk": (
        LEAST | {"disks": [{"new": "1GiB", "size": 1}]},
        "disks.0.size is not a field of a request.",
    ),
    "an unknown field of a disk": (
        LEAST | {"disks": [{"vdi": "u-1", "sr": "sr-1"}]},
        "disks.0.sr is not a field of a request.",
    ),
    "an unknown field of an iso": (
        LEAST | {"disks": [{"iso": "a.iso", "mode": "RW"}]},
        "disks.0.mode is not a field of a request.",
    ),
    "an unknown field of a cd": (
        LEAST | {"disks": [{"cd": "empty", "role": "data"}]},
        "disks.0.role is not a field of a request.",
    ),
    "an unknown field of a nic": (
        LEAST | {"nics": [{"network": "guest", "ip": "10.0.0.1"}]},
        "nics.0.ip is not a field of a request.",
    ),
    "an unknown kind of disk": (LEAST | {"disks": [{"sr": "sr-1"}]}, f"disks.0 {NO_KIND}."),
    "a disk that is text": (
        LEAST | {"disks": ["10GiB"]},
        f"disks.0 {NO_KIND} (it is '10GiB').",
    ),
    "disks that are no list": (LEAST | {"disks": {}}, "disks is not a list."),
    "a cd with something in it": (
        LEAST | {"disks": [{"cd": "x"}]},
        "disks.0.cd must be 'empty' (it is 'x').",
    ),
    "a range of memory upside down": (
        LEAST | {"memory": {"min": "2GiB", "max": "1GiB"}},
        "memory has a min that is above its max.",
    ),
    "a range of memory without an end": (
        LEAST | {"memory": {"min": "2GiB"}},
        "memory.max is missing.",
    ),
    "more vcpus than there may be": (
        LEAST | {"vcpus": 4, "vcpus_max": 2},
        "request has more vcpus than vcpus_max.",
    ),
    "cores that do not divide": (
        LEAST | {"vcpus": 4, "cores_per_socket": 3},
        "request has a number of vCPUs that its cores_per_socket do not divide.",
    ),
    "a speed and a weight": (
        LEAST | {"cpu_speed": 500, "cpu_weight": 256},
        "request has cpu_speed beside cpu_weight or cpu_cap, which it reckons itself.",
    ),
    "no cap at all": (LEAST | {"cpu_cap": 0}, "cpu_cap must be at least 1 (it is 0)."),
    "a device that boots twice": (
        LEAST | {"boot_order": "cc"},
        "request has a boot_order that names a device twice.",
    ),
    "a TPM with bios": (
        LEAST | {"firmware": "bios", "vtpm": True},
        "request has secure_boot or vtpm, which need firmware uefi.",
    ),
    "a key of XAPI's": (
        LEAST | {"other_config": {"mac_seed": "x"}},
        "request has in other_config what belongs to XAPI or to xenlaunch: mac_seed.",
    ),
    "a key of ours": (
        LEAST | {"other_config": {"xenlaunch-kept": "x"}},
        "request has in other_config what belongs to XAPI or to xenlaunch: xenlaunch-kept.",
    ),
    "a pin without a host": (LEAST | {"pin": True}, "request has pin, but no host to pin to."),
    "a hypervisor that balloons": (
        LEAST | {"nested_virtualisation": True, "memory": {"min": "1GiB", "max": "2GiB"}},
        "request has a range of memory, and nested_virtualisation needs it fixed.",
    ),
    "a platform that no call carries": (
        LEAST | {"platform": {f"key{n}": "x" * 4096 for n in range(60)}},
        "platform is longer than 204800 bytes in all.",
    ),
    "blocked operations that no call carries": (
        LEAST | {"blocked_operations": dict.fromkeys(get_args(Operation)[:9], "\u4e2d" * 4096)},
        "blocked_operations is longer than 204800 bytes in all.",
    ),
    "words in xenstore that no call carries": (
        LEAST | {"guest": {"xenstore_data": {f"key{n}": "\u4e2d" * 2048 for n in range(20)}}},
        "guest.xenstore_data is longer than 204800 bytes in all.",
    ),
    "a size beyond all numbers": (
        LEAST | {"memory": f"{'9' * 400}GiB"},
        f"memory is not a size: write it like 512MiB or 2GiB (it is '{'9' * 400}GiB').",
    ),
    "a rate beyond all numbers": (
        LEAST | {"nics": [{"network": "guest", "rate": f"{'9' * 400}MBps"}]},
        (
            "nics.0.rate is not a rate: write it like 10MBps, in bytes, or 100Mbps, in bits "
            f"(it is '{'9' * 400}MBps')."
        ),
    ),
    "an address by an interface of one's own": (
        LEAST | {"nics": [{"network": "guest", "ipv6": "fe80::1%eth0/64"}]},
        (
            "nics.0.ipv6 is not an IPv6 address with the length of its prefix "
            "(it is 'fe80::1%eth0/64')."
        ),
    ),
    "a gateway by an interface of one's own": (
        LEAST | {"nics": [{"network": "g", "ipv6": "fe80::2/64", "ipv6_gateway": "fe80::1%e"}]},
        "nics.0.ipv6_gateway is not an IPv6 address (it is 'fe80::1%e').",
    ),
    "a range by an interface of one's own": (
        LEAST | {"wait_for": {"cidr": "fe80::%eth0/64"}},
        (
            "wait_for.cidr is no range of addresses: write it like 10.1.0.0/16 "
            "(it is 'fe80::%eth0/64')."
        ),
    ),
    "an empty name": (LEAST | {"name": ""}, "name is empty (it is '')."),
    "a blank template": (LEAST | {"template": " "}, "template is empty (it is ' ')."),
    "a name with a line break": (
        LEAST | {"name": "a\nb"},
        "name has control characters in it (it is 'a\\nb').",
    ),
    "a name of ours": (
        LEAST | {"name": "xenlaunch:x"},
        "name begins with 'xenlaunch:', which marks unfinished VMs (it is 'xenlaunch:x').",
    ),
    "a name that is a number": (LEAST | {"name": 7}, "name is not text (it is 7)."),
    "a name too long": (
        LEAST | {"name": "x" * 256},
        f"name is longer than 255 (it is '{'x' * 256}').",
    ),
    "no size": (
        LEAST | {"memory": "2 GB"},
        "memory is not a size: write it like 512MiB or 2GiB (it is '2 GB').",
    ),
    "a size that is true": (
        LEAST | {"memory": True},
        "memory is not a size: write it like 512MiB or 2GiB (it is True).",
    ),
    "too small a size": (
        LEAST | {"memory": 2},
        "memory must be at least 1048576 (it is 2).",
    ),
    "too large a size": (
        LEAST | {"memory": "2048TiB"},
        "memory must be at most 1125899906842624 (it is '2048TiB').",
    ),
    "text for a number": (LEAST | {"vcpus": "2"}, "vcpus is not a whole number (it is '2')."),
    "a fraction": (LEAST | {"vcpus": 1.5}, "vcpus is not a whole number (it is 1.5)."),
    "a truth for a number": (LEAST | {"vcpus": True}, "vcpus is not a whole number (it is True)."),
    "too many vcpus": (LEAST | {"vcpus": 1025}, "vcpus must be at most 1024 (it is 1025)."),
    "text for a truth": (
        LEAST | {"limit_cpu_use": "yes"},
        "limit_cpu_use is neither true nor false (it is 'yes').",
    ),
    "a limit to nothing": (
        LEAST | {"limit_cpu_use": True},
        "request has limit_cpu_use, but no cpu_speed to limit to.",
    ),
    "a word that is none": (
        LEAST | {"on_failure": "explode"},
        "on_failure must be 'destroy' or 'keep' (it is 'explode').",
    ),
    "a priority beyond": (LEAST | {"priority": 10}, "priority must be at most 9 (it is 10)."),
    "a mac that is none": (
        LEAST | {"nics": [{"network": "guest", "mac": "02"}]},
        "nics.0.mac is not a MAC address: write it like 02:16:3e:00:00:01 (it is '02').",
    ),
    "a multicast mac": (
        LEAST | {"nics": [{"network": "guest", "mac": MULTICAST}]},
        f"nics.0.mac is a multicast address: its first byte must be even (it is {MULTICAST!r}).",
    ),
    "one mac twice": (
        LEAST | {"nics": [{"network": "a", "mac": MAC}, {"network": "b", "mac": MAC}]},
        "request gives two NICs the same MAC address.",
    ),
    "one device twice": (
        LEAST | {"disks": [{"cd": "empty", "device": 3}, {"new": "1GiB", "device": 3}]},
        "request gives two disks the same device.",
    ),
    "no network": (
        LEAST | {"nics": [{"mac": MAC}]},
        "nics.0 names no network: give network, traffic, or a broadcast type that needs none.",
    ),
    "too many disks": (
        LEAST | {"disks": [{"cd": "empty"}] * 65},
        "disks has more entries than 64.",
    ),
}


@pytest.mark.parametrize(("fields", "sentence"), BAD.values(), ids=BAD)
def test_a_bad_request_says_what_is_wrong(fields: object, sentence: str) -> None:
    with pytest.raises(BadRequest) as refused:
        LaunchRequest.parse(fields)

    assert refused.value.message == sentence


# Requests as people could write them

labels = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=20)
titles = labels.filter(lambda text: not text.startswith("xenlaunch:"))
sizes = st.one_of(
    st.integers(1 << 20, 1 << 40),
    st.builds("{}{}".format, st.integers(1, 900), st.sampled_from(("MiB", "GiB"))),
)
macs = st.integers(0, (1 << 40) - 1).map(lambda tail: f"02:{tail.to_bytes(5).hex(':')}")


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


disks = st.one_of(
    st.builds(dict.__or__, st.builds(lambda new: {"new": new}, sizes), maybe(sr=labels)),
    st.builds(lambda vdi: {"vdi": vdi, "mode": "RO"}, labels),
    st.builds(lambda iso: {"iso": iso}, labels),
    st.just({"cd": "empty"}),
)
nics = st.lists(macs, max_size=3, unique=True).map(
    lambda chosen: [{"network": "guest", "mac": mac} for mac in chosen]
)


def is_met(fields: dict[str, Any]) -> bool:
    """Whether what is waited for can come: an address needs a NIC."""
    return fields.get("nics") != [] or fields.get("wait_for") in (None, "running", "agent")


requests = st.builds(
    dict.__or__,
    st.fixed_dictionaries({"name": titles, "template": labels}),
    maybe(
        pool=st.none() | labels,
        vcpus=st.none() | st.integers(1, 1024),
        memory=st.none() | sizes,
        disks=st.lists(disks, max_size=3),
        nics=st.none() | nics,
        wait_for=st.sampled_from(("running", "agent", "address", {"family": "ipv6", "port": 22})),
        on_failure=st.sampled_from(("destroy", "keep")),
        priority=st.integers(0, 9),
        owner=st.none() | labels,
    ),
).filter(is_met)


@given(requests)
def test_a_request_comes_back_from_its_canonical_form(fields: dict[str, Any]) -> None:
    parsed = LaunchRequest.parse(fields)
    back = LaunchRequest.parse(json.loads(parsed.canonical()))

    assert back == parsed
    assert back.canonical() == parsed.canonical()


@given(requests, st.randoms())
def test_equal_requests_have_equal_digests(fields: dict[str, Any], chance: Any) -> None:
    """However they are written: in another order, with the defaults, or with sizes in bytes."""
    parsed = LaunchRequest.parse(fields)
    shuffled = list(parsed.model_dump().items())
    chance.shuffle(shuffled)

    assert LaunchRequest.parse(dict(shuffled)).digest() == parsed.digest()


@given(requests, requests)
def test_different_requests_have_different_digests(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = LaunchRequest.parse(one), LaunchRequest.parse(other)

    assert (first.digest() == second.digest()) == (first == second)


@given(st.integers(0, 1 << 60))
def test_a_size_is_shown_as_people_can_write_it(size: int) -> None:
    shown = show_size(size)
    again = parse_size(shown) if shown.endswith(tuple(UNITS)) else size

    assert abs(again - size) <= 0.05 * max(size, 1)


def test_values_are_frozen() -> None:
    nic = Nic(network="guest")

    with pytest.raises(ValueError, match="frozen"):
        nic.network = "other"  # type: ignore[misc]  # it must not be possible
    assert nic.but(network="other") == Nic(network="other")


def test_a_change_leaves_the_value_as_it_was() -> None:
    wanted = LaunchRequest.parse(LEAST)
    launch = Launch(id="l-1", deployment="tests", pool="lab", request=wanted)

    assert launch.but(vm="OpaqueRef:vm").vm == "OpaqueRef:vm"
    assert launch.vm == ""
