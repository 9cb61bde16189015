"""The ready-made pool: hosts, SRs, networks, templates, as the command line asks for them."""

from __future__ import annotations

from typing import Any, Final

from simulator import plans, rbac
from simulator.behaviour.vdi import make_row
from simulator.calls import Call
from simulator.db import Row
from simulator.gpus import add_gpus
from simulator.memory import MIB
from simulator.plans import HostPlan, Plan, SrPlan
from simulator.templates import DEFAULT, GIB, add_custom, add_default
from simulator.values import now
from simulator.world import World

_DOM0_MEMORY: Final = 4 * GIB
_HOST_OVERHEAD: Final = 512 * MIB

MANAGEMENT_NAME: Final = "Pool-wide network associated with eth0"
INTERNAL_NAME: Final = "Host internal management network"

_VERSIONS: Final[dict[str, dict[str, str]]] = {
    "current": {
        "product_brand": "XenServer",
        "product_version": "8.4.0",
        "product_version_text": "8",
        "platform_name": "XCP",
        "platform_version": "3.4.0",
        "xapi": "26.21",
        "xapi_build": "26.21.0",
        "xen": "4.17.5",
        "linux": "4.19.0+1",
        "db_schema": "5.790",
    },
    "8.2": {
        "product_brand": "XCP-ng",
        "product_version": "8.2.1",
        "product_version_text": "8.2",
        "platform_name": "XCP",
        "platform_version": "3.2.1",
        "xapi": "1.20",
        "xapi_build": "1.249.36",
        "xen": "4.13.5",
        "linux": "4.19.0+1",
        "db_schema": "5.603",
    },
}


def build(world: World) -> None:
    """Fill an empty world with the pool that its options describe."""
    call = Call(world, "pool.build", "pool.build")
    plan = world.options.plan or plans.counted(world.options.hosts, world.options.srs)
    pool = world.db.create("pool", name_label=plan.name, name_description=plan.about)
    rbac.add_rows(world.db, world.options.users)
    networks = _add_networks(call, plan)
    hosts = [_add_host(call, n, host, networks) for n, host in enumerate(plan.hosts, start=1)]
    world.db.set(pool, "master", hosts[0].ref)
    srs = {sr.name: _add_planned_sr(call, sr, hosts) for sr in plan.srs}
    first = srs[plan.srs[0].name].ref
    world.db.update(pool, default_SR=first, suspend_image_SR=first)
    _add_isos(call, hosts)
    for kind in ("nfs", "iso", "ext", "lvmoiscsi"):
        world.db.create("SM", name_label=kind, type=kind, vendor="pretended", version="1.0")
    for template, places in plan.custom():
        for place in places:
            add_custom(call, template, srs[place], networks[1].ref)
    for template in DEFAULT:
        add_default(call, template)


# -- networks


def _add_networks(call: Call, plan: Plan) -> list[Row]:
    """The networks with an interface on each host, in the order of those."""
    create = call.db.create
    internal = {
        "is_guest_installer_network": "true",
        "is_host_internal_management_network": "true",
        "ip_begin": "169.254.0.1",
        "ip_end": "169.254.255.254",
        "netmask": "255.255.0.0",
    }
    create("network", name_label=INTERNAL_NAME, bridge="xenapi", MTU=1500, other_config=internal)
    management = create("network", name_label=MANAGEMENT_NAME, bridge="xenbr0", MTU=1500)
    others = [
        create("network", name_label=one.name, bridge=one.bridge, MTU=1500) for one in plan.networks
    ]
    return [management, *others]


# -- hosts


