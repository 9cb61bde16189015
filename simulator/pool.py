"""The ready-made pool: hosts, SRs, networks, templates, as the command line asks for them."""

from __future__ import annotations

from typing import Any, Final

from simulator import rbac
from simulator.behaviour.vdi import make_row
from simulator.calls import Call
from simulator.db import Row
from simulator.memory import MIB
from simulator.templates import CUSTOM, DEFAULT, GIB, add_custom, add_default
from simulator.values import now
from simulator.world import World

HOST_MEMORY: Final = 128 * GIB
HOST_CPUS: Final = 32
SR_SIZE: Final = 2048 * GIB
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
    pool = world.db.create("pool", name_label="pretended pool")
    rbac.add_rows(world.db, world.options.users)
    networks = _add_networks(call)
    hosts = [_add_host(call, number, networks) for number in range(1, world.options.hosts + 1)]
    world.db.set(pool, "master", hosts[0].ref)
    srs = [_add_sr(call, f"sr-{number}", hosts) for number in range(1, world.options.srs + 1)]
    world.db.update(pool, default_SR=srs[0].ref, suspend_image_SR=srs[0].ref)
    _add_isos(call, hosts)
    for kind in ("nfs", "iso", "lvmoiscsi"):
        world.db.create("SM", name_label=kind, type=kind, vendor="pretended", version="1.0")
    for template in CUSTOM:
        for sr in srs:
            add_custom(call, template, sr, networks["guest"].ref)
    for template in DEFAULT:
        add_default(call, template)


# -- networks


def _add_networks(call: Call) -> dict[str, Row]:
    create = call.db.create
    internal = {
        "is_guest_installer_network": "true",
        "is_host_internal_management_network": "true",
        "ip_begin": "169.254.0.1",
        "ip_end": "169.254.255.254",
        "netmask": "255.255.0.0",
    }
    return {
        "eth0": create("network", name_label=MANAGEMENT_NAME, bridge="xenbr0", MTU=1500),
        "guest": create("network", name_label="guest", bridge="xenbr1", MTU=1500),
        "internal": create(
            "network", name_label=INTERNAL_NAME, bridge="xenapi", MTU=1500, other_config=internal
        ),
    }


# -- hosts


def _add_host(call: Call, number: int, networks: dict[str, Row]) -> Row:
    db, profile = call.db, call.world.options.profile
    metrics = db.create(
        "host_metrics",
        memory_total=HOST_MEMORY,
        memory_free=HOST_MEMORY - _DOM0_MEMORY,
        live=True,
        last_updated=now(),
    )
    host = db.create(
        "host",
        name_label=f"host-{number}",
        hostname=f"host-{number}",
        address=f"192.0.2.{number % 255}",
        enabled=True,
        metrics=metrics.ref,
        memory_overhead=_HOST_OVERHEAD,
        API_version_major=2,
        API_version_minor=23 if profile == "current" else 16,
        API_version_vendor="XenSource",
        capabilities=["xen-3.0-x86_64", "hvm-3.0-x86_32", "hvm-3.0-x86_64"],
        cpu_configuration={},
        cpu_info=_cpu_info(),
        software_version={
            **_VERSIONS[profile],
            "hostname": f"host-{number}",
            "network_backend": call.world.options.network_backend,
        },
        supported_bootloaders=["pygrub", "eliloader"],
        virtual_hardware_platform_versions=[0, 1, 2],
        sched_policy="credit",
        edition="pretended",
    )
    for place in range(HOST_CPUS):
        db.create(
            "host_cpu",
            host=host.ref,
            number=place,
            vendor="GenuineIntel",
            speed=2400,
            modelname="Pretended CPU @ 2.40GHz",
            flags="fpu vmx",
        )
    _add_pif(call, host, number, 0, networks["eth0"], management=True)
    _add_pif(call, host, number, 1, networks["guest"], management=False)
    _add_control_domain(call, host, number)
    return host


def _cpu_info() -> dict[str, str]:
    return {
        "cpu_count": str(HOST_CPUS),
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


def _add_control_domain(call: Call, host: Row, number: int) -> None:
    metrics = call.db.create("VM_metrics", install_time=now(), start_time=now())
    domain = call.db.create(
        "VM",
        name_label=f"Control domain on host: host-{number}",
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


def _add_sr(call: Call, name: str, hosts: list[Row], **more: Any) -> Row:
    values = {"type": "nfs", "content_type": "user", "physical_size": SR_SIZE, "shared": True}
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
