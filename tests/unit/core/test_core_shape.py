"""What a clone still has to become, call by call, and what its template cannot become."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.cpu import vcpu_params
from tasks.shape import changes, cpu_changes
from tasks.suits import check_machine
from xenlaunch.errors import Refused
from xenlaunch.model import LaunchRequest

HVM = {
    "name_label": "debian-12",
    "name_description": "",
    "VCPUs_max": "2",
    "VCPUs_at_startup": "2",
    "VCPUs_params": {},
    "platform": {"vga": "std"},
    "HVM_boot_policy": "BIOS order",
    "HVM_boot_params": {"order": "cdn"},
    "actions_after_crash": "destroy",
    "actions_after_shutdown": "destroy",
    "actions_after_reboot": "restart",
    "other_config": {},
    "tags": ["a"],
    "order": "0",
    "start_delay": "0",
    "shutdown_delay": "0",
    "ha_restart_priority": "",
    "VTPMs": [],
    "memory_dynamic_min": str(2 << 30),
    "memory_static_max": str(2 << 30),
}
PV = {**HVM, "HVM_boot_policy": "", "HVM_boot_params": {}, "PV_bootloader": "pygrub"} | {
    "PV_kernel": "",
    "PV_args": "",
    "PV_ramdisk": "",
}


BALLOONS = {**HVM, "memory_dynamic_min": str(1 << 30)}
NESTS = {**HVM, "platform": {"nested-virt": "true"}}
SOCKETS = {**HVM, "platform": {"cores-per-socket": "2"}}


def request(**fields: Any) -> LaunchRequest:
    return LaunchRequest.parse({"name": "web", "template": "debian-12", **fields})


def calls(record: dict[str, Any], **fields: Any) -> list[tuple[Any, ...]]:
    return [(one.method, *one.args) for one in changes(request(**fields), record, 2600)]


def test_who_asks_for_nothing_changes_nothing() -> None:
    assert calls(HVM) == []
    assert calls(PV) == []


def test_what_the_template_says_already_is_not_said_again() -> None:
    same = {"boot_order": "cdn", "tags": ["a"], "vcpus": 2, "platform": {"vga": "std"}}

    assert calls(HVM, **same) == []


def test_a_key_that_the_template_has_is_replaced() -> None:
    record = {**HVM, "other_config": {"folder": "/old"}}

    assert calls(record, other_config={"folder": "/new"}) == [
        ("VM.remove_from_other_config", "folder"),
        ("VM.add_to_other_config", "folder", "/new"),
    ]


def test_a_pv_guest_without_any_way_to_boot_gets_a_loader() -> None:
    record = {**PV, "PV_bootloader": ""}

    assert calls(record) == [("VM.set_PV_bootloader", "pygrub")]
    assert calls(record, pv_kernel="/k") == [("VM.set_PV_kernel", "/k")]


def test_a_vm_that_nests_no_more_is_told_so_before_its_memory_may_vary() -> None:
    asked = {"nested_virtualisation": False, "memory": {"min": "1GiB", "max": "2GiB"}}

    assert [call[0] for call in calls(NESTS, **asked)] == [
        "VM.set_platform",
        "VM.set_memory_limits",
    ]


def test_a_kernel_that_is_given_is_booted_by_no_loader() -> None:
    assert calls(PV, pv_kernel="/k") == [
        ("VM.set_PV_kernel", "/k"),
        ("VM.set_PV_bootloader", ""),
    ]
    assert calls(PV, pv_kernel="/k", pv_bootloader="pygrub") == [("VM.set_PV_kernel", "/k")]


@pytest.mark.parametrize(
    ("has", "firmware", "gets"),
    [
        ("qemu-upstream-uefi", "bios", "qemu-upstream-compat"),
        ("qemu-upstream-compat", "uefi", "qemu-upstream-uefi"),
        ("qemu-trad", "uefi", "qemu-upstream-uefi"),
        ("qemu-trad", "bios", None),
        (None, "uefi", None),
    ],
)
def test_another_firmware_has_another_device_model(
    has: str | None, firmware: str, gets: str | None
) -> None:
    platform = {} if has is None else {"device-model": has}
    found = dict(calls({**HVM, "platform": platform}, firmware=firmware))

    assert found.get("VM.set_platform") == (None if gets is None else {"device-model": gets})


counts = st.integers(1, 64)


@given(counts, counts, st.none() | counts, st.none() | counts)
def test_xapi_never_sees_more_cpus_than_there_may_be(
    now: int, most: int, wanted: int | None, limit: int | None
) -> None:
    """It checks 1 <= at start-up <= max after every single call."""
    row = {"VCPUs_at_startup": min(now, most), "VCPUs_max": max(now, most)}
    if (wanted or row["VCPUs_at_startup"]) > (limit or wanted or row["VCPUs_max"]):
        return  # refused before: VCPUS_ABOVE_MAX
    for field, count in cpu_changes(wanted, limit, {key: str(row[key]) for key in row}):
        row[field] = count
        assert 1 <= row["VCPUs_at_startup"] <= row["VCPUs_max"]
    assert row["VCPUs_at_startup"] == (wanted or min(now, most))
    assert row["VCPUs_max"] == (limit or wanted or max(now, most))


# speed, host, vcpus, cap as in the article, cap as in the newest
CAPS = [
    (20, 2600, 1, 1, 1),
    (500, 2600, 1, 19, 19),
    (1000, 2600, 2, 76, 76),
    (2000, 2600, 4, 307, 304),
    (2600, 2600, 1, 100, 99),
    (2600, 2600, 8, 800, 792),
    (5200, 2600, 2, 400, 396),
]


@pytest.mark.parametrize(("speed", "host", "vcpus", "article", "newest"), CAPS)
def test_a_limit_is_never_lost(
    speed: int, host: int, vcpus: int, article: int, newest: int
) -> None:
    caps = [
        vcpu_params(speed, host, vcpus, limited=True, formula=formula)["cap"]
        for formula in ("article", "newest")
    ]

    assert caps == [str(article), str(newest)]


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "secure boot with the template's bios": ({"secure_boot": True}, HVM, "FIRMWARE_NOT_UEFI"),
    "a TPM with the template's bios": ({"vtpm": True}, HVM, "FIRMWARE_NOT_UEFI"),
    "a kernel for HVM": ({"pv_kernel": "/k"}, HVM, "PV_ARGS_ON_HVM"),
    "arguments for HVM": ({"pv_args": "quiet"}, HVM, "PV_ARGS_ON_HVM"),
    "firmware for PV": ({"firmware": "uefi"}, PV, "HVM_FIELD_ON_PV"),
    "a GPU for PV": ({"gpu": {"type": "quarter"}}, PV, "HVM_FIELD_ON_PV"),
    "a boot order for PV": ({"boot_order": "c"}, PV, "HVM_FIELD_ON_PV"),
    "fewer CPUs than start": ({"vcpus_max": 1}, HVM, "VCPUS_ABOVE_MAX"),
    "cores that do not divide": ({"cores_per_socket": 3}, HVM, "CORES_DO_NOT_DIVIDE"),
    "the template's cores": ({"vcpus": 3}, SOCKETS, "CORES_DO_NOT_DIVIDE"),
    "the template's cores, at most": ({"vcpus_max": 5}, SOCKETS, "CORES_DO_NOT_DIVIDE"),
    "cores of the platform": (
        {"platform": {"cores-per-socket": "3"}, "vcpus": 4},
        HVM,
        "CORES_DO_NOT_DIVIDE",
    ),
    "virtual machines in the template's range of memory": (
        {"nested_virtualisation": True},
        BALLOONS,
        "MEMORY_NOT_FIXED",
    ),
    "a range of memory for a template that runs virtual machines": (
        {"memory": {"min": "1GiB", "max": "2GiB"}},
        NESTS,
        "MEMORY_NOT_FIXED",
    ),
    "a device model for the other firmware": (
        {"platform": {"device-model": "qemu-upstream-uefi"}},
        HVM,
        "VALUE_NOT_SUPPORTED",
    ),
    "virtual machines, perhaps": (
        {"platform": {"nested-virt": "yes"}},
        HVM,
        "INVALID_VALUE",
    ),
    "the template's virtual machines, perhaps": (
        {},
        {**HVM, "platform": {"nested-virt": "on"}},
        "INVALID_VALUE",
    ),
    "no cores": ({"platform": {"cores-per-socket": "0"}}, HVM, "CORES_DO_NOT_DIVIDE"),
    "cores that are no number": (
        {"platform": {"cores-per-socket": "two"}},
        HVM,
        "CORES_DO_NOT_DIVIDE",
    ),
}


@pytest.mark.parametrize(("fields", "template", "code"), REFUSED.values(), ids=REFUSED)
def test_what_the_template_cannot_become_is_refused(
    fields: dict[str, Any], template: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        check_machine(request(**fields), template)
    assert refused.value.code == code
    assert "debian-12" in refused.value.message or "vCPUs" in refused.value.message


@pytest.mark.parametrize("fields", [{"vtpm": True}, {"blocked_operations": {"create_vtpm": "no"}}])
def test_the_8_2_generation_knows_no_tpm(fields: dict[str, Any]) -> None:
    wanted, uefi = request(**fields), {**HVM, "HVM_boot_params": {"firmware": "uefi"}}
    check_machine(wanted, uefi)
    check_machine(request(blocked_operations={"destroy": "no"}), uefi, is_8_2=True)

    with pytest.raises(Refused, match=next(iter(fields))) as refused:
        check_machine(wanted, uefi, is_8_2=True)
    assert refused.value.code == "VTPM_UNKNOWN"


def test_a_tpm_is_refused_beside_high_availability() -> None:
    uefi = {**HVM, "HVM_boot_params": {"firmware": "uefi"}}
    with pytest.raises(Refused) as refused:
        check_machine(request(vtpm=True), uefi, has_ha=True)

    assert (refused.value.code, refused.value.params) == ("VTPM_BESIDE_HA", ["debian-12"])
    check_machine(request(), uefi, has_ha=True)


def test_what_the_template_can_become_is_not_refused() -> None:
    uefi = {**HVM, "HVM_boot_params": {"firmware": "uefi"}}

    check_machine(request(secure_boot=True, vtpm=True), uefi)
    check_machine(request(firmware="uefi", vtpm=True), HVM)
    check_machine(request(pv_args="quiet"), PV)
    check_machine(request(nested_virtualisation=True), HVM)
    check_machine(request(platform={"nested-virt": "FALSE"}), HVM)
    check_machine(request(nested_virtualisation=True), {**HVM, "platform": {"nested-virt": "on"}})
    check_machine(request(), {**BALLOONS, **NESTS, "memory_dynamic_min": "1"})
    check_machine(request(nested_virtualisation=True, memory="1GiB"), BALLOONS)
    check_machine(
        request(nested_virtualisation=False, memory={"min": "1GiB", "max": "2GiB"}), NESTS
    )
    check_machine(request(vcpus=6), SOCKETS)
    check_machine(request(vcpus=3, cores_per_socket=3), SOCKETS)
