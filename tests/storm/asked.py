"""Whether a VM is what its request asks for, to each field, disk and interface."""

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.vifs import derived_mac
from tests.storm.rig import DEPLOYMENT
from xenlaunch import names
from xenlaunch.deed import Deed
from xenlaunch.disks import Cd, Disk, ExistingDisk, Iso, NewDisk, TemplatesDisk
from xenlaunch.model import LaunchRequest
from xenlaunch.nics import Nic
from xenlaunch.record import Record

State = Mapping[str, Mapping[str, Mapping[str, Any]]]
Row = Mapping[str, Any]


def differences(state: State, ref: str, record: Record) -> Iterator[str]:
    """What a launch's VM, its disks and interfaces are, and should not be."""
    vm, request = state["VM"][ref], record.request
    template = next(
        row
        for other, row in state["VM"].items()
        if other != ref and row["name_label"] == request.template
    )
    yield from _different(vm, _of_the_vm(state, vm, record, template))
    yield from _of_the_disks(state, vm, record, template)
    yield from _of_the_interfaces(state, vm, record, template)
    yield from _of_what_it_is_told(state, vm, request)
    result = record.result
    if result.vm_uuid != vm["uuid"] or sorted(result.macs) != sorted(_macs(state, vm)):
        yield f"its result says {result.vm_uuid} {result.macs}"
    resident = state["host"].get(vm["resident_on"], {}).get("name_label")
    if result.host != resident:
        yield f"its result says that it is on {result.host}, and it is on {resident}"


