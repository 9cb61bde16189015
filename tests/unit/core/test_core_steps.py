"""The pure parts of the steps: weights and caps, devices, MACs, addresses, and the chain itself."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.chain import BODIES, LAUNCH, following, remaining
from tasks.cpu import vcpu_params
from tasks.told import usable
from tasks.vbds import CD_DEVICE, assign_devices
from tasks.vifs import derived_mac
from xenlaunch import names
from xenlaunch.disks import Cd, Disk, Iso, NewDisk

GIB = 1 << 30


@pytest.mark.parametrize(
    ("speed", "host", "vcpus", "weight", "cap"),
    [
        # (int)(speed * 0.99 / host * 256), at most 256; speed * 100 * vcpus / host
        (500, 2600, 1, 48, 19),
        (500, 2600, 2, 48, 38),
        (1000, 2000, 4, 126, 200),
        (2600, 2600, 1, 253, 100),
        (2600, 2600, 8, 253, 800),
        (2000, 2001, 1, 253, 99),
        (5200, 2600, 1, 256, 200),
        (1_000_000, 1000, 1, 256, 65_535),
        (20, 2600, 1, 1, 1),
        (1, 4000, 1, 1, 1),
        (26, 2600, 1, 2, 1),
        (25, 2600, 1, 2, 1),
    ],
)
def test_weight_and_cap(speed: int, host: int, vcpus: int, weight: int, cap: int) -> None:
    limited = vcpu_params(speed, host, vcpus, limited=True)
    free = vcpu_params(speed, host, vcpus, limited=False)

    assert limited == {"weight": str(weight), "cap": str(cap)}
    assert free == {"weight": str(weight), "cap": "0"}


@given(st.integers(1, 1_000_000), st.integers(1, 10_000), st.integers(1, 1024))
def test_xen_is_never_given_a_weight_or_cap_that_means_something_else(
    speed: int, host: int, vcpus: int
) -> None:
    params = vcpu_params(speed, host, vcpus, limited=True)

    assert 1 <= int(params["weight"]) <= 256
    assert int(params["cap"]) >= 1


# Devices

kinds: st.SearchStrategy[Disk] = st.sampled_from(
    (NewDisk(new=GIB), NewDisk(new=GIB, role="swap"), Iso(iso="tools.iso"), Cd(cd="empty"))
)
taken_devices = st.sets(st.integers(0, 12), max_size=8)


@st.composite
def wanted_disks(draw: st.DrawFn) -> tuple[Disk, ...]:
    """Some disks, a few of which name a device of their own."""
    disks: list[Disk] = draw(st.lists(kinds, max_size=8))
    given_devices = iter(draw(st.permutations(range(20, 30))))
    return tuple(
        disk.but(device=next(given_devices)) if draw(st.booleans()) else disk for disk in disks
    )


@given(wanted_disks(), taken_devices)
def test_each_disk_has_a_device_of_its_own(disks: tuple[Disk, ...], taken: set[int]) -> None:
    devices = assign_devices(disks, taken)

    assert len(devices) == len(disks)
    assert len(set(devices)) == len(devices)
    assert taken.isdisjoint(devices)
    assert [device for disk, device in zip(disks, devices, strict=True) if disk.device] == [
        disk.device for disk in disks if disk.device
    ]


@given(wanted_disks(), taken_devices)
def test_the_cd_goes_to_its_device_and_disks_do_not(
    disks: tuple[Disk, ...], taken: set[int]
) -> None:
    devices = assign_devices(disks, taken)
    free = [pair for pair in zip(disks, devices, strict=True) if pair[0].device is None]
    drives = [device for disk, device in free if isinstance(disk, Iso | Cd)]

    assert [
        device for disk, device in free if isinstance(disk, NewDisk) and device == CD_DEVICE
    ] == []
    if drives and CD_DEVICE not in taken:
        assert drives[0] == CD_DEVICE


@given(wanted_disks(), taken_devices)
def test_devices_are_given_again_as_they_were(disks: tuple[Disk, ...], taken: set[int]) -> None:
    """A step that is run a second time, with nothing made yet, decides the same."""
    assert assign_devices(disks, taken) == assign_devices(disks, set(taken))


@pytest.mark.parametrize(
    ("disks", "taken", "devices"),
    [
        ((), {0}, []),
        ((NewDisk(new=GIB),), set(), [0]),
        ((NewDisk(new=GIB),), {0, 1, 2}, [4]),
        ((Cd(cd="empty"), Iso(iso="a")), {0}, [3, 1]),
        ((Cd(cd="empty"),), {0, 3}, [1]),
        ((NewDisk(new=GIB), NewDisk(new=GIB, device=1)), {0}, [2, 1]),
        ((NewDisk(new=GIB, device=0),), set(), [0]),
    ],
)
def test_the_device_of_each_disk(
    disks: tuple[Disk, ...], taken: set[int], devices: list[int]
) -> None:
    assert assign_devices(disks, taken) == devices


# MACs and addresses


@given(st.text(min_size=1, max_size=20), st.integers(0, 15))
def test_a_derived_mac_is_unicast_and_locally_administered(launch: str, device: int) -> None:
    mac = derived_mac(launch, device)
    first = int(mac[:2], 16)

    assert re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", mac)
    assert (first & 0b01, first & 0b10) == (0, 0b10)
    assert derived_mac(launch, device) == mac


def test_derived_macs_differ() -> None:
    macs = {derived_mac(f"l-{launch}", device) for launch in range(500) for device in range(7)}

    assert len(macs) == 3500


@pytest.mark.parametrize(
    ("networks", "addresses"),
    [
        ({}, ()),
        ({"0/ip": "10.0.0.1"}, ("10.0.0.1",)),
        ({"0/ip": "10.0.0.1", "0/ipv4/0": "10.0.0.1"}, ("10.0.0.1",)),
        ({"1/ip": "10.0.0.2", "0/ip": "10.0.0.1"}, ("10.0.0.1", "10.0.0.2")),
        ({"0/ip": "169.254.9.9", "0/ipv6/0": "fe80::1"}, ()),
        ({"0/ip": "127.0.0.1", "0/ipv6/0": "::1"}, ()),
        ({"0/ip": "0.0.0.0", "0/ipv6/0": "::"}, ()),
        ({"0/ip": "", "0/ipv4/0": "not yet"}, ()),
        ({"0/ipv6/0": "FD00:0::1"}, ("fd00::1",)),
    ],
)
def test_the_addresses_that_are_of_use(
    networks: dict[str, str], addresses: tuple[str, ...]
) -> None:
    assert usable(networks) == addresses


# The chain


def test_the_steps_are_the_functions_of_the_chain() -> None:
    assert tuple(getattr(step, "__name__", "") for step in LAUNCH) == names.STEPS


def test_each_step_lies_in_a_file_of_its_name() -> None:
    assert [step.__module__ for step in LAUNCH] == [f"tasks.{step}" for step in names.STEPS]


def test_every_step_has_a_body_and_a_task() -> None:
    assert tuple(BODIES) == names.STEPS
    assert dict(names.TASK_OF) == {step: f"xenlaunch.{step}" for step in (*names.STEPS, names.UNDO)}


def test_every_step_says_what_it_does() -> None:
    assert [step for step in LAUNCH if not step.__doc__] == []


def test_what_remains_of_a_launch_and_what_follows() -> None:
    followed = [following(step) for step in names.STEPS]

    assert followed == [*names.STEPS[1:], ""]
    for step in names.STEPS:
        assert remaining(step) == (step, *(remaining(following(step)) if following(step) else ()))


def test_names_on_the_wire() -> None:
    assert names.task_id("l-1", names.POLL) == "l-1.poll"
    assert names.pool_queue("lab") == "xenlaunch.pool.lab"
    assert names.working_name("lab-east", "l-1", 2) == "xenlaunch:lab-east:l-1:2"
    assert {type(name) for name in (*names.STEPS, *names.TASK_OF.values())} == {str}
