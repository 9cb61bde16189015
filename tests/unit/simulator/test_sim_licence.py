"""What a pool's licence leaves out, and what a feature asks of a pool and of a VM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator import plans
from simulator.values import NULL
from tests.support.devices import vif
from tests.support.pretended import assert_at_rest

Pretend = Callable[..., None]
GIB = 2**30
UNLICENSED_GPU = ["LICENCE_RESTRICTION", "GPU"]


def restrict(pool: Any, *keys: str) -> None:
    pool.db.set(pool.db.only("pool"), "restrictions", dict.fromkeys(keys, "true"))


def test_no_locked_interface_and_no_range_of_memory(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        nic = {**vif(vm, pool.one("network", "guest").ref), "locking_mode": "locked"}
        restrict(pool, "restrict_dmc", "restrict_vif_locking")

        assert await pool.refused("VIF.create", nic) == ["LICENCE_RESTRICTION", "VIF_locking"]
        await pool.call("VIF.create", {**nic, "locking_mode": "unlocked"})
        range_ = (0, 2 * GIB, GIB, 2 * GIB)
        assert await pool.refused("VM.set_memory_limits", vm.ref, *range_) == [
            *("MEMORY_CONSTRAINT_VIOLATION_MAXPIN", "DMC")
        ]

    pretend(scenario)


def test_no_gpu(pretend: Pretend) -> None:
    """Nor a clone that would have its template's."""

    async def scenario(pool: Any) -> None:
        template, group = pool.one("VM", "debian-12").ref, pool.db.all("GPU_group")[0].ref
        await pool.call("VGPU.create", template, group, "0", {}, NULL)
        vms = len(pool.db.all("VM"))
        restrict(pool, "restrict_gpu")

        other = pool.one("VM", "windows-2022").ref
        assert await pool.refused("VGPU.create", other, group, "0", {}, NULL) == UNLICENSED_GPU
        assert await pool.refused("VM.clone", template, "web") == UNLICENSED_GPU
        assert len(pool.db.all("VM")) == vms

    pretend(scenario, plan=plans.load("gpus"))


@pytest.mark.parametrize("how", ["VM.start", "VM.start_on"])
@pytest.mark.parametrize("force", [False, True])
def test_no_virtual_machines_in_a_virtual_machine(
    pretend: Pretend, how: str, *, force: bool
) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        where = [pool.one("host", "host-2").ref] if how == "VM.start_on" else []
        start = [how, vm.ref, *where, False, force]
        restrict(pool, "restrict_nested_virt")

        for said in ("true", "TRUE", "1"):
            pool.db.set(vm, "platform", {**vm["platform"], "nested-virt": said})
            assert await pool.refused(*start) == ["LICENCE_RESTRICTION", "Nested_virt"]
        pool.db.set(vm, "platform", {**vm["platform"], "nested-virt": "yes"})
        assert await pool.refused(*start) == ["INVALID_VALUE", "platform:nested-virt", "yes"]
        assert vm["power_state"] == "Halted"
        assert_at_rest(pool.world)

        pool.db.set(vm, "platform", {**vm["platform"], "nested-virt": "False"})
        await pool.call(*start)

    pretend(scenario)


def test_no_trusted_platform_module_beside_high_availability(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm(template="windows-2022")
        pool.db.set(pool.db.only("pool"), "ha_enabled", True)

        said = await pool.refused("VTPM.create", vm.ref, False)
        assert said == ["NOT_IMPLEMENTED", "VTPM.create with HA or clustering enabled"]

    pretend(scenario)


def test_a_gpu_needs_hvm_when_the_vm_starts(pretend: Pretend) -> None:
    """Where it could run is another question, and asked first."""

    async def scenario(pool: Any) -> None:
        vm = await pool.vm(template="centos-6-pv")
        group, host = pool.db.all("GPU_group")[0].ref, pool.one("host", "host-2").ref
        await pool.call("VGPU.create", vm.ref, group, "0", {}, NULL)
        needs = ["FEATURE_REQUIRES_HVM", "vGPU- and GPU-passthrough needs HVM"]

        await pool.call("VM.assert_can_boot_here", vm.ref, host)
        assert await pool.refused("VM.start_on", vm.ref, host, False, False) == needs
        assert await pool.refused("VM.start", vm.ref, False, False) == needs
        without = pool.one("host", "host-1").ref
        said = await pool.refused("VM.start_on", vm.ref, without, False, False)
        assert said == ["VM_REQUIRES_GPU", vm.ref, group]
        assert_at_rest(pool.world)

    pretend(scenario, plan=plans.load("gpus"))
