"""Records of devices, as a client sends them to be made."""

from __future__ import annotations

from typing import Any

from simulator.memory import MIB

NULL = "OpaqueRef:NULL"
QOS = {"qos_algorithm_type": "", "qos_algorithm_params": {}, "other_config": {}}


def vbd(vm: Any, vdi: str = NULL, **more: Any) -> dict[str, Any]:
    record = {"VM": vm.ref, "VDI": vdi, "userdevice": "autodetect", "bootable": False}
    record |= {"mode": "RW", "type": "Disk", "empty": False, **QOS}
    return record | more


def vif(vm: Any, network: str, **more: Any) -> dict[str, Any]:
    return {"VM": vm.ref, "network": network, "device": "1", "MAC": "", "MTU": 1500, **QOS, **more}


async def disk(pool: Any, size: int = 10 * MIB, **more: Any) -> str:
    sr = pool.one("SR", "sr-1").ref
    record = {"SR": sr, "virtual_size": size, "type": "user", "sharable": False}
    record |= {"read_only": False, "other_config": {}, "name_label": "data"}
    return str(await pool.call("VDI.create", record | more))
