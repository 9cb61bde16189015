"""What runs inside the VMs: after its boot a guest says a word, and later has addresses.

What a guest is like is said in the VM's other_config, by words under `pretended-guest`: `no-tools`
has no agent, so nobody hears of it; `no-lease` gets no address; `ipv6` gets such addresses too.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, Any, Final

from simulator.values import NULL, now

if TYPE_CHECKING:
    from simulator.db import Row
    from simulator.world import World

_LINUX: Final = {"name": "Pretended Linux", "uname": "6.1.0", "distro": "debian", "major": "12"}
_WINDOWS: Final = {"name": "Pretended Windows", "distro": "windows", "major": "10", "minor": "0"}
_LIKE: Final = "pretended-guest"
_CAN: Final = ("feature-shutdown", "feature-reboot", "feature-suspend", "feature-vcpu-hotplug")
#: what tools say that set the static address which XAPI tells them: here those of Windows
SETS_ADDRESSES: Final = "feature-static-ip-setting"


class Guests:
    """The guests of the pool's running VMs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._booting: dict[str, asyncio.Task[Any]] = {}
        self._windows: set[str] = (
            set()
        )  # VMs whose guest has said so, though not since they started
        self._addresses: dict[str, str] = {}  # VIF -> address
        self._given = 0

    def boot(self, vm: Row) -> None:
        self.stop(vm)
        self._booting[vm.ref] = self.world.run_on_host(self._boot(vm))

    def stop(self, vm: Row) -> None:
        """The domain is gone: so is the guest, and what it said."""
        if (booting := self._booting.pop(vm.ref, None)) is not None:
            booting.cancel()

    def silence(self, vm: Row) -> None:
        """Remove what the guest said, as a start does before the guest runs."""
        db = self.world.db
        if (metrics := db.find("VM_guest_metrics", vm["guest_metrics"])) is not None:
            self._windows.discard(vm.ref)
            if SETS_ADDRESSES in metrics["other"]:
                self._windows.add(vm.ref)
            db.destroy(metrics)
        db.set(vm, "guest_metrics", NULL)

    async def _boot(self, vm: Row) -> None:
        db, latency = self.world.db, self.world.latency
        await asyncio.sleep(latency.of("guest.boot"))
        if db.find("VM", vm.ref) is not vm or is_like(vm, "no-tools"):
            return
        self.silence(vm)
        said = first_word(windows=vm.ref in self._windows)
        metrics = db.create("VM_guest_metrics", live=True, **said)
        db.set(vm, "guest_metrics", metrics.ref)
        await asyncio.sleep(latency.of("guest.address"))
        self.tell_addresses(vm)

    def tell_addresses(self, vm: Row) -> None:
        db = self.world.db
        metrics = db.find("VM_guest_metrics", vm["guest_metrics"])
        if metrics is None or is_like(vm, "no-lease"):
            return
        networks: dict[str, str] = {}
        for vif in db.rows("VIF", vm["VIFs"]):
            if vif["currently_attached"]:
                address = _asked_for(vm, vif) or self._address(vif)
                networks[f"{vif['device']}/ip"] = address
                networks[f"{vif['device']}/ipv4/0"] = address
                if is_like(vm, "ipv6"):
                    networks[f"{vif['device']}/ipv6/0"] = _from_mac("fe80", vif["MAC"])
                    networks[f"{vif['device']}/ipv6/1"] = _from_mac("fd0a", vif["MAC"])
        db.update(metrics, networks=networks, last_updated=now())

    def _address(self, vif: Row) -> str:
        """Another address than any other VIF has."""
        if vif.ref not in self._addresses:
            self._given += 1
            high, low = divmod(self._given - 1, 250)
            self._addresses[vif.ref] = f"10.{high // 256 % 256}.{high % 256}.{low + 2}"
        return self._addresses[vif.ref]


def first_word(*, windows: bool) -> dict[str, Any]:
    """What a guest's tools tell of it before it has addresses."""
    return {
        "os_version": dict(_WINDOWS if windows else _LINUX),
        "PV_drivers_version": {"major": "9", "minor": "3", "micro": "0", "build": "1"},
        "PV_drivers_up_to_date": True,
        "PV_drivers_detected": True,
        "last_updated": now(),
        "other": dict.fromkeys((*_CAN, SETS_ADDRESSES) if windows else _CAN, "1"),
        "can_use_hotplug_vbd": "yes",
        "can_use_hotplug_vif": "yes",
    }


def is_like(vm: Row, word: str) -> bool:
    """Whether the VM's guest is said to be so."""
    return word in vm["other_config"].get(_LIKE, "").split()


def _from_mac(prefix: str, mac: str) -> str:
    """The address that a guest derives from its MAC (EUI-64) in a network of this prefix.

    >>> _from_mac("fe80", "02:16:3e:00:00:01")
    'fe80::16:3eff:fe00:1'
    """
    octets = bytes.fromhex(mac.replace(":", ""))
    low = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    high = int(prefix, 16).to_bytes(2, "big") + bytes(6)
    return str(ipaddress.IPv6Address(high + low))


def _asked_for(vm: Row, vif: Row) -> str:
    """The static address that was configured: on the VIF, or, as some clients do, in xenstore."""
    if vif["ipv4_configuration_mode"] == "Static" and vif["ipv4_addresses"]:
        return str(vif["ipv4_addresses"][0]).partition("/")[0]
    return str(vm["xenstore_data"].get(f"vm-data/networks/{vif['device']}/ip", ""))
