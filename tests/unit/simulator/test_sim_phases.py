"""What a restart of xapi leaves, wherever it cuts an operation; and what a failure takes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from simulator.db import Row
from simulator.faults import Rule

Pretend = Callable[..., None]

#: of a clone of a template with two disks, an empty drive and one interface:
#: where it is cut, and then its own disks, devices and interfaces
_DUPLICATE: Final = (
    ("disk", 1, 0, None, None),
    ("disk", 2, 1, None, None),
    ("row", 1, 2, None, None),
    ("vbd", 1, 2, 0, 0),
    ("vbd", 3, 2, 2, 0),
    ("vif", 1, 2, 3, 0),
    ("result", 1, 2, 3, 1),
)


def rule(pool: Any, **given: Any) -> None:
    pool.world.faults.rules.append(Rule.read(given))


def template_of_two(pool: Any) -> Any:
    template = pool.one("VM", "debian-12")
    (vbd,) = pool.db.rows("VBD", template["VBDs"])
    sr = pool.db.get("VDI", vbd["VDI"])["SR"]
    more = pool.db.create("VDI", SR=sr, name_label="data", type="user", managed=True)
    common = {"VM": template.ref, "bootable": False}
    pool.db.create("VBD", VDI=more.ref, userdevice="1", mode="RW", type="Disk", **common)
    pool.db.create("VBD", userdevice="3", mode="RO", type="CD", empty=True, **common)
    return template


async def cut(pool: Any, method: str, *args: Any) -> None:
    """Do the call, which a restart cuts; no lock and no task may be left."""
    await pool.call(f"Async.{method}", *args)
    await pool.until(lambda: pool.world.restarts, "xapi restarts")
    assert pool.db.all("task") == []
    marked = [
        row.ref
        for table in pool.db.tables.values()
        for row in table.rows.values()
        if row.values.get("current_operations")
    ]
    assert marked == []


@pytest.mark.parametrize(("phase", "nth", "disks", "vbds", "vifs"), _DUPLICATE)
@pytest.mark.parametrize("how", ["clone", "copy", "snapshot"])
def test_a_duplicate_that_is_cut(
    pretend: Pretend, how: str, phase: str, nth: int, disks: int, vbds: Any, vifs: Any
) -> None:
    async def scenario(pool: Any) -> None:
        source = template_of_two(pool)
        if how == "snapshot":
            pool.db.set(source, "is_a_template", False)
        before = {row.ref for row in pool.db.all("VDI")}
        rule(pool, method=f"VM.{how}", phase=phase, nth=nth, action="restart")
        more = ["OpaqueRef:NULL"] if how == "copy" else []
        await cut(pool, f"VM.{how}", source.ref, "web", *more)

        left: list[Row] = [row for row in pool.db.all("VDI") if row.ref not in before]
        assert len(left) == disks
        assert {row["name_label"] for row in left} <= {"debian-12 disk 0", "data"}
        rows = pool.db.by_name("VM", "web")
        assert len(rows) == (0 if vbds is None else 1)
        if rows:
            assert (len(rows[0]["VBDs"]), len(rows[0]["VIFs"])) == (vbds, vifs)
        elif left:
            assert [row["VBDs"] for row in left] == [[]] * len(left)
        assert len(source["VBDs"]) == 3

    pretend(scenario)


@pytest.mark.parametrize(
    ("phase", "nth", "disks", "vbds"),
    [("disk", 1, 0, 0), ("vbd", 1, 1, 0), ("disk", 2, 1, 1), ("vbd", 2, 2, 1), ("done", 1, 2, 2)],
)
def test_a_provision_that_is_cut(
    pretend: Pretend, phase: str, nth: int, disks: int, vbds: int
) -> None:
    async def scenario(pool: Any) -> None:
        ref = await pool.done("VM.clone", pool.one("VM", "Other install media").ref, "fresh")
        sr = pool.one("SR", "sr-1").uuid
        xml = "".join(f'<disk device="{n}" size="1073741824" sr="{sr}"/>' for n in (0, 1))
        await pool.call("VM.add_to_other_config", ref, "disks", f"<provision>{xml}</provision>")
        before = len(pool.db.all("VDI"))
        rule(pool, method="VM.provision", phase=phase, nth=nth, action="restart")
        await cut(pool, "VM.provision", ref)

        vm = pool.db.get("VM", ref)
        assert not vm["is_a_template"]
        assert "disks" in vm["other_config"]
        assert (len(pool.db.all("VDI")) - before, len(vm["VBDs"])) == (disks, vbds)

    pretend(scenario)


@pytest.mark.parametrize(
    ("phase", "nth", "left"),
    [
        ("rows", 1, (3, 1)),
        ("after vbd", 1, (2, 1)),
        ("after vbd", 3, (0, 1)),
        ("after vif", 1, (0, 0)),
    ],
)
def test_a_destroy_that_is_cut(
    pretend: Pretend, phase: str, nth: int, left: tuple[int, int]
) -> None:
    async def scenario(pool: Any) -> None:
        vm = pool.db.get("VM", await pool.done("VM.clone", template_of_two(pool).ref, "web"))
        disks = [v["VDI"] for v in pool.db.rows("VBD", vm["VBDs"]) if v["type"] == "Disk"]
        rule(pool, method="VM.destroy", phase=phase, nth=nth, action="restart")
        await cut(pool, "VM.destroy", vm.ref)

        assert (len(vm["VBDs"]), len(vm["VIFs"])) == left
        assert pool.db.find("VM", vm.ref) is vm
        assert len(pool.db.rows("VDI", disks)) == 2
        pool.world.faults.rules.clear()
        pool.session = pool.world.sessions.open("root", "test").ref
        await pool.done("VM.destroy", vm.ref)
        assert not pool.db.find("VM", vm.ref)

    pretend(scenario)


@pytest.mark.parametrize("nth", [1, 2])
def test_an_sr_that_fills_up_takes_back_the_disks_so_far(pretend: Pretend, nth: int) -> None:
    async def scenario(pool: Any) -> None:
        template, done = template_of_two(pool), 0
        sr = pool.one("SR", "sr-1")
        before, used = len(pool.db.all("VDI")), sr["physical_utilisation"]

        async def at_phase(call: Any, phase: str) -> None:
            nonlocal done
            done += (call.name, phase) == ("VM.clone", "disk")
            if done == nth:
                pool.db.set(sr, "physical_size", sr["physical_utilisation"])

        pool.world.faults.at_phase = at_phase
        row = await pool.ended(await pool.call("Async.VM.clone", template.ref, "web"))

        full = ["SR_BACKEND_FAILURE_44", "", "There is insufficient space", ""]
        assert row["error_info"] == full
        assert len(pool.db.all("VDI")) == before
        assert pool.db.by_name("VM", "web") == []
        assert sr["physical_utilisation"] == used

    pretend(scenario)


def test_a_host_that_dies_leaves_the_vm_to_start_elsewhere(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-3")
        (vbd,) = pool.db.rows("VBD", vm["VBDs"])
        pool.world.latency.set({"VM.start": 60})
        task = await pool.call("Async.VM.start_on", vm.ref, host.ref, False, True)
        await pool.until(lambda: vbd["currently_attached"], "the host is at work")
        pool.world.kill_host(host)
        row = await pool.ended(task)

        assert row["error_info"] == ["CANNOT_CONTACT_HOST", host.ref]
        assert vm["power_state"] == "Halted"
        assert vm["scheduled_to_be_resident_on"] == "OpaqueRef:NULL"
        assert not vbd["currently_attached"]
        assert vm["current_operations"] == host["current_operations"] == {}
        pool.world.latency.set({"VM.start": 0})
        await pool.done("VM.start", vm.ref, False, False)
        assert vm["resident_on"] not in {host.ref, "OpaqueRef:NULL"}

    pretend(scenario)


def test_a_vm_on_a_dead_host_is_reset_by_hand(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-3")
        await pool.done("VM.start_on", vm.ref, host.ref, False, True)
        assert await pool.refused("VM.power_state_reset", vm.ref) == ["HOST_IS_LIVE", host.ref]
        pool.world.kill_host(host)
        assert vm["power_state"] == "Running"
        assert await pool.refused("VM.hard_shutdown", vm.ref) == ["HOST_OFFLINE", host.ref]
        await pool.done("VM.power_state_reset", vm.ref)
        assert vm["power_state"] == "Halted"
        domain = host["control_domain"]
        refused = await pool.refused("VM.power_state_reset", domain)
        assert refused == ["CANNOT_RESET_CONTROL_DOMAIN", domain]

    pretend(scenario)


def test_a_vm_is_reset_whatever_is_under_way(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm, host = await pool.vm(), pool.one("host", "host-3")
        await pool.done("VM.start_on", vm.ref, host.ref, False, True)
        pool.world.latency.set({"VDI.snapshot": 0.05})
        task = await pool.call("Async.VM.snapshot", vm.ref, "then")
        await pool.until(lambda: vm["current_operations"], "the snapshot has begun")
        pool.world.kill_host(host)

        await pool.call("VM.power_state_reset", vm.ref)

        assert (vm["power_state"], vm["current_operations"]) == ("Halted", {})
        assert (await pool.ended(task))["status"] == "success"

    pretend(scenario)


def test_the_master_sees_for_itself_that_a_vm_runs(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        await pool.done("VM.start_on", vm.ref, pool.one("host", "host-1").ref, False, True)

        assert await pool.refused("VM.power_state_reset", vm.ref) == ["DOMAIN_EXISTS", vm.ref]

    pretend(scenario)


def test_the_control_domain_and_templates_are_not_stopped(pretend: Pretend) -> None:
    async def scenario(pool: Any) -> None:
        domain = pool.one("host", "host-1")["control_domain"]
        for act in ("VM.hard_shutdown", "VM.pause", "VM.hard_reboot"):
            assert (await pool.refused(act, domain))[0] == "OPERATION_NOT_ALLOWED"
        assert pool.db.get("VM", domain)["power_state"] == "Running"
        template = pool.one("VM", "debian-12").ref
        refused = await pool.refused("VM.hard_shutdown", template)
        wanted = "paused, suspended, running"
        assert refused == ["VM_BAD_POWER_STATE", template, wanted, "halted"]

    pretend(scenario)
