"""A static address is set by the guest's tools: XAPI asks what they have said that they can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator import plans

Pretend = Callable[..., None]

FLAG = "feature-static-ip-setting"
WINDOWS = "windows-2022"


def configure(ref: str, address: str, gateway: str = "", version: int = 4) -> list[str]:
    return [f"VIF.configure_ipv{version}", ref, "Static", address, gateway]


def metrics(pool: Any, vm: Any) -> Any:
    return pool.db.find("VM_guest_metrics", vm["guest_metrics"])


@pytest.mark.parametrize("template", ["debian-12", "centos-6-pv"])
def test_tools_that_cannot_are_not_asked_to(pretend: Pretend, template: str) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm(template=template)
        [ref] = vm["VIFs"]
        lacks = ["VM_LACKS_FEATURE", vm.ref]

        assert await pool.refused(*configure(ref, "192.0.2.9/24")) == lacks
        assert await pool.refused("VIF.configure_ipv4", ref, "None") == lacks
        await pool.done("VM.start", vm.ref, False, False)
        await pool.until(lambda: metrics(pool, vm), "its tools speak")
        assert await pool.refused(*configure(ref, "2001:db8::9/64", version=6)) == lacks

    pretend(scenario)


def test_a_clone_can_what_its_template_could(pretend: Pretend) -> None:
    """Until it starts, when that is forgotten; and as soon as its own tools have spoken."""

    async def scenario(pool: Any) -> None:
        vm = await pool.vm(template=WINDOWS)
        [ref] = vm["VIFs"]
        copied = metrics(pool, vm)
        assert (copied["live"], copied["other"][FLAG]) == (False, "1")
        await pool.call(*configure(ref, "192.0.2.9/24", "192.0.2.1"))

        await pool.done("VM.start", vm.ref, True, False)
        lacks = ["VM_LACKS_FEATURE", vm.ref]
        assert await pool.refused(*configure(ref, "192.0.2.10/24")) == lacks
        await pool.call("VM.unpause", vm.ref)
        told = await pool.until(lambda: metrics(pool, vm), "its tools speak")
        assert (told["live"], told["other"][FLAG]) == (True, "1")
        assert told["os_version"]["distro"] == "windows"
        await pool.until(lambda: told["networks"].get("0/ip") == "192.0.2.9", "it has the address")

        await pool.call("VM.hard_reboot", vm.ref)
        again = await pool.until(lambda: metrics(pool, vm), "they speak again")
        assert again["other"][FLAG] == "1"

    pretend(scenario)


@pytest.mark.parametrize("boots", ["bios", "uefi"])
def test_a_guest_of_a_pool_that_is_described(pretend: Pretend, boots: str) -> None:
    described = {"name": "ours", "boot": boots, "guest": "windows"}
    plan = plans.read({"hosts": [{"name": "h"}], "srs": [{"name": "s"}], "templates": [described]})

    async def scenario(pool: Any) -> None:
        vm = await pool.vm(template="ours")
        await pool.call(*configure(vm["VIFs"][0], "192.0.2.9/24"))

    pretend(scenario, plan=plan)


def test_what_is_wrong_is_said_in_xapis_order(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, plain = await pool.vm(template=WINDOWS), await pool.vm("plain")
        [ref], [other] = vm["VIFs"], plain["VIFs"]
        row, pool_row = pool.db.get("VIF", ref), pool.db.only("pool")
        for vif in (ref, other):
            locked = {"locking_mode": "locked", "ipv4_allowed": ["192.0.2.9"]}
            pool.db.update(pool.db.get("VIF", vif), **locked)

        pool.db.set(pool_row, "restrictions", {"restrict_guest_ip_setting": "true"})
        unlicensed = ["LICENCE_RESTRICTION", "Guest_ip_setting"]
        assert await pool.refused(*configure(other, "nonsense", "nonsense")) == unlicensed
        assert await pool.refused("VIF.configure_ipv4", other, "None") == [
            *("VM_LACKS_FEATURE", plain.ref)
        ]
        pool.db.set(pool_row, "restrictions", {})
        said = await pool.refused(*configure(other, "nonsense", "nonsense"))
        assert said == ["INVALID_CIDR_ADDRESS_SPECIFIED", "address"]
        said = await pool.refused(*configure(other, "192.0.2.10/24", "nonsense"))
        assert said == ["ADDRESS_VIOLATES_LOCKING_CONSTRAINT", "192.0.2.10/24"]
        said = await pool.refused(*configure(ref, "2001:db8::9/64", version=6))
        assert said == ["ADDRESS_VIOLATES_LOCKING_CONSTRAINT", "2001:db8::9/64"]
        said = await pool.refused(*configure(other, "192.0.2.9/24", "nonsense"))
        assert said == ["INVALID_IP_ADDRESS_SPECIFIED", "gateway"]
        said = await pool.refused(*configure(other, "192.0.2.9/24"))
        assert said == ["VM_LACKS_FEATURE", plain.ref]

        await pool.call(*configure(ref, "192.0.2.9/24"))
        assert row["ipv4_addresses"] == ["192.0.2.9/24"]

    pretend(scenario)


def test_a_network_locks_nothing_to_addresses(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm(template=WINDOWS)
        network = pool.one("network", "guest")
        await pool.call("network.set_default_locking_mode", network.ref, "disabled")

        await pool.call(*configure(vm["VIFs"][0], "192.0.2.9/24"))

    pretend(scenario)
