"""The small classes: made, changed and ended; and those of which there is nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.dispatch import METHODS
from simulator.rbac import User, role_ref
from simulator.schema.beyond import LISTED
from simulator.values import NULL


def test_what_a_constructor_makes_has_what_was_given_and_defaults(
    pretend: Callable[..., None],
) -> None:
    async def scenario(pool: Any) -> None:
        given = {"name_label": "nightly", "type": "snapshot", "frequency": "daily", "uuid": "mine"}
        ref = await pool.done("VMSS.create", given)
        row = pool.db.get("VMSS", ref)

        assert (row["name_label"], row["retained_snapshots"], row["enabled"]) == (
            "nightly",
            7,
            True,
        )
        assert row["uuid"] != "mine"
        await pool.call("VMSS.destroy", ref)
        assert await pool.refused("VMSS.get_record", ref) == ["HANDLE_INVALID", "VMSS", ref]
        assert await pool.refused("VMSS.create", {"type": "snapshot"}) == [
            "INTERNAL_ERROR",
            'Server_helpers.Dispatcher_FieldNotFound("frequency")',
        ]

    pretend(scenario)


def test_a_vm_from_scratch_gets_a_seed_and_is_nowhere(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        source = pool.one("VM", "Other install media")
        given = {k: v for k, v in source.values.items() if k not in {"uuid", "other_config"}}
        ref = await pool.done("VM.create", {**given, "other_config": {"mine": "1"}})
        vm = pool.db.get("VM", ref)

        assert sorted(vm["other_config"]) == ["mac_seed", "mine"]
        assert (vm["domid"], vm["resident_on"], vm["power_state"]) == (-1, NULL, "Halted")
        metrics = pool.db.get("VM_metrics", vm["metrics"])
        assert metrics["install_time"] == "19700101T00:00:00Z"
        seeded = await pool.done("VM.create", {**given, "other_config": {"mac_seed": "s"}})
        assert pool.db.get("VM", seeded)["other_config"] == {"mac_seed": "s"}

    pretend(scenario)


def test_an_appliance_holds_its_vms(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        ref = await pool.call("VM_appliance.create", {"name_label": "shop"})
        pool.db.set(vm, "appliance", ref)

        assert await pool.call("VM_appliance.get_VMs", ref) == [vm.ref]
        assert await pool.call("VM_appliance.get_by_name_label", "shop") == [ref]

    pretend(scenario)


def test_an_appliance_starts_in_order_and_goes_past_what_fails(
    pretend: Callable[..., None],
) -> None:
    async def scenario(pool: Any) -> None:
        ref = await pool.call("VM_appliance.create", {"name_label": "shop"})
        vms = [await pool.vm(name) for name in ("database", "broken", "web")]
        for order, vm in enumerate(vms):
            await pool.call("VM.set_appliance", vm.ref, ref)
            await pool.call("VM.set_order", vm.ref, order)
        await pool.call("VM.add_to_blocked_operations", vms[1].ref, "start", "not now")

        refused = await pool.refused("VM_appliance.start", ref, False)

        assert refused == ["OPERATION_PARTIALLY_FAILED", "start"]
        assert [vm["power_state"] for vm in vms] == ["Running", "Halted", "Running"]
        assert vms[0]["domid"] < vms[2]["domid"]
        await pool.done("VM_appliance.hard_shutdown", ref)
        assert {vm["power_state"] for vm in vms} == {"Halted"}
        assert pool.db.get("VM_appliance", ref)["current_operations"] == {}

    pretend(scenario)


def test_a_policy_keeps_one_to_ten(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        ref = await pool.call("VMSS.create", {"type": "snapshot", "frequency": "daily"})
        await pool.call("VMSS.set_retained_snapshots", ref, 10)
        await pool.call("VMSS.add_to_schedule", ref, "hour", "3")
        await pool.call("VMSS.set_frequency", ref, "weekly")

        assert await pool.refused("VMSS.set_retained_snapshots", ref, 11) == [
            "INVALID_VALUE",
            "retained_snapshots",
            "11",
        ]
        row = pool.db.get("VMSS", ref)
        assert (row["retained_snapshots"], row["schedule"], row["frequency"]) == (
            10,
            {"hour": "3"},
            "weekly",
        )

    pretend(scenario)


def test_the_old_policies_were_removed(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        assert await pool.refused("VMPP.create", {}) == ["MESSAGE_REMOVED"]
        assert await pool.refused("VMPP.protect_now", NULL) == ["MESSAGE_REMOVED"]
        assert await pool.call("VMPP.get_all_records") == {}

    pretend(scenario)


def test_a_subject_has_roles_once(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        ref = await pool.call("subject.create", {"subject_identifier": "S-1"})
        reader = role_ref("read-only")

        assert await pool.call("subject.get_roles", ref) == [role_ref("pool-admin")]
        again = {"subject_identifier": "S-1"}
        assert await pool.refused("subject.create", again) == ["SUBJECT_ALREADY_EXISTS"]
        await pool.call("subject.add_to_roles", ref, reader)
        assert await pool.refused("subject.add_to_roles", ref, reader) == ["ROLE_ALREADY_EXISTS"]
        await pool.call("subject.remove_from_roles", ref, role_ref("pool-admin"))
        said = await pool.call("subject.get_permissions_name_label", ref)
        assert "vm.get_record" in said
        assert "vm.start" not in said
        assert await pool.refused("subject.remove_from_roles", ref, NULL) == ["ROLE_NOT_FOUND"]

    pretend(scenario)


def test_roles_are_seven_and_tell_what_they_allow(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        assert len(await pool.call("role.get_all")) == 7
        allowed = await pool.call("role.get_by_permission_name_label", "vm.clone")
        names = {pool.db.get("role", ref)["name_label"] for ref in allowed}
        assert names == {"pool-admin", "pool-operator", "vm-power-admin", "vm-admin"}
        operator = role_ref("vm-operator")
        assert "vm.start" in await pool.call("role.get_permissions_name_label", operator)

    pretend(scenario)


def test_secrets_and_blobs_are_kept(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        secret = await pool.call("secret.create", {"value": "hush"})
        blob = await pool.call("blob.create", "text/plain")

        assert await pool.call("secret.get_value", secret) == "hush"
        assert await pool.call("blob.get_mime_type", blob) == "text/plain"
        await pool.call("secret.destroy", secret)
        await pool.call("blob.destroy", blob)
        reader = await pool.login("reader", "secret")
        assert (await reader.refused("secret.get_all"))[0] == "RBAC_PERMISSION_DENIED"

    pretend(scenario, users=(User("reader", "secret", "read-only"),))


def test_one_trusted_platform_module_a_halted_vm(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        ref = await pool.done("VTPM.create", vm.ref, False)

        assert vm["VTPMs"] == [ref]
        assert await pool.refused("VTPM.create", vm.ref, False) == ["VTPM_MAX_AMOUNT_REACHED", "1"]
        await pool.call("VM.start", vm.ref, False, False)
        assert (await pool.refused("VTPM.destroy", ref))[0] == "VM_BAD_POWER_STATE"
        await pool.call("VM.hard_shutdown", vm.ref)
        await pool.call("VTPM.destroy", ref)
        assert vm["VTPMs"] == []

    pretend(scenario)


def test_a_group_of_gpus_with_something_in_it_stays(pretend: Callable[..., None]) -> None:
    async def scenario(pool: Any) -> None:
        vm = await pool.vm()
        group = await pool.done("GPU_group.create", "cards", "")
        kind = pool.db.create("VGPU_type", model_name="quarter")
        card = pool.db.create("PGPU", supported_VGPU_types=[kind.ref])
        await pool.call("PGPU.set_GPU_group", card.ref, group)
        await pool.call("PGPU.add_enabled_VGPU_types", card.ref, kind.ref)
        await pool.call("GPU_group.update_enabled_VGPU_types", group)
        vgpu = await pool.done("VGPU.create", vm.ref, group, "0", {}, kind.ref)

        assert pool.db.get("GPU_group", group)["enabled_VGPU_types"] == [kind.ref]
        assert vm["VGPUs"] == [vgpu]
        assert kind["VGPUs"] == [vgpu]
        pool.db.set(pool.db.get("VGPU", vgpu), "currently_attached", True)
        refused = await pool.refused("GPU_group.destroy", group)
        assert refused == ["GPU_GROUP_CONTAINS_VGPU", vgpu]
        pool.db.set(pool.db.get("VGPU", vgpu), "currently_attached", False)
        refused = await pool.refused("GPU_group.destroy", group)
        assert refused == ["GPU_GROUP_CONTAINS_PGPU", card.ref]
        pool.db.destroy(card)
        await pool.call("GPU_group.destroy", group)
        assert vm["VGPUs"] == []  # those that nobody uses go with their group

    pretend(scenario)


@pytest.mark.parametrize("name", LISTED)
def test_of_other_classes_there_is_nothing(pretend: Callable[..., None], name: str) -> None:
    async def scenario(pool: Any) -> None:
        assert await pool.call(f"{name}.get_all") == []
        assert await pool.call(f"{name}.get_all_records") == {}
        assert await pool.call(f"{name}.get_all_records_where", "true") == {}
        assert (await pool.refused(f"{name}.get_record", NULL))[0] == "MESSAGE_METHOD_UNKNOWN"
        assert f"{name}.get_all" in METHODS

    pretend(scenario)
