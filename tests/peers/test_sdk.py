"""The official Python SDK, unchanged: a launch as its own examples would write it."""

from collections.abc import Iterator
from typing import Any

import pytest
import XenAPI

from tests.support.simulators import SimulatorProcess
from tests.support.waiting import wait_until

GIB = 2**30
REF = "OpaqueRef:"


@pytest.fixture
def session(pool: SimulatorProcess) -> Iterator[Any]:
    session = XenAPI.Session(pool.url)
    session.xenapi.login_with_password("root", pool.password, "1.0", "the SDK")
    yield session
    session.xenapi.session.logout()
    session("close")()


def done(session: Any, task: str) -> str:
    """Poll the task to its end; gives the ref that it made."""
    xenapi = session.xenapi
    wait_until(lambda: xenapi.task.get_status(task) != "pending", 20, f"{task} ends")
    record = xenapi.task.get_record(task)
    xenapi.task.destroy(task)
    assert record["status"] == "success", record["error_info"]
    return str(record["result"]).removeprefix("<value>").removesuffix("</value>")


def clone(session: Any, name: str) -> str:
    xenapi = session.xenapi
    [template] = xenapi.VM.get_by_name_label("debian-12")
    vm = done(session, xenapi.Async.VM.clone(template, name))
    xenapi.VM.provision(vm)
    return vm


def add_disk(session: Any, vm: str, size: int) -> str:
    xenapi = session.xenapi
    vdi = {
        "name_label": "data",
        "name_description": "",
        "SR": xenapi.pool.get_default_SR(xenapi.pool.get_all()[0]),
        "virtual_size": str(size),
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {},
    }
    vbd = {
        "VM": vm,
        "VDI": xenapi.VDI.create(vdi),
        "userdevice": xenapi.VM.get_allowed_VBD_devices(vm)[0],
        "bootable": False,
        "mode": "RW",
        "type": "Disk",
        "unpluggable": True,
        "empty": False,
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    return str(xenapi.VBD.create(vbd))


def add_nic(session: Any, vm: str) -> str:
    xenapi = session.xenapi
    vif = {
        "device": xenapi.VM.get_allowed_VIF_devices(vm)[0],
        "network": xenapi.network.get_by_name_label("guest")[0],
        "VM": vm,
        "MAC": "",
        "MTU": "1500",
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
    return str(xenapi.VIF.create(vif))


def addresses(session: Any, vm: str) -> dict[str, str]:
    """What the guest says of its networks; nothing before it has said a word."""
    metrics = session.xenapi.VM.get_guest_metrics(vm)
    if metrics == "OpaqueRef:NULL":
        return {}
    networks: dict[str, str] = session.xenapi.VM_guest_metrics.get_networks(metrics)
    return networks


def test_a_launch_from_clone_to_destroy(session: Any) -> None:
    xenapi = session.xenapi
    vm = clone(session, "made by the SDK")
    vbd, vif = add_disk(session, vm, 5 * GIB), add_nic(session, vm)

    assert done(session, xenapi.Async.VM.start(vm, False, True)) == ""
    networks = wait_until(lambda: addresses(session, vm), 20, "the guest has addresses")
    assert {"0/ip", "1/ip"} <= set(networks)
    assert xenapi.VM.get_power_state(vm) == "Running"
    assert xenapi.VBD.get_currently_attached(vbd) is True
    assert xenapi.VIF.get_currently_attached(vif) is True
    assert xenapi.VBD.get_device(vbd).startswith("xvd")

    assert done(session, xenapi.Async.VM.clean_shutdown(vm)) == ""
    disks = [
        record["VDI"]
        for record in map(xenapi.VBD.get_record, xenapi.VM.get_VBDs(vm))
        if record["type"] == "Disk"
    ]
    xenapi.VM.destroy(vm)
    for disk in disks:
        xenapi.VDI.destroy(disk)
    assert xenapi.VM.get_by_name_label("made by the SDK") == []


def test_a_start_on_a_chosen_host(session: Any) -> None:
    xenapi = session.xenapi
    vm = clone(session, "placed")
    host = xenapi.VM.get_possible_hosts(vm)[-1]

    xenapi.VM.start_on(vm, host, True, False)
    assert (xenapi.VM.get_power_state(vm), xenapi.VM.get_resident_on(vm)) == ("Paused", host)
    xenapi.VM.unpause(vm)
    xenapi.VM.hard_shutdown(vm)
    assert xenapi.VM.get_resident_on(vm) == "OpaqueRef:NULL"


def test_an_event_loop_follows_a_start(session: Any) -> None:
    xenapi = session.xenapi
    vm = clone(session, "followed")
    token = xenapi.event.inject("VM", vm)
    task = xenapi.Async.VM.start(vm, False, True)
    states: set[str] = set()
    wait = getattr(xenapi.event, "from")

    def running() -> bool:
        nonlocal token
        answer = wait([f"VM/{vm}", f"task/{task}"], token, 5.0)
        token = answer["token"]
        states.update(e["snapshot"].get("power_state", "") for e in answer["events"])
        return "Running" in states

    wait_until(running, 20, "an event says that the VM runs")
    done(session, task)


def test_failures_come_as_the_sdk_knows_them(session: Any) -> None:
    xenapi = session.xenapi
    [template] = xenapi.VM.get_by_name_label("debian-12")

    with pytest.raises(XenAPI.Failure) as refused:
        xenapi.VM.start(template, False, False)
    assert refused.value.details == ["VM_IS_TEMPLATE", template, "start"]

    with pytest.raises(XenAPI.Failure) as unknown:
        xenapi.VM.get_record(f"{REF}nobody")
    assert unknown.value.details == ["HANDLE_INVALID", "VM", f"{REF}nobody"]


def test_a_lost_session_is_opened_anew_by_the_sdk(pool: SimulatorProcess, session: Any) -> None:
    before = session._session
    pool.control("POST", "/restart", {})

    assert session.xenapi.pool.get_all()
    assert session._session != before


def test_a_wrong_password_is_a_failure(pool: SimulatorProcess) -> None:
    session = XenAPI.Session(pool.url)
    with pytest.raises(XenAPI.Failure) as refused:
        session.xenapi.login_with_password("root", "wrong")
    session("close")()
    assert refused.value.details[0] == "SESSION_AUTHENTICATION_FAILED"
