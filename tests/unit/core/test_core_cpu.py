"""Weight and cap beside CloudStack's own expressions, era by era, in Java's arithmetic."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from tasks.connect import pin
from tasks.cpu import promised_speed, vcpu_params
from tests.unit.core.books import Book, sr, vm
from xenlaunch.errors import Place
from xenlaunch.model import Host, Launch, LaunchRequest

Cap = Callable[[int, int, int], int]

SPEEDS = (1, 10, 20, 26, 27, 250, 500, 999, 1000, 2000, 2600, 2627, 5200)
HOSTS = (1800, 2600, 3500)
VCPUS = (1, 2, 3, 4, 8, 16)


def as_in_the_article(speed: int, host: int, cpus: int) -> int:
    """`((long)speed*100*cpus)/host`: whole numbers, and nothing taken off."""
    return speed * 100 * cpus // host


def as_in_feature_pack_1(speed: int, host: int, _: int) -> int:
    """`(int)((speed*0.99)/host*100)`, which forgets how many vCPUs there are."""
    return int((speed * 0.99) / host * 100)


def as_in_4_3(speed: int, host: int, cpus: int) -> int:
    """`(int)((minSpeed*0.99*cpus)/host*100)`."""
    return int((speed * 0.99 * cpus) / host * 100)


def as_in_the_newest(speed: int, host: int, cpus: int) -> int:
    """`(int)(maxSpeed*0.99*cpus/host*100)`."""
    return int(speed * 0.99 * cpus / host * 100)


ROWS: list[tuple[Cap, str, tuple[int, ...]]] = [
    (as_in_the_article, "article", VCPUS),
    # The feature pack's is not offered: with more than one vCPU it limits the VM to less than one.
    (as_in_feature_pack_1, "newest", (1,)),
    (as_in_4_3, "newest", VCPUS),
    (as_in_the_newest, "newest", VCPUS),
]


@pytest.mark.parametrize(("expression", "formula", "vcpus"), ROWS)
def test_caps_are_those_of_cloudstack_but_for_none_at_all(
    expression: Cap, formula: str, vcpus: tuple[int, ...]
) -> None:
    """Where CloudStack's comes to 0, which to Xen is no limit, ours is the least that there is."""
    for speed, host, cpus in product(SPEEDS, HOSTS, vcpus):
        cap = vcpu_params(speed, host, cpus, limited=True, formula=formula)["cap"]

        assert int(cap) == max(expression(speed, host, cpus), 1), (speed, host, cpus)


@pytest.mark.parametrize("formula", ["article", "newest"])
def test_weights_are_those_of_cloudstack_but_for_none_at_all(formula: str) -> None:
    """`(int)((speed*0.99)/host*256)`, at most 256, in every era."""
    for speed, host, limited in product(SPEEDS, HOSTS, (True, False)):
        weight = vcpu_params(speed, host, 2, limited=limited, formula=formula)["weight"]

        assert int(weight) == max(min(int((speed * 0.99) / host * 256), 256), 1), (speed, host)


@pytest.mark.parametrize("formula", ["article", "newest"])
def test_without_a_limit_there_is_none(formula: str) -> None:
    caps = {
        vcpu_params(speed, host, cpus, limited=False, formula=formula)["cap"]
        for speed, host, cpus in product(SPEEDS, HOSTS, VCPUS)
    }
    assert caps == {"0"}


@pytest.mark.parametrize("formula", ["article", "newest"])
def test_twenty_mhz_on_2600_are_limited(formula: str) -> None:
    assert as_in_the_article(20, 2600, 1) == as_in_the_newest(20, 2600, 1) == 0
    params = vcpu_params(20, 2600, 1, limited=True, formula=formula)

    assert params == {"weight": "1", "cap": "1"}


# Of the host

CPUS = Book(
    host_cpu={
        "c0": {"host": "fast", "number": "1", "speed": "1200"},
        "c1": {"host": "fast", "number": "0", "speed": "2400"},
        "c2": {"host": "fast", "number": "10", "speed": "800"},
        "c3": {"host": "shy", "number": "0", "speed": "0"},
    }
)


def launch(host: str = "", **fields: object) -> Launch:
    request = LaunchRequest.parse({"name": "web", "template": "debian-12", **fields})
    chosen = Host(ref=host, uuid=f"u-{host}", name=host) if host else None
    return Launch(id="l-1", deployment="tests", pool="lab", request=request, host=chosen)


@pytest.mark.parametrize("host", ["shy", "silent"])
def test_a_host_that_tells_no_speed_is_left(host: str) -> None:
    with pytest.raises(Place) as left:
        promised_speed(launch(host, cpu_speed=1000), CPUS)

    assert (left.value.code, left.value.params) == ("HOST_SPEED_UNKNOWN", [f"u-{host}"])
    assert promised_speed(launch(host), CPUS) == 0


def test_the_speed_is_that_of_the_hosts_first_cpu() -> None:
    assert promised_speed(launch("fast", cpu_speed=1000), CPUS) == 2400
    assert promised_speed(launch(cpu_speed=1000), CPUS) == 0


def test_connect_leaves_a_host_that_tells_no_speed() -> None:
    """Before there is a clone, which another host may not reach."""
    machine: dict[str, Any] = {"power_state": "Halted", "other_config": {}, "HVM_boot_params": {}}
    pool = Book(
        vm={"vm1": vm(1, VBDs=[], **machine)},
        sr={"sr1": sr("sr-1", free=10)},
        pool={"p": {"default_SR": "sr1", "ha_enabled": False}},
        host_cpu=CPUS.all("host_cpu"),
    )
    assert pin(launch("fast", cpu_speed=1000), pool).template is not None

    with pytest.raises(Place, match="does not say how fast"):
        pin(launch("shy", cpu_speed=1000), pool)