def _different(row: Row, wanted: Mapping[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        if row[name] != value:
            yield f"its {name} is {row[name]!r}, and not {value!r}"


def _of_the_vm(state: State, vm: Row, record: Record, template: Row) -> dict[str, Any]:
    request = record.request
    limits = ("memory_static_min", "memory_dynamic_min", "memory_dynamic_max", "memory_static_max")
    wanted: dict[str, Any] = {
        "name_label": request.name,
        "power_state": "Running",
        "is_a_template": False,
        "actions_after_crash": request.after_crash,
        "actions_after_shutdown": request.after_shutdown,
        "other_config": {
            **{k: v for k, v in vm["other_config"].items() if not k.startswith("xenlaunch")},
            names.OTHER_CONFIG_MARK: f"{DEPLOYMENT}/{record.id}/{vm['uuid']}",
            names.OTHER_CONFIG_FINISHED: _deed(vm, record),
        },
    }
    wanted |= {name: request.memory or template[name] for name in limits}
    wanted |= {name: request.vcpus or template[name] for name in ("VCPUs_max", "VCPUs_at_startup")}
    if request.group:
        wanted["other_config"][names.OTHER_CONFIG_GROUP] = request.group.mark
    if request.host:
        hosts = {row["name_label"]: host for host, row in state["host"].items()}
        wanted["affinity"] = hosts[request.host]
    if request.cpu_speed and "weight" not in vm["VCPUs_params"]:
        wanted["VCPUs_params"] = {"weight": "…"}
    if request.pv_args is not None:
        wanted["PV_args"] = request.pv_args
    return wanted


def _of_what_it_is_told(state: State, vm: Row, request: LaunchRequest) -> Iterator[str]:
    """Its words in xenstore; and its GPU, of which there is one where one is asked for."""
    told = request.guest.xenstore_data if request.guest else {}
    for key, value in told.items():
        wanted = value.replace("{name}", request.name)
        if vm["xenstore_data"].get(f"vm-data/{key}") != wanted:
            yield f"its xenstore does not say {wanted!r} of {key}"
    kinds = [state["VGPU_type"][state["VGPU"][ref]["type"]]["model_name"] for ref in vm["VGPUs"]]
    if kinds != ([request.gpu.type] if request.gpu else []):
        yield f"its GPUs are {kinds}"


def _deed(vm: Row, record: Record) -> str:
    """What says that the VM is finished, where it says so of this launch; else what is missing."""
    written = str(vm["other_config"].get(names.OTHER_CONFIG_FINISHED, ""))
    deed = Deed.read(written, record.id)
    same = deed and (deed.name, deed.digest) == (record.name, record.digest)
    return written if same else f"the deed of {record.id}"


def _of_the_disks(state: State, vm: Row, record: Record, template: Row) -> Iterator[str]:
    drives = [state["VBD"][vbd] for vbd in vm["VBDs"]]
    theirs = [state["VBD"][vbd] for vbd in template["VBDs"]]
    marks = [f"{DEPLOYMENT}/{record.id}/vbd:{index}" for index in range(len(record.request.disks))]
    own = [row for row in drives if _mark(row) not in marks]
    yield from _of_the_copied(state, own, theirs, record.request)
    for index, (mark, disk) in enumerate(zip(marks, record.request.disks, strict=True)):
        found = [row for row in drives if _mark(row) == mark]
        if len(found) != 1:
            yield f"it has {len(found)} drives for disk {index}"
        else:
            yield from _of_a_drive(state, found[0], record, index, disk)


def _mark(row: Row) -> str:
    return str(row["other_config"].get(names.OTHER_CONFIG_MARK, ""))


def _of_the_copied(
    state: State, own: list[Row], theirs: list[Row], request: LaunchRequest
) -> Iterator[str]:
    """The drives that came with the clone, or took the place of those; no other is left."""
    asked = {str(disk.device): disk for disk in request.template_disks}
    pairs = [(row, asked.get(row["userdevice"])) for row in theirs]
    kept = {row["userdevice"]: (row, disk) for row, disk in pairs if disk is None or disk.keep}
    devices = sorted(row["userdevice"] for row in own)
    if devices != sorted(kept):
        yield f"its own drives are {devices}, and not {sorted(kept)}"
        return
    if {row["VDI"] for row in own} & {row["VDI"] for row in theirs}:
        yield "it has a disk of its template"
    for row in own:
        was, disk = kept[row["userdevice"]]
        found = state["VDI"].get(row["VDI"], {})
        wanted = _copied(state["VDI"].get(was["VDI"], {}), disk)
        place = (disk and disk.sr) or request.sr
        if place:
            found = {**found, "place": state["SR"][found["SR"]]["name_label"]}
            wanted["place"] = place
        yield from _of_a_disk(row["userdevice"], found, wanted)


def _of_a_disk(device: str, found: Row, wanted: Row) -> Iterator[str]:
    for name, value in wanted.items():
        if found.get(name) != value:
            yield f"the {name} of its own disk {device} is {found.get(name)!r}, and not {value!r}"


def _copied(was: Row, disk: TemplatesDisk | None) -> dict[str, Any]:
    """What a disk is to be that came with the clone of one that was so."""
    wanted = {name: was.get(name) for name in ("virtual_size", "name_label", "name_description")}
    if disk is not None:
        asked = {
            "virtual_size": disk.size,
            "name_label": disk.name,
            "name_description": disk.description,
        }
        wanted |= {name: value for name, value in asked.items() if value is not None}
    return wanted


def _of_a_drive(state: State, vbd: Row, record: Record, index: int, disk: Disk) -> Iterator[str]:
    vdi = state["VDI"].get(vbd["VDI"], {})
    is_cd = isinstance(disk, Iso | Cd)
    wanted: dict[str, tuple[Any, Any]] = {"type": (vbd["type"], "CD" if is_cd else "Disk")}
    if disk.device is not None:
        wanted["device"] = (vbd["userdevice"], str(disk.device))
    match disk:
        case NewDisk(new=size, sr=sr):
            mark = f"{DEPLOYMENT}/{record.id}/vdi:{index}"
            wanted["size"] = (vdi.get("virtual_size"), size)
            wanted["mark"] = (vdi.get("other_config", {}).get(names.OTHER_CONFIG_MARK), mark)
            where = state["SR"].get(vdi.get("SR", ""), {}).get("name_label")
            wanted["SR"] = (where, sr or where)
        case ExistingDisk(vdi=uuid, mode=mode):
            wanted["disk"] = ((vdi.get("uuid"), vbd["mode"]), (uuid, mode))
        case Iso(iso=name):
            wanted["image"] = (vdi.get("name_label"), name)
        case Cd():
            wanted["emptiness"] = (vbd["empty"], True)
    for what, (found, meant) in wanted.items():
        if found != meant:
            yield f"the {what} of disk {index} is {found!r}, and not {meant!r}"


def _of_the_interfaces(state: State, vm: Row, record: Record, template: Row) -> Iterator[str]:
    rows = [state["VIF"][vif] for vif in vm["VIFs"]]
    nics = record.request.nics
    if nics is None:
        if len(rows) != len(template["VIFs"]):
            yield f"it has {len(rows)} interfaces, and not {len(template['VIFs'])}"
        return
    if len(rows) != len(nics):
        yield f"it has {len(rows)} interfaces, and not {len(nics)}"
    for device in range(len(nics)):
        found = [row for row in rows if row["device"] == str(device)]
        wanted = _interface(state, record.request, record.id, device)
        if len(found) != 1:
            yield f"it has {len(found)} interfaces {device}"
        elif any(found[0][name] != value for name, value in wanted.items()):
            yield f"its interface {device} is {found[0]}, and not {wanted}"


def _interface(state: State, request: LaunchRequest, launch: str, device: int) -> dict[str, Any]:
    nic = (request.nics or ())[device]
    network = _network(state, nic)
    mtu = state["network"].get(network, {}).get("MTU")
    return {
        "network": network,
        "MAC": nic.mac or derived_mac(launch, device),
        "MTU": nic.mtu or mtu,
        "other_config": {names.OTHER_CONFIG_MARK: f"{DEPLOYMENT}/{launch}/vif:{device}"},
        "currently_attached": True,
    }


def _network(state: State, nic: Nic) -> str:
    """The one network that a NIC is to be on, by ref; '' where there is none, or several."""
    if nic.vlan is None:
        found = [r for r, row in state["network"].items() if row["name_label"] == nic.network]
    else:
        found = [row["network"] for row in state["PIF"].values() if row["VLAN"] == nic.vlan]
    return found[0] if len(set(found)) == 1 else ""


def _macs(state: State, vm: Row) -> list[str]:
    return [str(state["VIF"][vif]["MAC"]) for vif in vm["VIFs"]]