def _add_host(call: Call, number: int, plan: HostPlan, networks: list[Row]) -> Row:
    db, profile = call.db, call.world.options.profile
    memory = plan.memory_gib * GIB
    metrics = db.create(
        "host_metrics",
        memory_total=memory,
        live=True,
        last_updated=now(),
    )
    host = db.create(
        "host",
        name_label=plan.name,
        hostname=plan.name,
        address=f"192.0.2.{number % 255}",
        enabled=True,
        metrics=metrics.ref,
        memory_overhead=_HOST_OVERHEAD,
        API_version_major=2,
        API_version_minor=23 if profile == "current" else 16,
        API_version_vendor="XenSource",
        capabilities=["xen-3.0-x86_64", "hvm-3.0-x86_32", "hvm-3.0-x86_64"],
        cpu_configuration={},
        cpu_info=_cpu_info(plan),
        software_version={
            **_VERSIONS[profile],
            "hostname": plan.name,
            "network_backend": call.world.options.network_backend,
        },
        supported_bootloaders=["pygrub", "eliloader"],
        virtual_hardware_platform_versions=[0, 1, 2],
        sched_policy="credit",
        edition="pretended",
    )
    for place in range(plan.cpus):
        db.create(
            "host_cpu",
            host=host.ref,
            number=place,
            vendor="GenuineIntel",
            speed=2400,
            modelname="Pretended CPU @ 2.40GHz",
            flags="fpu vmx",
        )
    for device, network in enumerate(networks):
        _add_pif(call, host, number, device, network, management=device == 0)
    _add_control_domain(call, host)
    call.world.memory.show(host.ref)
    add_gpus(call, host, plan.gpus)
    return host


def _cpu_info(plan: HostPlan) -> dict[str, str]:
    return {
        "cpu_count": str(plan.cpus),
        "socket_count": "2",
        "threads_per_core": "1",
        "vendor": "GenuineIntel",
        "speed": "2400.000",
        "modelname": "Pretended CPU @ 2.40GHz",
        "features": "",
    }


def _add_pif(
    call: Call, host: Row, number: int, device: int, network: Row, *, management: bool
) -> None:
    metrics = call.db.create("PIF_metrics", carrier=True, speed=10000, duplex=True)
    address: dict[str, Any] = {}
    if management:
        address = {
            "ip_configuration_mode": "Static",
            "IP": host["address"],
            "netmask": "255.255.255.0",
            "gateway": "192.0.2.254",
        }
    call.db.create(
        "PIF",
        device=f"eth{device}",
        network=network.ref,
        host=host.ref,
        MAC=f"00:16:3e:{number // 256 % 256:02x}:{number % 256:02x}:{device:02x}",
        MTU=1500,
        VLAN=-1,
        metrics=metrics.ref,
        physical=True,
        currently_attached=True,
        management=management,
        managed=True,
        **address,
    )


def _add_control_domain(call: Call, host: Row) -> None:
    metrics = call.db.create("VM_metrics", install_time=now(), start_time=now())
    domain = call.db.create(
        "VM",
        name_label=f"Control domain on host: {host['name_label']}",
        name_description="The domain which manages physical devices and manages other domains",
        is_control_domain=True,
        power_state="Running",
        resident_on=host.ref,
        affinity=host.ref,
        domid=0,
        domain_type="pv",
        memory_static_min=_DOM0_MEMORY,
        memory_static_max=_DOM0_MEMORY,
        memory_dynamic_min=_DOM0_MEMORY,
        memory_dynamic_max=_DOM0_MEMORY,
        memory_target=_DOM0_MEMORY,
        VCPUs_max=4,
        VCPUs_at_startup=4,
        HVM_shadow_multiplier=1.0,
        metrics=metrics.ref,
    )
    call.db.set(host, "control_domain", domain.ref)


# -- storage


def _add_planned_sr(call: Call, plan: SrPlan, hosts: list[Row]) -> Row:
    its = [host for host in hosts if not plan.hosts or host["name_label"] in plan.hosts]
    size = plan.size_gib * GIB
    return _add_sr(call, plan.name, its, type=plan.type, physical_size=size, shared=not plan.hosts)


def _add_sr(call: Call, name: str, hosts: list[Row], **more: Any) -> Row:
    values = {"content_type": "user", "shared": True}
    sr = call.db.create("SR", name_label=name, **{**values, **more})
    for host in hosts:
        call.db.create(
            "PBD",
            host=host.ref,
            SR=sr.ref,
            device_config={"server": "192.0.2.250", "serverpath": f"/{name}"},
            currently_attached=True,
        )
    return sr


def _add_isos(call: Call, hosts: list[Row]) -> None:
    size = 16 * MIB
    isos = _add_sr(
        call,
        "ISOs",
        hosts,
        type="iso",
        content_type="iso",
        physical_size=GIB,
        physical_utilisation=size,
    )
    make_row(
        call,
        name_label="tools.iso",
        name_description="Guest tools",
        SR=isos.ref,
        type="user",
        virtual_size=size,
        physical_utilisation=size,
        read_only=True,
        sharable=True,
        is_tools_iso=True,
    )
